//! Recurring revenue, entity by entity and month by month, in whole hundred-millionths of cents.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::calendar::{day, month, month_before, next_month, start};
use super::company::{Company, Item, Subscription};
use super::exact::{money, rounded};
use super::identity::Identity;
use super::{Row, flag};

pub const SQL: &str = "select month, account_id, segment, opening, movement, change, fx, closing, is_complete from mrr";

pub const MOVEMENTS_SQL: &str = "select month, opening, new, expansion, contraction, churn, reactivation, fx, closing,
        customers_opening, customers_new, customers_churned, customers_reactivated, customers_closing, is_complete
    from mrr_movements";

/// Cents by currency.
type Amounts = BTreeMap<&'static str, i128>;

/// What one entity and month come to, in cents.
struct EntityMonth {
    month: NaiveDate,
    entity: String,
    opening: i128,
    movement: &'static str,
    change: i128,
    fx: i128,
    closing: i128,
}

/// Returns the rows of `metrics.mrr`.
pub fn expected(company: &Company) -> Vec<Row> {
    let identity = Identity::of(company);
    let this_month = month(day(company.zone, company.as_of));
    let rows = entity_months(&identity, &spine(&identity));
    rows.iter()
        .map(|row| {
            let cells = vec![
                row.month.to_string(),
                row.entity.clone(),
                identity.segment(&row.entity),
                money(row.opening),
                row.movement.to_owned(),
                money(row.change),
                money(row.fx),
                money(row.closing),
                flag(row.month < this_month),
            ];
            Row { cells, doubles: Vec::new() }
        })
        .collect()
}

/// Returns the rows of `metrics.mrr_movements`.
pub fn expected_movements(company: &Company) -> Vec<Row> {
    let identity = Identity::of(company);
    let spine = spine(&identity);
    let entities = entity_months(&identity, &spine);
    let this_month = month(day(company.zone, company.as_of));
    spine
        .iter()
        .map(|month| {
            let of_month: Vec<&EntityMonth> = entities.iter().filter(|row| row.month == *month).collect();
            let sum = |amount: &dyn Fn(&EntityMonth) -> i128| money(of_month.iter().map(|row| amount(row)).sum());
            let moved = |movement, sign: i128| sum(&|row| if row.movement == movement { sign * row.change } else { 0 });
            let count =
                |holds: &dyn Fn(&EntityMonth) -> bool| of_month.iter().filter(|row| holds(row)).count().to_string();
            let cells = vec![
                month.to_string(),
                sum(&|row| row.opening),
                moved("new", 1),
                moved("expansion", 1),
                moved("contraction", -1),
                moved("churn", -1),
                moved("reactivation", 1),
                sum(&|row| row.fx),
                sum(&|row| row.closing),
                count(&|row| row.opening > 0),
                count(&|row| row.movement == "new"),
                count(&|row| row.movement == "churn"),
                count(&|row| row.movement == "reactivation"),
                count(&|row| row.closing > 0),
                flag(*month < this_month),
            ];
            Row { cells, doubles: Vec::new() }
        })
        .collect()
}

/// Returns the months from the earliest item whose customer exists to the one that ends at `as_of` or later.
fn spine(identity: &Identity) -> Vec<NaiveDate> {
    let company = identity.company;
    let known = company.items.values().filter(|item| {
        let subscription = company.subscriptions.get(&item.subscription);
        subscription.is_some_and(|subscription| company.customers.contains_key(&subscription.customer))
    });
    let last = month(day(company.zone, company.as_of - 1));
    let mut months = Vec::new();
    let mut next = known.map(|item| month(item.from)).min();
    while let Some(month) = next.filter(|month| *month <= last) {
        months.push(month);
        next = Some(next_month(month));
    }
    months
}

fn entity_months(identity: &Identity, spine: &[NaiveDate]) -> Vec<EntityMonth> {
    let company = identity.company;
    let mut items: BTreeMap<String, Vec<(&Item, &Subscription)>> = BTreeMap::new();
    for item in company.items.values() {
        let Some(subscription) = company.subscriptions.get(&item.subscription) else { continue };
        if let Some(entity) = identity.entity(&subscription.customer) {
            items.entry(entity).or_default().push((item, subscription));
        }
    }
    let mut rows = Vec::new();
    for (entity, items) in items {
        let mut was_active = false;
        for month in spine {
            let row = entity_month(identity, &entity, &items, *month, was_active);
            was_active |= row.closing > 0;
            if row.opening > 0 || row.closing > 0 {
                rows.push(row);
            }
        }
    }
    rows
}

fn entity_month(
    identity: &Identity,
    entity: &str,
    items: &[(&Item, &Subscription)],
    of: NaiveDate,
    was_active: bool,
) -> EntityMonth {
    let before = month_before(of);
    let (then, now) = (at_end(identity, items, before), at_end(identity, items, of));
    let valued = |amounts: &Amounts, rates_of: NaiveDate| -> i128 {
        let last_day = next_month(rates_of).pred_opt().expect("a day before");
        amounts.iter().map(|(currency, cents)| cents * identity.rate(currency, last_day)).sum()
    };
    let (opening_exact, closing_exact) = (valued(&then, before), valued(&now, of));
    let (opening, closing) = (rounded(opening_exact, 100_000_000), rounded(closing_exact, 100_000_000));
    let fx_exact = valued(&then, of) - opening_exact;
    let change = if opening == 0 { closing } else { rounded(closing_exact - opening_exact - fx_exact, 100_000_000) };
    let movement = match (opening > 0, closing > 0) {
        (false, true) => {
            if was_active {
                "reactivation"
            } else {
                "new"
            }
        }
        (true, false) => "churn",
        (true, true) if change > 0 => "expansion",
        (true, true) if change < 0 => "contraction",
        _ => "none",
    };
    EntityMonth {
        month: of,
        entity: entity.to_owned(),
        opening,
        movement,
        change,
        fx: closing - opening - change,
        closing,
    }
}

/// Returns the amounts that count at the end of a month.
fn at_end(identity: &Identity, items: &[(&Item, &Subscription)], of: NaiveDate) -> Amounts {
    let company = identity.company;
    let end = start(company.zone, next_month(of)).min(company.as_of);
    let mut amounts = Amounts::new();
    for (item, subscription) in items {
        let item_counts =
            start(company.zone, item.from) < end && item.to.is_none_or(|to| start(company.zone, to) >= end);
        if item_counts && subscription_counts(subscription, end) {
            *amounts.entry(item.currency).or_default() += monthly_cents(item).max(0);
        }
    }
    amounts
}

fn subscription_counts(subscription: &Subscription, end: i64) -> bool {
    let status = subscription.status;
    let is_over = ["canceled", "unpaid"].contains(&status);
    let ended_at = subscription.ended_at.or(if is_over { subscription.canceled_at } else { None });
    !["incomplete", "incomplete_expired", "trialing"].contains(&status)
        && subscription.started_at < end
        && subscription.trial_ends_at.is_none_or(|trial_ends_at| trial_ends_at < end)
        && ended_at.is_none_or(|ended_at| ended_at >= end)
}

fn monthly_cents(item: &Item) -> i128 {
    let (months, parts) = match item.interval {
        "month" => (1, item.interval_count),
        "year" => (1, 12 * item.interval_count),
        "week" => (52, 12 * item.interval_count),
        "day" => (365, 12 * item.interval_count),
        other => panic!("no interval {other}"),
    };
    // Three numbers with 4 places, the third a percentage; two places of cents are left.
    let amount = item.unit_amount * item.quantity * (1_000_000 - item.discount.unwrap_or(0)) * months;
    rounded(amount, 1_000_000 * 1_000_000 * parts)
}
