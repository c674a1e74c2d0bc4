//! The touches of an account: when, by which channel, and what they say about who was touched.

use super::calendar::{AS_OF, DAY, LEAP_DAY, SECOND, instant};
use super::channel::{self, Phase};
use super::company::{Company, seconds};
use super::dice::{Dice, Stream};
use super::planted::AS_OF_EDGES;
use super::profile::Profile;
use super::quirk::Quirk;
use super::sales::Sales;

/// The lookback that the planted touches stand at the ends of: the default of the attribution.
const LOOKBACK: i64 = 90 * DAY;
/// No campaign.
pub const NO_CAMPAIGN: u8 = u8::MAX;
/// Touches a day of somebody who has no account.
const STRANGER_RATE: f64 = 0.09;
/// Touches a day while an account looks around, while a deal is open, after that, and of a customer.
const RESEARCH_RATE: f64 = 0.215;
const DEAL_RATE: f64 = 0.305;
const LATER_RATE: f64 = 0.05;
const CUSTOMER_RATE: f64 = 0.06;
/// Touches of an account in a month, so that their numbers have three digits.
const MONTH_TOUCHES_MAX: u16 = 900;

/// What a touch says about who was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A contact's id.
    Contact(u8),
    /// A contact's id and address.
    ContactAndEmail(u8),
    /// A contact's address.
    ContactEmail(u8),
    /// A lead's id.
    Lead(u8),
    /// A lead's address.
    LeadEmail(u8),
    /// An address at the domain.
    Domain,
    /// The account's id.
    Account,
    /// An address that is nobody's.
    Stranger,
    /// Nothing.
    Nobody,
}

/// A touch.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// When it was.
    pub touched_at: i64,
    /// The number of its account.
    pub account: u32,
    /// Its number within the account.
    pub number: u32,
    /// Its channel.
    pub channel: u8,
    /// Its type among those of the channel.
    pub kind: u8,
    /// Its campaign or `NO_CAMPAIGN`.
    pub campaign: u8,
    /// Who was touched.
    pub who: Who,
}

impl Touch {
    /// Returns what touches are sorted by: the instant, then what orders ids by bytes.
    pub fn order(&self) -> (i64, u32, u32) {
        (self.touched_at, self.account, self.number)
    }
}

struct Stretch {
    from: i64,
    to: i64,
    rate: f64,
    phase: Phase,
}

/// The touches of an account, ready to be drawn month by month.
pub struct Journey<'company> {
    company: &'company Company,
    profile: Profile,
    leads: u8,
    stretches: Vec<Stretch>,
    planted: Vec<(i64, u8)>,
}

impl<'company> Journey<'company> {
    /// Returns the journey of an account or a stranger.
    pub fn new(company: &'company Company, profile: Profile, sales: &Sales) -> Self {
        let mut stretches = Vec::with_capacity(4);
        if profile.is_touched {
            stretches = plan(company, &profile, sales);
        }
        let planted = planted(company, &profile, sales);
        Self { company, leads: sales.leads.len().min(9) as u8, profile, stretches, planted }
    }

    /// Appends the touches of a range of months; those at or after `as_of` belong to the last month.
    pub fn draw(&self, months: std::ops::Range<usize>, touches: &mut Vec<Touch>) {
        let calendar = &self.company.calendar;
        for month in months.clone() {
            let (from, to) = (calendar.start_of(month), calendar.start_of(month + 1));
            if self.stretches.iter().any(|stretch| stretch.from < to && stretch.to > from) {
                self.draw_month(month, from, to, touches);
            }
        }
        for (number, (touched_at, channel)) in (0..).zip(&self.planted) {
            if months.contains(&calendar.month_of(*touched_at)) {
                let (account, channel) = (self.profile.index as u32, *channel);
                let who = if self.profile.quirk == Quirk::SharedEmail { Who::ContactEmail(0) } else { Who::Contact(0) };
                let touched_at = *touched_at;
                touches.push(Touch { touched_at, account, number, channel, kind: 0, campaign: NO_CAMPAIGN, who });
            }
        }
    }

    fn draw_month(&self, month: usize, from: i64, to: i64, touches: &mut Vec<Touch>) {
        let dice = &mut Dice::new(self.company.seed, Stream::Touches, self.profile.index, month as u64);
        // Later months have smaller numbers: the order of ids says nothing about that of time.
        let base = (self.company.calendar.months() - month) as u32 * 1_000;
        let mut number = 0;
        for stretch in self.stretches.iter().filter(|stretch| stretch.from < to && stretch.to > from) {
            let (first, last) = (stretch.from.max(from), stretch.to.min(to));
            let days = (last - first) as f64 / DAY as f64;
            for _ in 0..dice.poisson(stretch.rate * days) {
                let touched_at = seconds(first + (dice.unit() * (last - first) as f64) as i64).max(first);
                let channel = channel::of_touch(dice, stretch.phase);
                if number < MONTH_TOUCHES_MAX {
                    touches.push(self.touch(dice, touched_at, base + u32::from(number), channel));
                    number += 1;
                }
            }
        }
    }

    fn touch(&self, dice: &mut Dice, touched_at: i64, number: u32, channel: u8) -> Touch {
        let has_campaign = channel != channel::DIRECT && dice.chance(0.8);
        let day = super::calendar::day_of(touched_at);
        let campaign = if has_campaign { self.company.campaigns.draw(dice, channel, day) } else { None };
        Touch {
            touched_at,
            account: self.profile.index as u32,
            number,
            channel,
            kind: dice.between(0, 2) as u8,
            campaign: campaign.unwrap_or(NO_CAMPAIGN),
            who: self.who(dice),
        }
    }

    fn who(&self, dice: &mut Dice) -> Who {
        let draw = dice.unit();
        let has_lead = self.leads > 0;
        if !self.company.is_account(self.profile.index) {
            return match draw {
                _ if draw < 0.55 && has_lead => Who::Lead(0),
                _ if draw < 0.75 && has_lead => Who::LeadEmail(0),
                _ if draw < 0.85 => Who::Nobody,
                _ => Who::Stranger,
            };
        }
        let person = dice.between(0, i64::from(self.profile.contacts) - 1) as u8;
        let lead = dice.between(0, i64::from(self.leads.max(1)) - 1) as u8;
        let by_address = matches!(self.profile.quirk, Quirk::DuplicateByEmail | Quirk::UntidyEmail);
        match draw {
            _ if by_address => Who::ContactEmail(person),
            _ if self.profile.quirk == Quirk::DuplicateByDomain => Who::Domain,
            _ if draw < 0.13 && has_lead => Who::Lead(lead),
            _ if draw < 0.155 && has_lead => Who::LeadEmail(lead),
            _ if draw < 0.22 => Who::ContactEmail(person),
            _ if draw < 0.25 => Who::Domain,
            _ if draw < 0.31 => Who::Account,
            _ if draw < 0.33 => Who::ContactAndEmail(person),
            _ if draw < 0.34 => Who::Nobody,
            _ => Who::Contact(person),
        }
    }
}

/// Returns the stretches of time in which an account is touched, none of them empty.
fn plan(company: &Company, profile: &Profile, sales: &Sales) -> Vec<Stretch> {
    let arrived_at = profile.arrived_at;
    let mut stretches = Vec::with_capacity(6);
    let mut add = |from: i64, to: i64, rate: f64, phase: Phase| stretches.push(Stretch { from, to, rate, phase });
    if !company.is_account(profile.index) {
        add(arrived_at, arrived_at + 60 * DAY, STRANGER_RATE, Phase::Research);
    } else if let Some(won_at) = sales.won_at.filter(|_| profile.quirk == Quirk::LateTouches) {
        add(won_at + 75 * DAY, AS_OF, CUSTOMER_RATE, Phase::Later);
    } else {
        let first = sales.deals.first().map(|deal| deal.created_at);
        add(arrived_at, first.unwrap_or(arrived_at + 75 * DAY), RESEARCH_RATE, Phase::Research);
        for deal in sales.deals.iter().filter(|deal| deal.kind == "new") {
            add(deal.created_at, deal.closed_at.unwrap_or(AS_OF), DEAL_RATE, Phase::Deal);
        }
        let closed_at = sales.deals.iter().filter(|deal| deal.kind == "new").filter_map(|deal| deal.closed_at).max();
        let later = sales.won_at.or(closed_at).unwrap_or(arrived_at + 75 * DAY);
        let rate = if sales.won_at.is_some() { CUSTOMER_RATE } else { LATER_RATE };
        let gone_at = sales.course.ended_at().map_or(AS_OF, |ended_at| ended_at + 30 * DAY);
        add(later, gone_at, rate, Phase::Later);
    }
    for stretch in &mut stretches {
        stretch.to = stretch.to.min(AS_OF);
    }
    stretches.retain(|stretch| stretch.from < stretch.to);
    stretches
}

/// Returns instants and channels of touches that are there whatever the dice say.
fn planted(company: &Company, profile: &Profile, sales: &Sales) -> Vec<(i64, u8)> {
    let mut planted = Vec::new();
    let is_early = company.is_account(profile.index) && profile.quirk != Quirk::LateTouches;
    if profile.is_touched && is_early {
        planted.push((profile.arrived_at, profile.channel));
    }
    match profile.quirk {
        Quirk::LookbackEnds => {
            let won_at = sales.won_at.unwrap_or(profile.arrived_at);
            let oldest = won_at - LOOKBACK;
            let edges = [oldest - 1, oldest, oldest, won_at - SECOND, won_at - SECOND, won_at, won_at + 1];
            planted.extend((0..).zip(edges).map(|(place, at)| (at, (place * 3 + 1) % 11)));
        }
        Quirk::AsOfEdges => planted.extend(AS_OF_EDGES.map(|at| (at, channel::EMAIL))),
        Quirk::TwinWins => {
            let won_at = sales.deals.iter().filter(|deal| deal.is_won()).find_map(|deal| deal.closed_at);
            planted.extend(won_at.map(|at| (company.calendar.start_of(company.calendar.month_of(at)), channel::EMAIL)));
        }
        Quirk::LeapDay => planted.push((instant(LEAP_DAY) + DAY / 2, channel::EMAIL)),
        _ => {}
    }
    planted.retain(|(at, _)| *at >= company.calendar.start());
    planted
}
