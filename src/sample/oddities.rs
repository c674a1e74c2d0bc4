//! Rows of billing that are there for the sake of an edge case.

use super::billing::{Billing, Customer, Invoice, Item, Payment, Refund, Subscription, UNKNOWN_CUSTOMER};
use super::calendar::{AS_OF, AS_OF_DAY, DAY, LEAP_DAY, day_of, instant};
use super::company::Company;
use super::contract::Span;
use super::names::private_address;
use super::planted::AS_OF_EDGES;
use super::profile::Profile;
use super::quirk::Quirk;
use super::sales::Sales;

/// Adds to the billing of an account what its quirk is about.
pub fn bill(company: &Company, profile: &Profile, sales: &Sales, billing: &mut Billing) {
    let has_subscription = !billing.subscriptions.is_empty();
    match profile.quirk {
        Quirk::Orphans => orphans(profile, billing),
        Quirk::OddItems if has_subscription => odd_items(billing),
        Quirk::OddIntervals if has_subscription => odd_intervals(billing),
        Quirk::AsOfEdges if has_subscription => {
            for edge in AS_OF_EDGES {
                pay(billing, 0, edge, edge);
            }
        }
        Quirk::TwinWins if has_subscription => {
            let issued_at = sales.deals.iter().filter(|deal| deal.is_won()).find_map(|deal| deal.closed_at);
            if let Some(issued_at) = issued_at.filter(|at| *at < AS_OF) {
                pay(billing, 0, issued_at, issued_at);
            }
        }
        Quirk::LeapDay if company.calendar.start() <= instant(LEAP_DAY) && has_subscription => {
            billing.subscriptions[0].started_at = instant(LEAP_DAY);
            billing.items.push(item(0, "Pilot", 1, 200_000, LEAP_DAY, Some(LEAP_DAY + 60)));
            pay(billing, 0, instant(LEAP_DAY), instant(LEAP_DAY + 1) - 1);
        }
        Quirk::CustomersMerged if has_subscription => {
            for merged_into in [2, 0, 4, 3] {
                let email = Some(private_address(company, profile.index, 80 + u64::from(merged_into)));
                let created_at = profile.created_at;
                let merged_into = Some(merged_into);
                let is_deleted = merged_into == Some(0);
                billing.customers.push(Customer { has_account: false, email, created_at, merged_into, is_deleted });
            }
            billing.invoices.iter_mut().step_by(2).for_each(|invoice| invoice.customer = 1);
        }
        _ => {}
    }
}

fn item(subscription: u32, product: &'static str, quantity: i64, price: i64, from: i32, to: Option<i32>) -> Item {
    let span = Span { product, quantity, price, from, to };
    Item { subscription, span, interval: ("month", 1), discount: None }
}

/// Adds an invoice of 49.00 that is paid, and half of it refunded, at given instants.
fn pay(billing: &mut Billing, customer: u32, issued_at: i64, paid_at: i64) {
    let (invoice, payment) = (billing.invoices.len() as u32, billing.payments.len() as u32);
    let paid = Some(paid_at);
    let (status, subtotal) = ("paid", 4_900);
    billing.invoices.push(Invoice { customer, subscription: None, status, issued_at, paid_at: paid, subtotal, tax: 0 });
    billing.payments.push(Payment { customer, invoice: Some(invoice), status: "succeeded", amount: subtotal, paid_at });
    billing.refunds.push(Refund { payment, amount: subtotal / 2, refunded_at: paid_at });
}

fn orphans(profile: &Profile, billing: &mut Billing) {
    let subscription = billing.subscriptions.len() as u32;
    let started_at = profile.created_at;
    billing.subscriptions.push(Subscription {
        customer: UNKNOWN_CUSTOMER,
        status: "active",
        started_at,
        trial_ends_at: None,
        canceled_at: None,
        ended_at: None,
    });
    billing.items.push(item(subscription, "Starter", 5, 190_000, day_of(started_at), None));
    pay(billing, UNKNOWN_CUSTOMER, started_at, started_at);
    billing.payments.push(Payment {
        customer: UNKNOWN_CUSTOMER,
        invoice: None,
        status: "failed",
        amount: 4_900,
        paid_at: started_at,
    });
}

fn odd_items(billing: &mut Billing) {
    let from = day_of(billing.subscriptions[0].started_at);
    billing.items.push(item(0, "Credit", 1, -150_000, from, None));
    billing.items.push(item(0, "Returned seats", -2, 190_000, from, None));
    billing.items.push(item(0, "Next year's seats", 4, 190_000, AS_OF_DAY + 60, None));
    billing.items.push(item(0, "Starts with the month", 1, 120_000, AS_OF_DAY, None));
    billing.items.push(item(0, "Ends with the month", 1, 120_000, from, Some(AS_OF_DAY)));
    billing.items.push(Item { discount: Some(1_000_000), ..item(0, "Support", 1, 990_000, from, None) });
}

/// Adds an invoice of 13.00 that is not paid, issued eight days before `as_of`, and a payment on its way if it is open.
fn add_unpaid(billing: &mut Billing, status: &'static str) {
    let (issued_at, paid_at) = (AS_OF - 8 * DAY, None);
    let (customer, subscription, subtotal, tax) = (0, Some(0), 1_300, 0);
    let invoice = Some(billing.invoices.len() as u32);
    billing.invoices.push(Invoice { customer, subscription, status, issued_at, paid_at, subtotal, tax });
    if status == "open" {
        let paid_at = AS_OF - DAY;
        billing.payments.push(Payment { customer, invoice, status: "pending", amount: subtotal, paid_at });
    }
}

/// Adds a subscription of 13.00 a month that started ten days before `as_of`.
fn add_status(billing: &mut Billing, status: &'static str) {
    let started_at = AS_OF - 10 * DAY;
    let trial_ends_at = (status == "trialing").then_some(AS_OF + 4 * DAY);
    // Who does not pay is cancelled, but the subscription never says that it has ended.
    let canceled_at = (status == "unpaid").then_some(AS_OF - 2 * DAY);
    billing.items.push(item(billing.subscriptions.len() as u32, "Sandbox", 1, 130_000, day_of(started_at), None));
    let (customer, ended_at) = (0, None);
    billing.subscriptions.push(Subscription { customer, status, started_at, trial_ends_at, canceled_at, ended_at });
}

fn odd_intervals(billing: &mut Billing) {
    let from = day_of(billing.subscriptions[0].started_at);
    for interval in [("day", 1), ("week", 1), ("week", 2), ("month", 3), ("year", 2)] {
        billing.items.push(Item { interval, ..item(0, "Sandbox", 1, 130_000, from, None) });
    }
    for status in ["trialing", "unpaid", "past_due", "incomplete", "incomplete_expired"] {
        add_status(billing, status);
    }
    for status in ["draft", "open", "void", "uncollectible"] {
        add_unpaid(billing, status);
    }
    // A recovered payment two days late, so that every account of this kind has one.
    let paid_at = billing.subscriptions[0].started_at + 2 * DAY;
    if paid_at < AS_OF {
        pay(billing, 0, paid_at - 2 * DAY, paid_at);
        let invoice = Some(billing.invoices.len() as u32 - 1);
        let (status, amount) = ("failed", 4_900);
        billing.payments.push(Payment { customer: 0, invoice, status, amount, paid_at: paid_at - DAY });
    }
}
