//! The course of a customer's subscriptions: seats and prices over time, pauses, the end, and a second start.

use super::calendar::{AS_OF, AS_OF_DAY, DAY, add_months, day_of, instant};
use super::company::Company;
use super::dice::{Dice, Stream};
use super::profile::{Profile, Tier};

/// Hundredths of a percent in the whole, the unit of discounts.
const WHOLE: i64 = 1_000_000;
/// The share of customers who come back after they left.
const RETURN_SHARE: f64 = 0.14;
/// Monthly probability of more seats, of fewer, of a pause, and of an add-on.
const UPGRADE: f64 = 0.048;
const DOWNGRADE: f64 = 0.016;
const PAUSE: f64 = 0.003;
const ADD_ON: f64 = 0.007;
/// The share of renewals that somebody worked on.
const RENEWAL_DEAL_SHARE: f64 = 0.5;
/// Monthly probability that a customer is offered more and says no.
const LOST_EXPANSION: f64 = 0.032;
/// The share of yearly prices that rise at a renewal, and by how much.
const PRICE_RISE: (f64, f64) = (0.4, 0.06);
/// The price of the add-on for each seat in ten-thousandths.
const ADD_ON_PRICE: i64 = 60_000;

/// A time with one product, quantity and price.
#[derive(Debug, Clone)]
pub struct Span {
    /// The product.
    pub product: &'static str,
    /// Seats; below 0 for a credit.
    pub quantity: i64,
    /// The price of a seat for a month in ten-thousandths.
    pub price: i64,
    /// Its first day.
    pub from: i32,
    /// The day after its last one.
    pub to: Option<i32>,
}

/// A subscription.
#[derive(Debug, Clone)]
pub struct Contract {
    /// When it starts.
    pub started_at: i64,
    /// When its trial ends.
    pub trial_ends_at: Option<i64>,
    /// When it was cancelled.
    pub canceled_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Whether it is paid by the year, not by the month.
    pub is_yearly: bool,
    /// A discount for ever, in ten-thousandths of a percent.
    pub discount: Option<i64>,
    /// Its spans.
    pub spans: Vec<Span>,
}

/// Something a seller would have had a deal for.
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    /// The day.
    pub day: i32,
    /// Whether it is a renewal, not an expansion.
    pub is_renewal: bool,
    /// Whether the customer said yes.
    pub is_won: bool,
    /// What it is worth up to the end of the contract's year, in cents.
    pub value: i64,
}

/// A customer's subscriptions, and the occasions for deals in their course.
#[derive(Debug, Default)]
pub struct Course {
    /// The subscriptions in order of time.
    pub contracts: Vec<Contract>,
    /// The occasions.
    pub growth: Vec<Growth>,
}

impl Course {
    /// Returns the day after which the account is no customer any more.
    pub fn ended_at(&self) -> Option<i64> {
        self.contracts.last().and_then(|contract| contract.ended_at)
    }
}

impl Span {
    /// Returns what a month of it costs in cents.
    pub fn monthly(&self, discount: Option<i64>) -> i64 {
        let full = self.quantity * self.price / 100;
        full - full * discount.unwrap_or(0) / WHOLE
    }
}

impl Contract {
    /// Returns what a month costs in cents on a day.
    pub fn monthly_on(&self, day: i32) -> i64 {
        let runs = |span: &&Span| span.from <= day && span.to.is_none_or(|to| to > day);
        self.spans.iter().filter(runs).map(|span| span.monthly(self.discount)).sum()
    }

    fn cut(&mut self, day: i32) {
        for span in self.spans.iter_mut().filter(|span| span.to.is_none_or(|to| to > day)) {
            span.to = Some(day.max(span.from));
        }
        self.spans.retain(|span| span.to.is_none_or(|to| to > span.from));
    }
}

/// Draws the course of a customer from the instant of the first win.
pub fn course(company: &Company, profile: &Profile, won_at: i64) -> Course {
    let dice = &mut Dice::new(company.seed, Stream::Contract, profile.index, 0);
    let (seats, plan, price) = match profile.tier {
        Tier::Small => (dice.between(2, 12), "Starter", dice.pick(&[190_000, 210_000, 250_000])),
        Tier::Middle => (dice.between(10, 40), "Growth", dice.pick(&[270_000, 290_000, 310_000])),
        Tier::Large => (dice.between(40, 120), "Enterprise", dice.pick(&[330_000, 350_000, 390_000])),
    };
    let mut course = Course::default();
    let mut started_at = won_at + dice.between(0, 4) * DAY;
    let mut seats = seats;
    // Two returns at most: a customer who leaves for the third time is gone.
    for _ in 0..3 {
        if started_at >= AS_OF {
            break;
        }
        run(
            &mut course,
            dice,
            profile.tier,
            Span { product: plan, quantity: seats, price, from: 0, to: None },
            started_at,
        );
        let Some(ended_at) = course.ended_at().filter(|_| dice.chance(RETURN_SHARE)) else {
            break;
        };
        started_at = ended_at + dice.between(45, 200) * DAY;
        seats = (seats * 4 / 5).max(1);
    }
    course
}

/// Runs one subscription from its start to its end or to `as_of`.
fn run(course: &mut Course, dice: &mut Dice, tier: Tier, plan: Span, started_at: i64) {
    let start = day_of(started_at);
    let is_yearly = dice.chance(match tier {
        Tier::Small => 0.2,
        Tier::Middle => 0.4,
        Tier::Large => 0.65,
    });
    let price = if is_yearly { plan.price * 9 / 10 } else { plan.price };
    let mut contract = Contract {
        started_at,
        trial_ends_at: None,
        canceled_at: None,
        ended_at: None,
        is_yearly,
        discount: dice.chance(0.12).then(|| dice.pick(&[50_000, 100_000, 150_000, 125_000])),
        spans: vec![Span { price, from: start, ..plan }],
    };
    if tier == Tier::Small && course.contracts.is_empty() && dice.chance(0.25) {
        contract.trial_ends_at = Some(started_at + 14 * DAY);
    }
    for month in 1.. {
        let due = add_months(start, month);
        if due >= AS_OF_DAY {
            break;
        }
        let is_renewal = is_yearly && month % 12 == 0;
        if leaves(course, dice, tier, &mut contract, due, is_renewal) {
            break;
        }
        let day = due + dice.between(0, 24) as i32;
        change(course, dice, &mut contract, day);
    }
    course.contracts.push(contract);
}

/// Draws whether the customer leaves on a due day, and writes a renewal down.
fn leaves(
    course: &mut Course,
    dice: &mut Dice,
    tier: Tier,
    contract: &mut Contract,
    due: i32,
    is_renewal: bool,
) -> bool {
    let monthly_churn = match tier {
        Tier::Small => 0.020,
        Tier::Middle => 0.011,
        Tier::Large => 0.006,
    };
    let factor = match (contract.is_yearly, is_renewal) {
        (false, _) => 1.0,
        (true, true) => 9.0,
        (true, false) => 0.1,
    };
    let is_leaving = dice.chance(monthly_churn * factor);
    let monthly = contract.monthly_on(due);
    if is_renewal && dice.chance(RENEWAL_DEAL_SHARE) {
        course.growth.push(Growth { day: due, is_renewal: true, is_won: !is_leaving, value: monthly * 12 });
    }
    if is_leaving {
        let ended_at = instant(due) + contract.started_at.rem_euclid(DAY);
        contract.canceled_at = Some((ended_at - dice.between(0, 25) * DAY).max(contract.started_at));
        contract.ended_at = Some(ended_at);
        // Half of the billing systems leave the items open and end the subscription alone.
        if dice.chance(0.5) {
            contract.cut(due);
        }
    } else if is_renewal && dice.chance(PRICE_RISE.0) {
        amend(contract, due, |span| span.price += (span.price as f64 * PRICE_RISE.1) as i64 / 100 * 100);
    }
    is_leaving
}

/// Draws what changes in a month, on a day.
fn change(course: &mut Course, dice: &mut Dice, contract: &mut Contract, day: i32) {
    let before = contract.monthly_on(day);
    if day >= AS_OF_DAY || before == 0 {
        return;
    }
    let draw = dice.unit();
    if draw < UPGRADE {
        let factor = dice.uniform(0.15, 0.65);
        amend(contract, day, |span| span.quantity += ((span.quantity as f64 * factor).round() as i64).max(1));
    } else if draw < UPGRADE + DOWNGRADE {
        let factor = dice.uniform(0.1, 0.4);
        amend(contract, day, |span| span.quantity -= (span.quantity as f64 * factor).round() as i64);
    } else if draw < UPGRADE + DOWNGRADE + PAUSE {
        pause(contract, day, day + dice.between(32, 75) as i32);
    } else if draw < UPGRADE + DOWNGRADE + PAUSE + ADD_ON {
        let seats = contract.spans.iter().rev().map(|span| span.quantity).next().unwrap_or(1);
        let quantity = (seats / 2).max(1);
        contract.spans.push(Span { product: "Insights", quantity, price: ADD_ON_PRICE, from: day, to: None });
    }
    let gain = contract.monthly_on(day) - before;
    if gain > 0 {
        let left = 365 - i64::from(day - day_of(contract.started_at)) % 365;
        course.growth.push(Growth { day, is_renewal: false, is_won: true, value: gain * 12 * left / 365 });
    } else if dice.chance(LOST_EXPANSION) {
        course.growth.push(Growth { day, is_renewal: false, is_won: false, value: before * 3 });
    }
}

/// Ends the running spans on a day and starts them again, changed.
fn amend(contract: &mut Contract, day: i32, change: impl Fn(&mut Span)) {
    let running: Vec<Span> = contract.spans.iter().filter(|span| span.to.is_none()).cloned().collect();
    contract.cut(day);
    for mut span in running {
        span.from = day;
        change(&mut span);
        contract.spans.push(span);
    }
}

/// Ends the running spans on a day and starts them again on a later one.
fn pause(contract: &mut Contract, day: i32, again: i32) {
    let running: Vec<Span> = contract.spans.iter().filter(|span| span.to.is_none()).cloned().collect();
    contract.cut(day);
    if again < AS_OF_DAY {
        contract.spans.extend(running.into_iter().map(|span| Span { from: again, ..span }));
    }
}
