//! The rows of a small company, as far as the metrics under test read them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;

/// Rows by their ids.
pub type Rows<T> = BTreeMap<String, T>;

pub const REPORTING_CURRENCY: &str = "USD";

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
