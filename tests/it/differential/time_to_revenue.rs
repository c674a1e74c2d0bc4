//! From the first touch to the first payment, account by account.

use std::collections::BTreeMap;

use super::company::{Company, Opportunity};
use super::identity::Identity;
use super::{Row, flag};

pub const SQL: &str = "select account_id, segment, channel, cast(first_touch_at as bigint) as first_touch_at,
        cast(lead_created_at as bigint) as lead_created_at,
        cast(opportunity_created_at as bigint) as opportunity_created_at, cast(won_at as bigint) as won_at,
        cast(first_payment_at as bigint) as first_payment_at, status, is_complete, days_touch_to_lead,
        days_lead_to_opportunity, days_opportunity_to_won, days_won_to_payment, days_to_revenue
    from time_to_revenue";

/// What an account has, of each kind the earliest, with an id where instants tie.
#[derive(Default)]
struct Milestones {
    touch: Option<(i64, String, &'static str)>,
    lead: Option<i64>,
    first_created: Option<i64>,
    conversion: Option<(i64, String, i64)>,
    has_won: bool,
    has_open: bool,
    payment: Option<i64>,
}

/// Returns the rows of `metrics.time_to_revenue`.
pub fn expected(company: &Company) -> Vec<Row> {
    let identity = Identity::of(company);
    let mut accounts: BTreeMap<String, Milestones> = BTreeMap::new();
    for (id, touch) in company.touches.iter().filter(|(_, touch)| touch.touched_at < company.as_of) {
        if let Some(account) = identity.account_of_touch(id) {
            let found = accounts.entry(account).or_default();
            keep_least(&mut found.touch, (touch.touched_at, id.clone(), touch.channel));
        }
    }
    for (_, lead, account) in identity.live_leads() {
        if let Some(account) = account {
            keep_least(&mut accounts.entry(account).or_default().lead, lead.created_at);
        }
    }
    for (id, deal) in &company.opportunities {
        if deal.is_deleted || deal.created_at >= company.as_of {
            continue;
        }
        if let Some(account) = identity.live_account(deal.account.as_deref()) {
            add_deal(accounts.entry(account).or_default(), id, deal, company.as_of);
        }
    }
    for (id, payment) in company.payments.iter().filter(|(_, payment)| payment.paid_at < company.as_of) {
        if let Some(entity) = identity.entity(&payment.customer) {
            let found = accounts.entry(entity).or_default();
            if payment.status == "succeeded" && payment.amount > 0 && refunded(company, id) < payment.amount {
                keep_least(&mut found.payment, payment.paid_at);
            }
        }
    }
    accounts.iter().map(|(account, found)| row(&identity, account, found)).collect()
}

fn keep_least<T: Ord>(least: &mut Option<T>, value: T) {
    if least.as_ref().is_none_or(|least| value < *least) {
        *least = Some(value);
    }
}

fn add_deal(found: &mut Milestones, id: &str, deal: &Opportunity, as_of: i64) {
    // What closes at as_of or later is open.
    let closes_later = deal.closed_at.is_some_and(|closed_at| closed_at >= as_of);
    let is_over = (deal.is_closed || deal.is_won) && !closes_later;
    keep_least(&mut found.first_created, deal.created_at);
    found.has_open |= !is_over;
    if deal.is_won && is_over {
        found.has_won = true;
        if let Some(closed_at) = deal.closed_at {
            keep_least(&mut found.conversion, (closed_at, id.to_owned(), deal.created_at));
        }
    }
}

/// Returns what was given back of a payment, in its own currency.
pub fn refunded(company: &Company, payment: &str) -> i128 {
    let currency = company.payments[payment].currency;
    let known = company.refunds.values().filter(|refund| refund.refunded_at < company.as_of);
    known.filter(|refund| refund.payment == payment && refund.currency == currency).map(|refund| refund.amount).sum()
}

fn row(identity: &Identity, account: &str, found: &Milestones) -> Row {
    let touched = found.touch.as_ref().map(|touch| touch.0);
    let won = found.conversion.as_ref().map(|conversion| conversion.0);
    let created = found.conversion.as_ref().map(|conversion| conversion.2).or(found.first_created);
    let status = if found.payment.is_some() {
        "paid"
    } else if found.has_won {
        "won_unpaid"
    } else if found.has_open {
        "open"
    } else if found.first_created.is_some() {
        "lost"
    } else {
        "lead"
    };
    let instant = |at: Option<i64>| at.map_or_else(|| "NULL".to_owned(), |at| at.to_string());
    let cells = vec![
        account.to_owned(),
        identity.segment(account),
        found.touch.as_ref().map_or("(none)", |touch| touch.2).to_owned(),
        instant(touched),
        instant(found.lead),
        instant(created),
        instant(won),
        instant(found.payment),
        status.to_owned(),
        flag(found.payment.is_some()),
    ];
    let legs =
        [(touched, found.lead), (found.lead, created), (created, won), (won, found.payment), (touched, found.payment)];
    Row { cells, doubles: legs.map(|(from, to)| days(from, to)).to_vec() }
}

fn days(from: Option<i64>, to: Option<i64>) -> Option<f64> {
    let micros = to? - from?;
    (micros >= 0).then_some(micros as f64 / 86_400_000_000.0)
}
