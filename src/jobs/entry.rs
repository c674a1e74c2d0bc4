//! What stands in the journal of a job: each entry is a deed, and the whole state of the job after it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::letter::Letter;

/// Entries about ticks that each entry knows the numbers of: those that are read at the same time.
pub const TICKS_MAX: usize = 16;

/// An entry of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The number, from 0.
    pub number: u64,
    /// Who wrote it: a name that each process makes anew.
    pub by: String,
    /// When, in microseconds since 1970-01-01 UTC.
    pub at_micros: i64,
    /// What was done.
    pub event: Event,
    /// How the job stands from then on.
    pub state: State,
}

/// A deed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The job got a schedule: its ticks are owed from then on.
    Scheduled,
    /// Ticks will not be run.
    Skipped(Skipped),
    /// The clock of whoever wrote before was ahead: later ticks that were skipped are owed again.
    SetBack,
    /// A run began; the claim is in the state.
    Claimed,
    /// It goes on.
    Renewed,
    /// It failed, and will be tried again.
    Failed(Failed),
    /// It was ended with its process, and anyone may take it up.
    Released,
    /// A tick came to its end.
    Settled(Settled),
    /// Letters were delivered, taken over, put off or given up.
    Posted,
}

impl Event {
    /// Returns whether it says what became of a tick.
    pub fn is_of_tick(&self) -> bool {
        match self {
            Self::Skipped(_) | Self::Failed(_) | Self::Settled(_) => true,
            Self::Scheduled | Self::SetBack | Self::Claimed | Self::Renewed | Self::Released | Self::Posted => false,
        }
    }
}

/// Ticks that will not be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The first, in microseconds since 1970-01-01 UTC.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// How many.
    pub count: u64,
    /// Why.
    pub why: String,
}

/// An attempt that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The tick.
    pub tick: i64,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// What was wrong.
    pub error: String,
    /// When it is tried again.
    pub again_at: i64,
}

/// A tick that came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The tick.
    pub tick: i64,
    /// Why it was run.
    pub cause: Cause,
    /// How it ended.
    pub outcome: Outcome,
    /// When its last attempt began.
    pub started_at: i64,
    /// When that ended.
    pub ended_at: i64,
    /// The attempts.
    pub attempts: u32,
    /// The version that it added to what is published; `None` where there was nothing to add.
    pub version: Option<u64>,
    /// The published numbers that it changed.
    pub restatements: u64,
    /// The views that it was about.
    pub metrics: Vec<String>,
    /// The months that it was about.
    pub months: String,
    /// What held it, or was wrong.
    pub why: Option<String>,
}

/// How a tick ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What is published is as it should be.
    Done,
    /// A broken law held it.
    Held,
    /// It was given up.
    Dead,
}

impl Outcome {
    /// Returns the word that stands in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Held => "held",
            Self::Dead => "dead",
        }
    }
}

/// Why a tick is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It was due.
    Schedule,
    /// Somebody asked for it.
    Request,
    /// It had been given up, and somebody asked for it again.
    Again,
}

/// How a job stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Pattern and zone that its ticks are counted by; `None` is a job without a schedule.
    pub schedule: Option<Pattern>,
    /// The tick up to which all are accounted for.
    pub accounted: i64,
    /// Later ticks that were run, by a clock that was ahead.
    pub ahead: BTreeSet<i64>,
    /// The run that goes on.
    pub claim: Option<Claim>,
    /// The attempt that is to be made again.
    pub waiting: Option<Waiting>,
    /// The ticks that were given up, and not run again since.
    pub dead: Vec<i64>,
    /// The tick that ended last.
    pub last: Option<Settled>,
    /// The tick that was done last.
    pub done: Option<Done>,
    /// The instant after which ticks are owed by the schedule.
    pub since: i64,
    /// Letters that are not delivered yet.
    pub outbox: Vec<Letter>,
    /// What is known to be off target, so that it is told once: `monthly 2026-09-01 nrr`.
    pub off_target: BTreeSet<String>,
    /// How many entries of the ledger were looked through for what the job published, so that channels are told of each;
    /// `None` before its first run.
    #[serde(default)]
    pub told: Option<u64>,
    /// Whether something was published since it was last known what is off target.
    #[serde(default)]
    pub owes_targets: bool,
    /// The numbers of the entries that say what became of ticks, the oldest first: all from the first of them on.
    #[serde(default)]
    pub ticks: Vec<u64>,
}

/// A schedule as a journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// The cron pattern.
    pub cron: String,
    /// The IANA time zone.
    pub zone: String,
}

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The tick.
    pub tick: i64,
    /// Why it is run.
    pub cause: Cause,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Who runs it.
    pub by: String,
    /// The number of the entry that began it. Who takes it over has a greater one, and what carries the smaller one is
    /// not taken down any more.
    pub token: u64,
    /// When it began.
    pub started_at: i64,
    /// The instant up to which nobody else takes it over.
    pub until: i64,
    /// Metrics that are computed, and all of them.
    pub progress: (u64, u64),
}

/// A tick that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The tick, or the instant at which it was run again: the next one is due after it.
    pub tick: i64,
    /// When the attempt began, which looked at the world of that instant or a later one.
    pub started_at: i64,
}

/// An attempt that is to be made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The tick.
    pub tick: i64,
    /// Why it is run.
    pub cause: Cause,
    /// The attempts that were made.
    pub attempts: u32,
    /// When it is to be made.
    pub not_before: i64,
}

impl State {
    /// Takes down that an entry says what became of a tick.
    pub fn note_tick(&mut self, number: u64) {
        self.ticks.push(number);
        let many = self.ticks.len().saturating_sub(TICKS_MAX);
        self.ticks.drain(..many);
    }

    /// Takes down that a tick of the schedule came to its end.
    pub fn account(&mut self, tick: i64) {
        if tick > self.accounted {
            self.accounted = tick;
            self.ahead.retain(|ahead| *ahead > tick);
        }
    }

    /// Returns the claim where it is the one of a token, which means that nobody took it over.
    pub fn claim_of(&self, token: u64) -> Option<&Claim> {
        self.claim.as_ref().filter(|claim| claim.token == token)
    }
}
