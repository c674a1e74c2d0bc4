//! A deal and its way through the stages.

use super::calendar::{AS_OF, day_of};
use super::dice::{Dice, mix};

/// The stages in order: name, whether it is closed, whether it is won.
pub const STAGES: [(&str, bool, bool); 6] = [
    ("Prospecting", false, false),
    ("Qualification", false, false),
    ("Proposal", false, false),
    ("Negotiation", false, false),
    ("Closed Won", true, true),
    ("Closed Lost", true, false),
];
/// The place of `Closed Won`.
pub const WON: u8 = 4;
/// The place of `Closed Lost`.
pub const LOST: u8 = 5;
const PROBABILITIES: [f64; 6] = [0.1, 0.25, 0.5, 0.75, 1.0, 0.0];
const FORECASTS: [&str; 6] = ["pipeline", "pipeline", "best_case", "commit", "closed", "closed"];
/// How far into its cycle a won deal enters each stage.
const PACE: [f64; 4] = [0.0, 0.17, 0.38, 0.60];
/// The last stage a lost deal reaches.
const LAST_STAGE: [f64; 4] = [0.26, 0.30, 0.25, 0.19];

/// The account of a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The account whose life it is part of.
    Account,
    /// None.
    Nobody,
    /// One that does not exist.
    Unknown,
}

/// A deal.
#[derive(Debug, Clone)]
pub struct Deal {
    /// `new`, `expansion` or `renewal`.
    pub kind: &'static str,
    /// Its stage today.
    pub stage: u8,
    /// Its last open stage.
    pub reached: u8,
    /// When it entered each open stage, up to the last one.
    pub entered: [i64; 4],
    /// Its amount in cents.
    pub amount: Option<i64>,
    /// The currency of the amount.
    pub currency: &'static str,
    /// When it was created.
    pub created_at: i64,
    /// The day it is or was expected to close.
    pub close_day: i32,
    /// When it was closed.
    pub closed_at: Option<i64>,
    /// Whose it is.
    pub owner: Owner,
    /// Whether it is deleted.
    pub is_deleted: bool,
    /// Whether its changes were recorded.
    pub has_history: bool,
}

/// A state of a deal after a change.
pub struct Change {
    /// When it changed.
    pub changed_at: i64,
    /// Its stage since.
    pub stage: u8,
    /// Its amount since, in cents.
    pub amount: Option<i64>,
    /// Its category in the forecast.
    pub forecast: &'static str,
    /// When it was expected to close.
    pub close_day: i32,
}

impl Deal {
    /// Draws a deal's way from its creation to its end; it is still open if that comes at or after `as_of`.
    pub fn draw(dice: &mut Dice, kind: &'static str, created_at: i64, closed_at: i64, is_won: bool) -> Self {
        let reached = if is_won { 3 } else { dice.weighted(&LAST_STAGE) };
        let length = (closed_at - created_at).max(4) as f64;
        let mut entered = [created_at; 4];
        for stage in 1..=reached {
            let pace = if reached == 3 { PACE[stage] } else { stage as f64 / (reached as f64 + 1.0) };
            let share = pace + dice.uniform(-0.05, 0.05);
            entered[stage] = (created_at + (length * share) as i64).max(entered[stage - 1] + 1);
        }
        let mut deal = Self {
            kind,
            stage: if is_won { WON } else { LOST },
            reached: reached as u8,
            entered,
            amount: None,
            currency: "USD",
            created_at,
            close_day: day_of(closed_at),
            closed_at: Some(closed_at.max(entered[reached] + 1)),
            owner: Owner::Account,
            is_deleted: dice.chance(0.008),
            has_history: !dice.chance(0.015),
        };
        if closed_at >= AS_OF {
            deal.reopen();
        }
        deal
    }

    /// Makes the deal open, in the stage it has reached by `as_of`.
    pub fn reopen(&mut self) {
        self.closed_at = None;
        self.reached = (0..=self.reached).rev().find(|stage| self.entered[usize::from(*stage)] < AS_OF).unwrap_or(0);
        self.stage = self.reached;
    }

    /// Returns whether it is closed.
    pub fn is_closed(&self) -> bool {
        STAGES[usize::from(self.stage)].1
    }

    /// Returns whether it is won.
    pub fn is_won(&self) -> bool {
        self.stage == WON
    }

    /// Returns the probability of its stage.
    pub fn probability(stage: u8) -> f64 {
        PROBABILITIES[usize::from(stage)]
    }

    /// Returns the forecast category of the deal in a stage.
    pub fn forecast(&self, stage: u8) -> &'static str {
        if stage < WON && self.noise(9).is_multiple_of(25) { "omitted" } else { FORECASTS[usize::from(stage)] }
    }

    /// Returns the changes of the deal in the order of time.
    pub fn history(&self) -> Vec<Change> {
        let mut changes = Vec::with_capacity(5);
        for stage in 0..=self.reached {
            let changed_at = self.entered[usize::from(stage)];
            // Early guesses are wider, and sellers are more often late than early.
            let spread = i64::from(4 - stage) * 9 + 3;
            let slip = (self.noise(stage) % (2 * spread as u64)) as i64 - spread * 5 / 4;
            let rough = 100 + (self.noise(stage + 16) % 41) as i64 - 20;
            changes.push(Change {
                changed_at,
                stage,
                amount: self.amount.map(|amount| if stage < 2 { amount * rough / 100 } else { amount }),
                forecast: self.forecast(stage),
                close_day: self.close_day + if stage < 3 { slip as i32 } else { slip as i32 / 4 },
            });
        }
        if let Some(changed_at) = self.closed_at.filter(|_| self.is_closed()) {
            let (amount, close_day) = (self.amount, day_of(changed_at));
            changes.push(Change { changed_at, stage: self.stage, amount, forecast: "closed", close_day });
        }
        changes
    }

    /// Moves the closing to an instant, and what came before it out of its way.
    pub fn close_at(&mut self, closed_at: i64) {
        self.closed_at = Some(closed_at);
        self.close_day = day_of(closed_at);
        self.created_at = self.created_at.min(closed_at - 4);
        for (stage, entered) in self.entered.iter_mut().enumerate() {
            *entered = (*entered).clamp(self.created_at + stage as i64, closed_at - 4 + stage as i64);
        }
        self.entered[0] = self.created_at;
    }

    fn noise(&self, part: u8) -> u64 {
        mix(self.created_at as u64 ^ (u64::from(part) << 56)) >> 8
    }
}
