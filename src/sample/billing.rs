//! What billing knows of an account: customers, subscriptions, items, invoices, payments and refunds.

use super::calendar::{AS_OF, AS_OF_DAY, DAY, HOUR, add_months, day_of, instant};
use super::company::{Company, days};
use super::contract::{Contract, Span};
use super::dice::{Dice, Stream};
use super::names::private_address;
use super::people::{address, office_address};
use super::profile::{Profile, Tier};
use super::quirk::Quirk;
use super::sales::Sales;

/// The number of a customer who has no row.
pub const UNKNOWN_CUSTOMER: u32 = 9;
/// The share of accounts that try the product and never buy.
const TRIAL_ONLY_SHARE: f64 = 0.02;
/// Shares of invoices: void, never paid, paid after a failed payment.
const VOID_SHARE: f64 = 0.008;
const UNPAID_SHARE: f64 = 0.007;
const RECOVERED_SHARE: f64 = 0.04;
/// Shares of payments refunded in part and in full.
const PARTIAL_REFUND_SHARE: f64 = 0.010;
const FULL_REFUND_SHARE: f64 = 0.003;

/// A customer.
pub struct Customer {
    /// Whether it names its account.
    pub has_account: bool,
    /// Its address.
    pub email: Option<String>,
    /// When it was created.
    pub created_at: i64,
    /// The customer of the same account it is merged into.
    pub merged_into: Option<u32>,
    /// Whether it is deleted.
    pub is_deleted: bool,
}

/// A subscription.
pub struct Subscription {
    /// Its customer.
    pub customer: u32,
    /// Its status.
    pub status: &'static str,
    /// When it started.
    pub started_at: i64,
    /// When its trial ends.
    pub trial_ends_at: Option<i64>,
    /// When it was cancelled.
    pub canceled_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
}

/// An item of a subscription.
pub struct Item {
    /// Its subscription.
    pub subscription: u32,
    /// Product, quantity, monthly price and days.
    pub span: Span,
    /// The interval and how many of it a price is for.
    pub interval: (&'static str, i64),
    /// A discount for ever, in ten-thousandths of a percent.
    pub discount: Option<i64>,
}

/// An invoice.
pub struct Invoice {
    /// Its customer.
    pub customer: u32,
    /// Its subscription.
    pub subscription: Option<u32>,
    /// Its status.
    pub status: &'static str,
    /// When it was issued.
    pub issued_at: i64,
    /// When it was paid.
    pub paid_at: Option<i64>,
    /// Its amount without tax in cents.
    pub subtotal: i64,
    /// Its tax in cents.
    pub tax: i64,
}

/// A payment.
pub struct Payment {
    /// Its customer.
    pub customer: u32,
    /// Its invoice.
    pub invoice: Option<u32>,
    /// Its status.
    pub status: &'static str,
    /// Its amount in cents.
    pub amount: i64,
    /// When it was paid, or tried.
    pub paid_at: i64,
}

/// A refund.
pub struct Refund {
    /// Its payment.
    pub payment: u32,
    /// Its amount in cents.
    pub amount: i64,
    /// When it was made.
    pub refunded_at: i64,
}

/// What billing knows of an account.
#[derive(Default)]
pub struct Billing {
    /// Its customers.
    pub customers: Vec<Customer>,
    /// Their subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// The items.
    pub items: Vec<Item>,
    /// The invoices.
    pub invoices: Vec<Invoice>,
    /// The payments.
    pub payments: Vec<Payment>,
    /// The refunds.
    pub refunds: Vec<Refund>,
}

impl Item {
    /// Returns the price of an interval in ten-thousandths.
    pub fn unit_amount(&self) -> i64 {
        let (interval, count) = self.interval;
        let price = self.span.price;
        match interval {
            "year" => price * 12 * count,
            "week" => price * 12 * count / 52,
            "day" => price * 12 * count / 365,
            _ => price * count,
        }
    }
}

impl Billing {
    /// Draws the billing of an account.
    pub fn new(company: &Company, profile: &Profile, sales: &Sales) -> Self {
        let dice = &mut Dice::new(company.seed, Stream::Billing, profile.index, 0);
        let mut billing = Self::default();
        for contract in &sales.course.contracts {
            billing.add_contract(dice, profile, contract);
        }
        if sales.course.contracts.is_empty() && !profile.quirk.is_duplicate() && dice.chance(TRIAL_ONLY_SHARE) {
            billing.add_trial(dice, profile);
        }
        if !billing.subscriptions.is_empty() {
            billing.add_customer(company, dice, profile);
        }
        super::oddities::bill(company, profile, sales, &mut billing);
        billing
    }

    fn add_customer(&mut self, company: &Company, dice: &mut Dice, profile: &Profile) {
        let created_at = self.subscriptions[0].started_at - dice.between(1, 40) * HOUR / 8;
        let draw = dice.unit();
        let (has_account, email) = match profile.quirk {
            Quirk::CustomerByEmail => (false, address(company, profile.index, 0)),
            Quirk::CustomerByDomain => (false, Some(office_address(company, profile.index))),
            Quirk::CustomerUnknown => (false, Some(private_address(company, profile.index, 77))),
            _ if draw < 0.08 => (false, address(company, profile.index, 0)),
            _ if draw < 0.12 => (false, Some(office_address(company, profile.index))),
            _ if draw < 0.125 => (false, None),
            _ => (true, Some(office_address(company, profile.index)).filter(|_| draw < 0.9)),
        };
        let is_deleted = profile.quirk == Quirk::CustomerDeleted || dice.chance(0.005);
        self.customers.push(Customer { has_account, email, created_at, merged_into: None, is_deleted });
    }

    fn add_contract(&mut self, dice: &mut Dice, profile: &Profile, contract: &Contract) {
        let number = self.subscriptions.len() as u32;
        let mut ended_at = contract.ended_at;
        let is_trialing = contract.trial_ends_at.is_some_and(|at| at >= AS_OF);
        let status = match ended_at {
            Some(_) if dice.chance(0.1) => {
                ended_at = None;
                "unpaid"
            }
            Some(_) => "canceled",
            None if is_trialing => "trialing",
            None if dice.chance(0.02) => "past_due",
            None => "active",
        };
        let (started_at, trial_ends_at, canceled_at) =
            (contract.started_at, contract.trial_ends_at, contract.canceled_at);
        self.subscriptions.push(Subscription { customer: 0, status, started_at, trial_ends_at, canceled_at, ended_at });
        let interval = match (contract.is_yearly, profile.tier) {
            (true, _) => ("year", 1),
            (false, Tier::Middle) if dice.chance(0.08) => ("month", 3),
            (false, Tier::Small) if dice.chance(0.03) => ("week", dice.between(1, 4)),
            (false, Tier::Small) if dice.chance(0.02) => ("day", 1),
            (false, _) => ("month", 1),
        };
        for span in contract.spans.iter().cloned() {
            self.items.push(Item { subscription: number, span, interval, discount: contract.discount });
        }
        self.invoice_contract(dice, profile, contract, number);
    }

    fn invoice_contract(&mut self, dice: &mut Dice, profile: &Profile, contract: &Contract, number: u32) {
        let start = day_of(contract.trial_ends_at.unwrap_or(contract.started_at));
        let end = contract.ended_at.map_or(AS_OF_DAY, day_of).min(AS_OF_DAY);
        let cycle = if contract.is_yearly { 12 } else { 1 };
        let of_day = contract.started_at.rem_euclid(DAY);
        for round in 0.. {
            let (from, to) = (add_months(start, round * cycle), add_months(start, (round + 1) * cycle));
            if from >= end {
                break;
            }
            let monthly = contract.monthly_on(from);
            self.invoice(dice, profile, Some(number), instant(from) + of_day, monthly * i64::from(cycle));
            // What is added in a paid year is invoiced for the rest of it.
            let mut added: Vec<i32> = contract.spans.iter().map(|span| span.from).collect();
            added.retain(|day| contract.is_yearly && *day > from && *day < to.min(end));
            added.dedup();
            for day in added {
                let gain = contract.monthly_on(day) - contract.monthly_on(day - 1);
                let amount = gain * i64::from(to - day) * 12 / 365;
                self.invoice(dice, profile, Some(number), instant(day) + of_day, amount);
            }
        }
    }

    /// Adds an invoice and what comes of it; none for nothing.
    fn invoice(
        &mut self,
        dice: &mut Dice,
        profile: &Profile,
        subscription: Option<u32>,
        issued_at: i64,
        subtotal: i64,
    ) {
        if subtotal <= 0 || issued_at >= AS_OF {
            return;
        }
        let tax = match profile.currency {
            "EUR" | "GBP" => subtotal / 5,
            _ if profile.country == Some("CA") => subtotal * 13 / 100,
            _ => 0,
        };
        let number = self.invoices.len() as u32;
        let mut invoice =
            Invoice { customer: 0, subscription, status: "paid", issued_at, paid_at: None, subtotal, tax };
        let wait = match profile.tier {
            Tier::Small => days(0.02),
            Tier::Middle => days(dice.lognormal(9.0, 0.6)),
            Tier::Large => days(dice.lognormal(21.0, 0.5)),
        };
        let payment =
            |status, paid_at| Payment { customer: 0, invoice: Some(number), status, amount: subtotal + tax, paid_at };
        let mut paid_at = issued_at + wait;
        let draw = dice.unit();
        if draw < VOID_SHARE {
            invoice.status = "void";
        } else if draw < VOID_SHARE + UNPAID_SHARE {
            invoice.status = dice.pick(&["uncollectible", "open", "open"]);
            if paid_at < AS_OF && dice.chance(0.7) {
                self.payments.push(payment("failed", paid_at));
            }
        } else if issued_at > AS_OF - 3 * DAY && dice.chance(0.3) {
            invoice.status = "draft";
        } else {
            if dice.chance(RECOVERED_SHARE) && paid_at < AS_OF {
                self.payments.push(payment("failed", paid_at));
                paid_at += dice.between(1, 9) * DAY;
            }
            if paid_at < AS_OF {
                invoice.paid_at = Some(paid_at);
                self.refund(dice, paid_at, subtotal + tax);
                self.payments.push(payment("succeeded", paid_at));
            } else {
                invoice.status = "open";
                if dice.chance(0.3) {
                    self.payments.push(payment("pending", (issued_at + HOUR).min(AS_OF - 1)));
                }
            }
        }
        self.invoices.push(invoice);
    }

    /// Draws a refund of the payment that comes next.
    fn refund(&mut self, dice: &mut Dice, paid_at: i64, amount: i64) {
        let draw = dice.unit();
        if draw >= PARTIAL_REFUND_SHARE + FULL_REFUND_SHARE {
            return;
        }
        let amount = if draw < FULL_REFUND_SHARE { amount } else { amount * dice.between(5, 50) / 100 };
        let refunded_at = paid_at + dice.between(20, 400) * HOUR;
        if refunded_at < AS_OF {
            self.refunds.push(Refund { payment: self.payments.len() as u32, amount, refunded_at });
        }
    }

    /// Adds a trial that came to nothing.
    fn add_trial(&mut self, dice: &mut Dice, profile: &Profile) {
        let started_at = profile.created_at + DAY;
        let trial_ends_at = started_at + 14 * DAY;
        let status = if trial_ends_at >= AS_OF {
            "trialing"
        } else {
            dice.pick(&["canceled", "incomplete_expired", "incomplete"])
        };
        let ended_at = (status == "canceled").then_some(trial_ends_at);
        if started_at >= AS_OF {
            return;
        }
        self.subscriptions.push(Subscription {
            customer: 0,
            status,
            started_at,
            trial_ends_at: Some(trial_ends_at),
            canceled_at: ended_at,
            ended_at,
        });
        let from = day_of(started_at);
        let span = Span { product: "Starter", quantity: dice.between(1, 5), price: 250_000, from, to: None };
        self.items.push(Item { subscription: 0, span, interval: ("month", 1), discount: None });
    }
}
