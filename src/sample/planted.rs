//! Deals and leads that are there for the sake of an edge case.

use super::calendar::{AS_OF, DAY, HOUR, LEAP_DAY, SECOND, instant};
use super::company::Company;
use super::deal::{Deal, Owner, WON};
use super::dice::{Dice, Stream};
use super::profile::Profile;
use super::quirk::Quirk;
use super::sales::{Lead, Sales, lead};

/// The instants around `as_of`: the last before it, itself, and the first after it.
pub const AS_OF_EDGES: [i64; 3] = [AS_OF - 1, AS_OF, AS_OF + 1];

/// Changes the deals and leads of an account to what its quirk is about.
pub fn deals(company: &Company, profile: &Profile, sales: &mut Sales) {
    let dice = &mut Dice::new(company.seed, Stream::Sales, profile.index, 1);
    let win = sales.deals.iter().position(Deal::is_won);
    match (profile.quirk, win) {
        (Quirk::LostDeals, _) => ownerless(dice, profile, sales),
        (Quirk::AsOfEdges, _) => around_as_of(dice, profile, sales),
        (Quirk::TwinWins, Some(win)) => twins(company, dice, sales, win),
        (Quirk::NoAmount, Some(win)) => sales.deals[win].amount = None,
        (Quirk::ZeroAmount, Some(win)) => sales.deals[win].amount = Some(0),
        (Quirk::NotClosed, Some(win)) => {
            sales.deals[win].closed_at = None;
            let created_at = sales.deals[win].created_at + HOUR;
            let mut lost = deal(dice, profile, created_at, created_at + HOUR, Outcome::Lost);
            lost.closed_at = None;
            sales.deals.push(lost);
        }
        (Quirk::NoHistory, Some(win)) => sales.deals[win].has_history = false,
        (Quirk::LeapDay, Some(win)) if company.calendar.start() <= instant(LEAP_DAY) => {
            let closed_at = instant(LEAP_DAY) + 12 * HOUR;
            let mut leap = sales.deals[win].clone();
            leap.kind = "expansion";
            leap.close_at(closed_at);
            sales.deals.push(leap);
        }
        (Quirk::LateTouches, _) => {
            if let Some(first) = sales.leads.first_mut() {
                first.is_deleted = false;
            }
        }
        (Quirk::MergedLeads, _) => merged_leads(dice, profile, sales),
        _ => {}
    }
}

enum Outcome {
    Won,
    Lost,
}

fn deal(dice: &mut Dice, profile: &Profile, created_at: i64, closed_at: i64, outcome: Outcome) -> Deal {
    let mut deal = Deal::draw(dice, "new", created_at, closed_at, matches!(outcome, Outcome::Won));
    deal.currency = profile.currency;
    deal.amount = Some(dice.between(20, 90) * 10_000);
    deal.is_deleted = false;
    deal
}

fn ownerless(dice: &mut Dice, profile: &Profile, sales: &mut Sales) {
    for owner in [Owner::Nobody, Owner::Unknown] {
        let closed_at = (profile.arrived_at + 40 * DAY).min(AS_OF - SECOND);
        let mut lost = deal(dice, profile, profile.arrived_at, closed_at, Outcome::Won);
        lost.owner = owner;
        sales.deals.push(lost);
    }
}

/// Adds deals that are created or closed around `as_of`, and leads.
fn around_as_of(dice: &mut Dice, profile: &Profile, sales: &mut Sales) {
    let created_at = profile.arrived_at.max(AS_OF - 35 * DAY);
    for edge in AS_OF_EDGES {
        let mut closed = deal(dice, profile, created_at, AS_OF - HOUR, Outcome::Won);
        closed.kind = "expansion";
        closed.stage = WON;
        closed.close_at(edge);
        sales.deals.push(closed);
        let mut open = deal(dice, profile, edge, AS_OF + 40 * DAY, Outcome::Lost);
        open.reopen();
        sales.deals.push(open);
        sales.leads.push(Lead { responded_at: None, is_deleted: false, ..lead(dice, edge) });
    }
}

/// Moves the win to the first instant of a month, and puts a second one beside it.
fn twins(company: &Company, dice: &mut Dice, sales: &mut Sales, win: usize) {
    let first = &mut sales.deals[win];
    let Some(closed_at) = first.closed_at else {
        return;
    };
    // The move is forward, by a month at most; the subscription starts where the win was drawn.
    if let Some(month_start) = company.month_start_after(closed_at) {
        first.close_at(month_start);
    }
    let mut second = first.clone();
    second.kind = "expansion";
    second.amount = second.amount.map(|amount| amount / dice.between(2, 5));
    sales.deals.push(second);
}

/// Adds a lead merged into the first one, two merged into each other, and one merged into itself.
fn merged_leads(dice: &mut Dice, profile: &Profile, sales: &mut Sales) {
    let Some(first) = sales.leads.first().cloned() else {
        return;
    };
    let count = sales.leads.len() as u32;
    let created_at = profile.arrived_at.min(first.created_at);
    for merged_into in [0, count + 2, count + 1, count + 3] {
        let merged = lead(dice, created_at);
        sales.leads.push(Lead { merged_into: Some(merged_into), is_deleted: merged_into == 0, ..merged });
    }
}
