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

/// Rows by their ids.
pub type Rows<T> = BTreeMap<String, T>;

pub const REPORTING_CURRENCY: &str = "USD";

const MICROS_PER_DAY: i64 = 86_400_000_000;

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

#[derive(Debug, Clone)]
pub struct Account {
    pub domain: Option<&'static str>,
    pub segment: Option<&'static str>,
    pub merged_into: Option<String>,
    pub is_deleted: bool,
}

#[derive(Debug, Clone)]
pub struct Contact {
    pub account: Option<String>,
    pub email: Option<&'static str>,
    pub merged_into: Option<String>,
    pub is_deleted: bool,
}

#[derive(Debug, Clone)]
pub struct Lead {
    pub email: Option<&'static str>,
    pub created_at: i64,
    pub account: Option<String>,
    pub contact: Option<String>,
    pub opportunity: Option<String>,
    pub merged_into: Option<String>,
    pub is_deleted: bool,
}

#[derive(Debug, Clone)]
pub struct Opportunity {
    pub account: Option<String>,
    pub kind: &'static str,
    pub amount: Option<i128>,
    pub currency: &'static str,
    pub created_at: i64,
    pub closed_at: Option<i64>,
    pub is_closed: bool,
    pub is_won: bool,
    pub is_deleted: bool,
}

#[derive(Debug, Clone)]
pub struct Touch {
    pub touched_at: i64,
    pub channel: &'static str,
    pub campaign: Option<&'static str>,
    pub account: Option<String>,
    pub contact: Option<String>,
    pub lead: Option<String>,
    pub email: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Customer {
    pub account: Option<String>,
    pub email: Option<&'static str>,
    pub merged_into: Option<String>,
    pub is_deleted: bool,
}

#[derive(Debug, Clone)]
pub struct Subscription {
    pub customer: String,
    pub status: &'static str,
    pub started_at: i64,
    pub trial_ends_at: Option<i64>,
    pub canceled_at: Option<i64>,
    pub ended_at: Option<i64>,
}

/// Amounts, quantities and discounts are in ten-thousandths.
#[derive(Debug, Clone)]
pub struct Item {
    pub subscription: String,
    pub quantity: i128,
    pub unit_amount: i128,
    pub currency: &'static str,
    pub interval: &'static str,
    pub interval_count: i128,
    pub discount: Option<i128>,
    pub from: NaiveDate,
    pub to: Option<NaiveDate>,
}

#[derive(Debug, Clone)]
pub struct Payment {
    pub customer: String,
    pub status: &'static str,
    pub amount: i128,
    pub currency: &'static str,
    pub paid_at: i64,
}

#[derive(Debug, Clone)]
pub struct Refund {
    pub payment: String,
    pub amount: i128,
    pub currency: &'static str,
    pub refunded_at: i64,
}

#[derive(Debug, Clone)]
pub struct Company {
    pub zone: Tz,
    pub as_of: i64,
    pub lookback_days: i64,
    pub half_life_days: f64,
    pub has_contact_roles: bool,
    pub accounts: Rows<Account>,
    pub contacts: Rows<Contact>,
    pub leads: Rows<Lead>,
    pub opportunities: Rows<Opportunity>,
    /// Opportunities and their contacts.
    pub roles: Vec<(String, String)>,
    pub touches: Rows<Touch>,
    pub customers: Rows<Customer>,
    pub subscriptions: Rows<Subscription>,
    pub items: Rows<Item>,
    pub payments: Rows<Payment>,
    pub refunds: Rows<Refund>,
    /// Rates by currency and day, in hundred-millionths.
    pub rates: BTreeMap<(&'static str, NaiveDate), i128>,
}

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
            let clock = Clock { zone, as_of };
            let people = (accounts(), contacts(), if sales { leads(&clock, 8) } else { leads(&clock, 0) });
            let deals = (
                opportunities(&clock, if sales { 9 } else { 0 }),
                roles(),
                touches(&clock, if sales { 30 } else { 0 }),
            );
            let has_items = rest == Rest::Subscriptions;
            let bills = (
                customers(if billing { 6 } else { 0 }),
                subscriptions(&clock, if has_items { 8 } else { 0 }),
                items(&clock, if has_items { 14 } else { 0 }),
                payments(&clock, if billing && !has_items { 14 } else { 0 }),
                refunds(&clock, if billing && !has_items { 8 } else { 0 }),
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
}

impl Clock {
    fn instants(&self) -> BoxedStrategy<i64> {
        let mut anchors: Vec<i64> = (0..13).map(|tens| self.as_of - tens * 10 * MICROS_PER_DAY).collect();
        anchors.extend(self.months().iter().map(|first| start(self.zone, *first)));
        let jitter = prop_oneof![6 => Just(0), 1 => Just(-1), 1 => Just(1), 1 => Just(3_600_000_000)];
        (select(anchors), jitter).prop_map(|(anchor, jitter)| anchor + jitter).boxed()
    }

    fn months(&self) -> Vec<NaiveDate> {
        let mut months = vec![month(day(self.zone, self.as_of))];
        for _ in 0..7 {
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

/// Returns ids, one of which there may be no row.
fn link(prefix: &'static str, most: usize) -> BoxedStrategy<String> {
    (1..=most + 1).prop_map(move |number| id(prefix, number)).boxed()
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
    let row = (domain, segment, maybe(0.35, "A", 6), rarely())
        .prop_map(|(domain, segment, merged_into, is_deleted)| Account { domain, segment, merged_into, is_deleted });
    table("A", 2..=6, row)
}

fn contacts() -> BoxedStrategy<Rows<Contact>> {
    let row = (maybe(0.8, "A", 6), email(), maybe(0.25, "C", 7), rarely())
        .prop_map(|(account, email, merged_into, is_deleted)| Contact { account, email, merged_into, is_deleted });
    table("C", 0..=7, row)
}

fn leads(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Lead>> {
    let links = (maybe(0.7, "A", 6), maybe(0.4, "C", 7), maybe(0.5, "D", 9), maybe(0.2, "L", 8));
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
    table("L", 0..=most, row)
}

fn currency() -> BoxedStrategy<&'static str> {
    prop_oneof![3 => Just(REPORTING_CURRENCY), 2 => Just("EUR"), 1 => Just("GBP"), 1 => Just("JPY")].boxed()
}

fn cents() -> BoxedStrategy<i128> {
    prop_oneof![select(vec![1_i128, 5, 10_005, 100_000, 0, -1_250, 99_999_999]), 1..2_000_000_i128].boxed()
}

fn opportunities(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Opportunity>> {
    // Closed, won: a deal may be won and not be flagged as closed.
    let flags = prop_oneof![6 => Just((true, true)), 1 => Just((false, true)), 2 => Just((true, false)), 2 => Just((false, false))];
    let closed_at = option::weighted(0.85, clock.instants());
    let money = (option::weighted(0.85, cents()), currency());
    let kind = select(&["new", "expansion", "renewal"][..]);
    let row = (maybe(0.9, "A", 6), kind, money, clock.instants(), closed_at, flags, rarely()).prop_map(
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
    table("D", most.min(1)..=most, row)
}

fn roles() -> BoxedStrategy<Vec<(String, String)>> {
    let pairs = vec((link("D", 9), link("C", 7)), 0..=8);
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
        2 => link("C", 7).prop_map(|contact| (Some(contact), None)),
        2 => link("L", 8).prop_map(|lead| (None, Some(lead))),
    ];
    let row = (clock.instants(), channel, campaign, maybe(0.6, "A", 6), person, email()).prop_map(
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
    table("T", 0..=most, row)
}

fn customers(most: usize) -> BoxedStrategy<Rows<Customer>> {
    let row = (maybe(0.6, "A", 6), email(), maybe(0.25, "B", 6), rarely())
        .prop_map(|(account, email, merged_into, is_deleted)| Customer { account, email, merged_into, is_deleted });
    table("B", most.min(1)..=most, row)
}

fn subscriptions(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Subscription>> {
    let status = prop_oneof![
        6 => Just("active"),
        3 => Just("canceled"),
        1 => select(&["trialing", "incomplete", "incomplete_expired", "unpaid", "past_due"][..]),
    ];
    let ends =
        (option::weighted(0.2, clock.instants()), clock.maybe_instant(), option::weighted(0.2, clock.instants()));
    let row = (link("B", 6), status, clock.instants(), ends).prop_map(
        |(customer, status, started_at, (trial_ends_at, canceled_at, ended_at))| Subscription {
            customer,
            status,
            started_at,
            trial_ends_at,
            canceled_at,
            ended_at,
        },
    );
    table("S", most.min(1)..=most, row)
}

fn items(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Item>> {
    let interval = (select(&["month", "year", "week", "day"][..]), select(vec![1_i128, 2, 3]));
    let discount = option::weighted(0.3, select(vec![100_000_i128, 333_333, 1_000_000, 5_000]));
    let unit_amount = prop_oneof![select(vec![10_000_i128, 50, 12_345_678, -50_000]), 1..5_000_000_i128];
    let money = (select(vec![10_000_i128, 30_000, 15_000, 0]), unit_amount, currency());
    let span = (clock.days(), option::weighted(0.5, clock.days()));
    let row =
        (link("S", 8), money, interval, discount, span).prop_map(
            |(subscription, (quantity, unit_amount, currency), (interval, interval_count), discount, (from, to))| {
                Item { subscription, quantity, unit_amount, currency, interval, interval_count, discount, from, to }
            },
        );
    table("I", most.min(1)..=most, row)
}

fn payments(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Payment>> {
    let status = prop_oneof![5 => Just("succeeded"), 1 => Just("failed"), 1 => Just("pending")];
    let amount = select(vec![10_000_i128, 5_000, 1, 0]);
    let row = (link("B", 6), status, amount, currency(), clock.instants()).prop_map(
        |(customer, status, amount, currency, paid_at)| Payment { customer, status, amount, currency, paid_at },
    );
    table("P", most.min(1)..=most, row)
}

fn refunds(clock: &Clock, most: usize) -> BoxedStrategy<Rows<Refund>> {
    let amount = select(vec![10_000_i128, 5_000, 9_999, 1]);
    let row = (link("P", 14), amount, currency(), clock.instants())
        .prop_map(|(payment, amount, currency, refunded_at)| Refund { payment, amount, currency, refunded_at });
    table("R", 0..=most, row)
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
