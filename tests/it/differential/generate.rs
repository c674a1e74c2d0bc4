//! Random small companies in which the hard cases are likely.
//!
//! Instants come from a short list, so that they tie: every tenth day before `as_of` and the starts of local months,
//! each with its neighbours a microsecond away. Lookbacks are multiples of ten days, so touches lie on both ends.
//! References may point to a row that does not exist.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeInclusive;

use chrono::{Duration, NaiveDate};
use chrono_tz::Tz;
use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy};
use proptest::sample::select;
use proptest::{option, prop_oneof};

use super::calendar::{day, month, month_before, start};
use super::company::{
    Account, Company, Contact, Customer, Item, Lead, Opportunity, Payment, REPORTING_CURRENCY, Refund, Rows,
    Subscription, Touch,
};

const MICROS_PER_DAY: i64 = 86_400_000_000;

// Rows of a table at most. A company costs little more with more rows, so there are few companies with many.
const ACCOUNTS: usize = 8;
const CONTACTS: usize = 9;
const LEADS: usize = 12;
const OPPORTUNITIES: usize = 16;
const CUSTOMERS: usize = 8;
const SUBSCRIPTIONS: usize = 12;
const PAYMENTS: usize = 24;
const TOUCHES: usize = 70;
const ITEMS: usize = 24;
const REFUNDS: usize = 14;

/// In the order in which a failing company is made smaller. Months of Asuncion start without a midnight, and those of
/// the others at odd instants.
const ZONES: [Tz; 8] = [
    Tz::UTC,
    Tz::America__Asuncion,
    Tz::America__Sao_Paulo,
    Tz::Europe__Berlin,
    Tz::Asia__Kathmandu,
    Tz::Pacific__Auckland,
    Tz::Asia__Beirut,
    Tz::America__Havana,
];

/// Days at whose start `as_of` may be; the clocks of Asuncion skip the midnight of 2023-10-01.
const LAST_DAYS: [&str; 5] = ["2024-04-01", "2023-10-01", "2024-03-01", "2024-02-01", "2024-03-18"];

const EMAILS: [&str; 10] = [
    "ann@free.org",
    "bob@free.org",
    "cat@one.com",
    "dan@two.com",
    "\" Ann@FREE.org \"",
    "eve@gmail.com",
    "fay@cat@TWO.com",
    "one.com",
    "gus@sub.one.com",
    "\"  \"",
];

/// Which rows a company has besides its accounts and contacts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rest {
    Sales,
    Subscriptions,
    SalesAndPayments,
}

/// Returns companies.
pub fn companies(rest: Rest) -> impl Strategy<Value = Company> {
    (select(&ZONES[..]), select(&LAST_DAYS[..]), prop_oneof![3 => Just(0), 1 => Just(55_800_000_000)]).prop_flat_map(
        move |(zone, last_day, later)| {
            let as_of = start(zone, last_day.parse().expect("a day")) + later;
            let (sales, billing) = (rest != Rest::Subscriptions, rest != Rest::Sales);
            let clock = Clock { zone, as_of, tens: if sales { 8 } else { 13 }, months: if sales { 2 } else { 7 } };
            let people = (accounts(), contacts(), if sales { leads(&clock, LEADS) } else { leads(&clock, 0) });
            // With fewer deals more accounts have lost all of theirs.
            let deals_max = match rest {
                Rest::Sales => OPPORTUNITIES,
                Rest::SalesAndPayments => 6,
                Rest::Subscriptions => 0,
            };
            let deals = (opportunities(&clock, deals_max), roles(), touches(&clock, if sales { TOUCHES } else { 0 }));
            let has_items = rest == Rest::Subscriptions;
            let bills = (
                customers(if billing { CUSTOMERS } else { 0 }),
                subscriptions(&clock, if has_items { SUBSCRIPTIONS } else { 0 }),
                items(&clock, if has_items { ITEMS } else { 0 }),
                payments(&clock, if billing && !has_items { PAYMENTS } else { 0 }),
                refunds(&clock, if billing && !has_items { REFUNDS } else { 0 }),
                rates(&clock),
            );
            let settings = (select(vec![30, 20, 10, 90]), select(vec![7.0, 1.5, 30.0]), select(vec![false, true]));
            (people, deals, bills, settings).prop_map(move |(people, deals, bills, settings)| Company {
                zone,
                as_of,
                lookback_days: settings.0,
                half_life_days: settings.1,
                has_contact_roles: settings.2,
                accounts: people.0,
                contacts: people.1,
                leads: people.2,
                opportunities: deals.0,
                roles: deals.1,
                touches: deals.2,
                customers: bills.0,
                subscriptions: bills.1,
                items: bills.2,
                payments: bills.3,
                refunds: bills.4,
                rates: bills.5,
            })
        },
    )
}

/// The instants and days that rows may have.
struct Clock {
    zone: Tz,
    as_of: i64,
    /// How many tenth days before `as_of`, and months before its own, rows may have.
    tens: i64,
    months: usize,
}

impl Clock {
    fn instants(&self) -> BoxedStrategy<i64> {
        let mut anchors: Vec<i64> = (0..self.tens).map(|tens| self.as_of - tens * 10 * MICROS_PER_DAY).collect();
        anchors.extend(self.months().iter().map(|first| start(self.zone, *first)));
        let jitter = prop_oneof![9 => Just(0), 1 => Just(-1), 1 => Just(1), 1 => Just(3_600_000_000)];
        (select(anchors), jitter).prop_map(|(anchor, jitter)| anchor + jitter).boxed()
    }

    fn months(&self) -> Vec<NaiveDate> {
        let mut months = vec![month(day(self.zone, self.as_of))];
        for _ in 0..self.months {
            months.push(month_before(months[months.len() - 1]));
        }
        months
    }

    fn days(&self) -> BoxedStrategy<NaiveDate> {
        let mut days = vec![day(self.zone, self.as_of), day(self.zone, self.as_of - 1)];
        for first in self.months() {
            days.extend([first, first - Duration::days(1), first + Duration::days(14)]);
        }
        select(days).boxed()
    }

    fn maybe_instant(&self) -> BoxedStrategy<Option<i64>> {
        option::weighted(0.4, self.instants()).boxed()
    }
}

fn id(prefix: &str, number: usize) -> String {
    format!("{prefix}{number:02}")
}

/// Returns rows with ids of two digits, so that their order is that of their numbers.
fn table<T: Debug>(
    prefix: &'static str,
    counts: RangeInclusive<usize>,
    row: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Rows<T>> {
    vec(row, counts)
        .prop_map(move |rows| (1..).zip(rows).map(|(number, row)| (id(prefix, number), row)).collect())
        .boxed()
}

/// Returns ids, mostly those of the first rows, and rarely one of which there is no row.
fn link(prefix: &'static str, most: usize) -> BoxedStrategy<String> {
    prop_oneof![6 => 1..=most.div_ceil(2), 1 => 1..=most + 1].prop_map(move |number| id(prefix, number)).boxed()
}

/// Returns how many rows a table has that has `most` at most.
fn counts(most: usize) -> RangeInclusive<usize> {
    most.div_ceil(2)..=most
}

fn maybe(share: f64, prefix: &'static str, most: usize) -> BoxedStrategy<Option<String>> {
    option::weighted(share, link(prefix, most)).boxed()
}

fn rarely() -> BoxedStrategy<bool> {
    prop_oneof![5 => Just(false), 1 => Just(true)].boxed()
}

fn email() -> BoxedStrategy<Option<&'static str>> {
    option::weighted(0.6, select(&EMAILS[..])).boxed()
}

fn accounts() -> BoxedStrategy<Rows<Account>> {
    let domain = option::of(select(&["one.com", "two.com", "gmail.com", "\" Two.COM \""][..]));
    let segment = option::of(select(&["smb", "enterprise"][..]));
    let row = (domain, segment, maybe(0.35, "A", ACCOUNTS), rarely())
        .prop_map(|(domain, segment, merged_into, is_deleted)| Account { domain, segment, merged_into, is_deleted });
    let has_cycle = prop_oneof![2 => Just(false), 1 => Just(true)];
    (table("A", counts(ACCOUNTS), row), has_cycle)
        .prop_map(|(mut accounts, has_cycle)| {
            if has_cycle {
                for (from, to) in [(1, 2), (2, 1), (3, 2)] {
                    accounts.entry(id("A", from)).and_modify(|row| row.merged_into = Some(id("A", to)));
                }
            }
            accounts
        })
        .boxed()
}

fn contacts() -> BoxedStrategy<Rows<Contact>> {
    let row = (maybe(0.8, "A", ACCOUNTS), email(), maybe(0.25, "C", CONTACTS), rarely())
        .prop_map(|(account, email, merged_into, is_deleted)| Contact { account, email, merged_into, is_deleted });
    table("C", counts(CONTACTS), row)
}

fn leads(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Lead>> {
    let links =
        (maybe(0.7, "A", ACCOUNTS), maybe(0.4, "C", CONTACTS), maybe(0.5, "D", OPPORTUNITIES), maybe(0.2, "L", LEADS));
    let row = (email(), clock.instants(), links, rarely()).prop_map(
        |(email, created_at, (account, contact, opportunity, merged_into), is_deleted)| Lead {
            email,
            created_at,
            account,
            contact,
            opportunity,
            merged_into,
            is_deleted,
        },
    );
    table("L", counts(most), row)
}

fn currency() -> BoxedStrategy<&'static str> {
    prop_oneof![3 => Just(REPORTING_CURRENCY), 2 => Just("EUR"), 1 => Just("GBP"), 1 => Just("JPY")].boxed()
}

fn cents() -> BoxedStrategy<i128> {
    prop_oneof![select(vec![1_i128, 5, 10_005, 100_000, 0, -1_250, 99_999_999]), 1..2_000_000_i128].boxed()
}

fn opportunities(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Opportunity>> {
    // Closed, won: a deal may be won and not be flagged as closed.
    let flags = prop_oneof![
        6 => Just((true, true)),
        1 => Just((false, true)),
        4 => Just((true, false)),
        2 => Just((false, false)),
    ];
    let closed_at = option::weighted(0.85, clock.instants());
    let money = (option::weighted(0.85, cents()), currency());
    let kind = select(&["new", "expansion", "renewal"][..]);
    let row = (maybe(0.9, "A", ACCOUNTS), kind, money, clock.instants(), closed_at, flags, rarely()).prop_map(
        |(account, kind, (amount, currency), created_at, closed_at, (is_closed, is_won), is_deleted)| Opportunity {
            account,
            kind,
            amount,
            currency,
            created_at,
            closed_at,
            is_closed,
            is_won,
            is_deleted,
        },
    );
    table("D", counts(most), row)
}

fn roles() -> BoxedStrategy<Vec<(String, String)>> {
    let pairs = vec((link("D", OPPORTUNITIES), link("C", CONTACTS)), 0..=14);
    pairs
        .prop_map(|mut pairs| {
            pairs.sort();
            pairs.dedup();
            pairs
        })
        .boxed()
}

fn touches(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Touch>> {
    let channel = select(&["direct", "email", "paid"][..]);
    let campaign = option::of(select(&["K1", "K2"][..]));
    // By a contact or by a lead, as trackers write it.
    let person = prop_oneof![
        3 => Just((None, None)),
        2 => link("C", CONTACTS).prop_map(|contact| (Some(contact), None)),
        2 => link("L", LEADS).prop_map(|lead| (None, Some(lead))),
    ];
    let row = (clock.instants(), channel, campaign, maybe(0.6, "A", ACCOUNTS), person, email()).prop_map(
        |(touched_at, channel, campaign, account, (contact, lead), email)| Touch {
            touched_at,
            channel,
            campaign,
            account,
            contact,
            lead,
            email,
        },
    );
    table("T", counts(most), row)
}

fn customers(most: usize) -> BoxedStrategy<Rows<Customer>> {
    let row = (maybe(0.6, "A", ACCOUNTS), email(), maybe(0.25, "B", CUSTOMERS), rarely())
        .prop_map(|(account, email, merged_into, is_deleted)| Customer { account, email, merged_into, is_deleted });
    table("B", counts(most), row)
}

fn subscriptions(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Subscription>> {
    let status = prop_oneof![
        6 => Just("active"),
        3 => Just("canceled"),
        1 => select(&["trialing", "incomplete", "incomplete_expired", "unpaid", "past_due"][..]),
    ];
    let ends =
        (option::weighted(0.2, clock.instants()), clock.maybe_instant(), option::weighted(0.2, clock.instants()));
    let row = (link("B", CUSTOMERS), status, clock.instants(), ends).prop_map(
        |(customer, status, started_at, (trial_ends_at, canceled_at, ended_at))| Subscription {
            customer,
            status,
            started_at,
            trial_ends_at,
            canceled_at,
            ended_at,
        },
    );
    table("S", counts(most), row)
}

fn items(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Item>> {
    let interval = (select(&["month", "year", "week", "day"][..]), select(vec![1_i128, 2, 3]));
    let discount = option::weighted(0.3, select(vec![100_000_i128, 333_333, 1_000_000, 5_000]));
    let unit_amount = prop_oneof![select(vec![10_000_i128, 50, 12_345_678, -50_000]), 1..5_000_000_i128];
    let money = (select(vec![10_000_i128, 30_000, 15_000, 0]), unit_amount, currency());
    let span = (clock.days(), option::weighted(0.5, clock.days()));
    let row =
        (link("S", SUBSCRIPTIONS), money, interval, discount, span).prop_map(
            |(subscription, (quantity, unit_amount, currency), (interval, interval_count), discount, (from, to))| {
                Item { subscription, quantity, unit_amount, currency, interval, interval_count, discount, from, to }
            },
        );
    table("I", counts(most), row)
}

fn payments(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Payment>> {
    let status = prop_oneof![5 => Just("succeeded"), 1 => Just("failed"), 1 => Just("pending")];
    let amount = select(vec![10_000_i128, 5_000, 1, 0]);
    let row = (link("B", CUSTOMERS), status, amount, currency(), clock.instants()).prop_map(
        |(customer, status, amount, currency, paid_at)| Payment { customer, status, amount, currency, paid_at },
    );
    table("P", counts(most), row)
}

fn refunds(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Refund>> {
    let amount = select(vec![10_000_i128, 5_000, 9_999, 1]);
    let row = (link("P", PAYMENTS), amount, currency(), clock.instants())
        .prop_map(|(payment, amount, currency, refunded_at)| Refund { payment, amount, currency, refunded_at });
    table("R", counts(most), row)
}

/// Returns rates: the euro from long before, the pound from some day on, the reporting currency to be passed over.
fn rates(clock: &Clock) -> BoxedStrategy<BTreeMap<(&'static str, NaiveDate), i128>> {
    let first = "2020-01-01".parse::<NaiveDate>().expect("a day");
    let currency = select(&["EUR", "GBP", "EUR", REPORTING_CURRENCY][..]);
    let rate = select(vec![110_000_000_i128, 125_000_000, 91_234_567, 100_000_000, 1]);
    vec(((currency, clock.days()), rate), 0..=8)
        .prop_map(move |rows| {
            let mut rates: BTreeMap<_, _> = rows.into_iter().collect();
            rates.insert(("EUR", first), 105_000_000);
            rates
        })
        .boxed()
}
