//! The leads and deals of an account, and the subscriptions that come of them.

use super::calendar::{AS_OF, DAY, HOUR, instant};
use super::company::{Company, days, seconds};
use super::contract::{Course, Growth, course};
use super::deal::{Deal, Owner};
use super::dice::{Dice, Stream};
use super::profile::{Profile, Tier};
use super::quirk::Quirk;

/// The share of accounts that get a deal at all.
const DEAL_SHARE: f64 = 0.90;
/// The share of lost accounts that are tried again, up to `TRIES_MAX`.
const RETRY_SHARE: f64 = 0.55;
const TRIES_MAX: usize = 3;
/// The share of upgrades and renewals for which a seller keeps a deal.
const GROWTH_DEAL_SHARE: f64 = 0.55;
/// The share of deals whose account was never entered.
const NO_ACCOUNT_SHARE: f64 = 0.006;
/// The share of deals whose amount was never entered.
const NO_AMOUNT_SHARE: f64 = 0.012;

/// A lead of an account, or of a stranger.
#[derive(Debug, Clone)]
pub struct Lead {
    /// When it was created.
    pub created_at: i64,
    /// When somebody answered.
    pub responded_at: Option<i64>,
    /// When it was qualified.
    pub qualified_at: Option<i64>,
    /// When it was converted.
    pub converted_at: Option<i64>,
    /// The deal it was converted to.
    pub deal: Option<u32>,
    /// The lead of the same account it is merged into.
    pub merged_into: Option<u32>,
    /// Whether it is deleted.
    pub is_deleted: bool,
}

/// What sales made of an account.
#[derive(Debug, Default)]
pub struct Sales {
    /// Its leads.
    pub leads: Vec<Lead>,
    /// Its deals; the new ones first.
    pub deals: Vec<Deal>,
    /// Its subscriptions.
    pub course: Course,
    /// When it became a customer.
    pub won_at: Option<i64>,
}

impl Sales {
    /// Draws the sales of an account.
    pub fn new(company: &Company, profile: &Profile) -> Self {
        let dice = &mut Dice::new(company.seed, Stream::Sales, profile.index, 0);
        let mut sales = Self::default();
        if !company.is_account(profile.index) {
            sales.leads = stranger_leads(dice, profile);
            return sales;
        }
        sales.new_deals(dice, profile);
        if let Some(won_at) = sales.won_at {
            sales.course = course(company, profile, won_at);
            sales.price_win(dice, profile);
            for growth in sales.course.growth.clone() {
                sales.growth_deal(dice, profile, growth);
            }
        }
        sales.add_leads(dice, profile);
        super::planted::deals(company, profile, &mut sales);
        sales.deals.retain(|deal| deal.created_at < AS_OF || profile.quirk == Quirk::AsOfEdges);
        sales
    }

    fn new_deals(&mut self, dice: &mut Dice, profile: &Profile) {
        let is_customer = profile.quirk.is_customer();
        let has_deals = dice.chance(DEAL_SHARE) && !profile.quirk.is_duplicate();
        if !is_customer && !has_deals {
            return;
        }
        let (win_rate, cycle) = match profile.tier {
            Tier::Small => (0.13, 24.0),
            Tier::Middle => (0.115, 42.0),
            Tier::Large => (0.10, 70.0),
        };
        let left = (AS_OF - profile.arrived_at) as f64 / DAY as f64;
        let mut created_at = profile.arrived_at + days(dice.lognormal(16.0, 0.8).min(left / 4.0) + 0.01);
        for _ in 0..TRIES_MAX {
            let is_won = is_customer || dice.chance(win_rate);
            let mut length = if is_won { dice.lognormal(cycle, 0.5) } else { dice.lognormal(cycle * 1.2, 0.6) };
            if is_customer {
                length = length.min(left / 3.0);
            }
            let closed_at = seconds(created_at + days(length) + 90);
            if created_at >= AS_OF {
                return;
            }
            let mut deal = Deal::draw(dice, "new", created_at, closed_at, is_won);
            deal.currency = profile.currency;
            deal.amount = Some(list_price(dice, profile));
            deal.is_deleted &= !is_customer;
            let closed_at = deal.closed_at;
            self.deals.push(deal);
            if is_won {
                self.won_at = closed_at;
                return;
            }
            if closed_at.is_none() || !dice.chance(RETRY_SHARE) {
                break;
            }
            created_at += days(length + dice.uniform(60.0, 200.0));
        }
    }

    /// Sets the amount of the win to a year of the subscription, as most sellers do.
    fn price_win(&mut self, dice: &mut Dice, profile: &Profile) {
        let Some(contract) = self.course.contracts.first() else {
            return;
        };
        let yearly = contract.spans.iter().take(1).map(|span| span.monthly(contract.discount) * 12).sum::<i64>();
        let factor = if dice.chance(0.88) { 100 } else { dice.between(70, 140) };
        if let Some(deal) = self.deals.last_mut() {
            deal.amount = Some(yearly * factor / 100);
            if dice.chance(NO_AMOUNT_SHARE) {
                deal.amount = None;
            }
            if dice.chance(NO_ACCOUNT_SHARE) && !profile.quirk.is_customer() {
                deal.owner = Owner::Nobody;
            }
        }
    }

    fn growth_deal(&mut self, dice: &mut Dice, profile: &Profile, growth: Growth) {
        if growth.is_won && !dice.chance(GROWTH_DEAL_SHARE) {
            return;
        }
        let won_at = self.won_at.unwrap_or(profile.arrived_at);
        // Renewals are signed in the days after the old year, expansions in those before the change.
        let shift = if growth.is_renewal { dice.between(0, 4) } else { -dice.between(1, 6) };
        let closed_at = instant(growth.day) + dice.between(8, 18) * HOUR + shift * DAY;
        let created_at = (closed_at - days(dice.lognormal(28.0, 0.4))).max(won_at + HOUR);
        if created_at + HOUR >= closed_at {
            return;
        }
        let kind = if growth.is_renewal { "renewal" } else { "expansion" };
        let mut deal = Deal::draw(dice, kind, created_at, closed_at, growth.is_won);
        deal.currency = profile.currency;
        deal.amount = (!dice.chance(NO_AMOUNT_SHARE)).then_some(growth.value);
        self.deals.push(deal);
    }

    fn add_leads(&mut self, dice: &mut Dice, profile: &Profile) {
        let first_deal = self.deals.first().map(|deal| deal.created_at);
        if dice.chance(0.72) || matches!(profile.quirk, Quirk::MergedLeads | Quirk::LateTouches) {
            let until = first_deal.unwrap_or(profile.arrived_at + 20 * DAY);
            let wait = days(dice.exponential(5.0)).min((until - profile.arrived_at) * 3 / 4);
            let mut lead = lead(dice, profile.arrived_at + wait);
            if let Some(converted_at) = first_deal {
                lead.qualified_at = Some(lead.created_at + (converted_at - lead.created_at) / 2);
                lead.converted_at = Some(converted_at);
                lead.deal = Some(0);
            } else if dice.chance(0.3) {
                lead.qualified_at = Some(lead.created_at + dice.between(20, 90) * HOUR);
                lead.converted_at = lead.qualified_at.map(|at| at + 3 * HOUR);
            }
            self.leads.push(lead);
        }
        if profile.contacts > 1 && dice.chance(0.22) {
            let created_at = profile.arrived_at + days(dice.uniform(5.0, 200.0));
            let mut lead = lead(dice, created_at);
            if dice.chance(0.5) {
                lead.qualified_at = Some(lead.created_at + dice.between(10, 120) * HOUR);
                lead.converted_at = lead.qualified_at.map(|at| at + HOUR);
            }
            self.leads.push(lead);
        }
        self.leads.retain(|lead| lead.created_at < AS_OF);
        self.leads.iter_mut().for_each(Lead::forget_future);
    }
}

impl Lead {
    /// Takes back what would happen at or after `as_of`.
    fn forget_future(&mut self) {
        for at in [&mut self.responded_at, &mut self.qualified_at, &mut self.converted_at] {
            *at = at.filter(|at| *at < AS_OF);
        }
        if self.converted_at.is_none() {
            self.deal = None;
        }
    }
}

/// Draws a lead: most are answered within hours, some late, some never.
pub fn lead(dice: &mut Dice, created_at: i64) -> Lead {
    let wait = if dice.chance(0.06) { dice.uniform(25.0, 120.0) } else { dice.lognormal(2.5, 1.0).min(23.0) };
    let responded_at = (!dice.chance(0.04)).then_some(created_at + (wait * HOUR as f64) as i64);
    Lead {
        created_at,
        responded_at: responded_at.map(seconds),
        qualified_at: None,
        converted_at: None,
        deal: None,
        merged_into: None,
        is_deleted: dice.chance(0.01),
    }
}

fn stranger_leads(dice: &mut Dice, profile: &Profile) -> Vec<Lead> {
    let created_at = profile.arrived_at + days(dice.exponential(2.0));
    let mut lead = lead(dice, created_at);
    if dice.chance(0.35) {
        lead.qualified_at = Some(lead.created_at + dice.between(10, 120) * HOUR);
    }
    lead.forget_future();
    if lead.created_at < AS_OF { vec![lead] } else { Vec::new() }
}

/// Draws what a seller first guesses a year to be worth, in cents.
fn list_price(dice: &mut Dice, profile: &Profile) -> i64 {
    let median = match profile.tier {
        Tier::Small => 1_800.0,
        Tier::Middle => 8_600.0,
        Tier::Large => 32_000.0,
    };
    (dice.lognormal(median, 0.45) as i64 / 10 * 10).max(240) * 100
}
