//! Who an account is: size, place, trade, and when it first heard of the company.

use super::calendar::{AS_OF, DAY};
use super::channel;
use super::company::{Company, days, seconds};
use super::dice::{Dice, Stream};
use super::quirk::Quirk;

/// The size of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Up to about 100 people.
    Small,
    /// Up to about 1,000 people.
    Middle,
    /// More.
    Large,
}

impl Tier {
    /// Returns the segment's name.
    pub fn segment(self) -> &'static str {
        match self {
            Self::Small => "smb",
            Self::Middle => "mid_market",
            Self::Large => "enterprise",
        }
    }
}

const TIERS: [Tier; 3] = [Tier::Small, Tier::Middle, Tier::Large];
const TIER_WEIGHTS: [f64; 3] = [0.58, 0.29, 0.13];
const INDUSTRIES: [&str; 10] = [
    "software",
    "retail",
    "manufacturing",
    "healthcare",
    "financial_services",
    "media",
    "education",
    "logistics",
    "energy",
    "professional_services",
];
const INDUSTRY_WEIGHTS: [f64; 10] = [0.24, 0.14, 0.12, 0.10, 0.11, 0.08, 0.05, 0.07, 0.03, 0.06];
const COUNTRIES: [(&str, &str); 10] = [
    ("US", "USD"),
    ("GB", "GBP"),
    ("DE", "EUR"),
    ("CA", "USD"),
    ("FR", "EUR"),
    ("NL", "EUR"),
    ("AU", "USD"),
    ("IE", "EUR"),
    ("BR", "USD"),
    ("JP", "USD"),
];
const COUNTRY_WEIGHTS: [f64; 10] = [0.50, 0.10, 0.09, 0.08, 0.06, 0.05, 0.05, 0.03, 0.02, 0.02];
/// The share of accounts whose segment, industry or size nobody entered.
const UNKNOWN_SHARE: f64 = 0.05;
/// The share of customers whom no touch reached, beside the quirk.
const UNTOUCHED_SHARE: f64 = 0.02;

/// An account, or a stranger who is none.
pub struct Profile {
    /// Its number.
    pub index: u64,
    /// What is out of the ordinary about it.
    pub quirk: Quirk,
    /// Its size.
    pub tier: Tier,
    /// Its segment as it stands in the CRM.
    pub segment: Option<&'static str>,
    /// Its industry.
    pub industry: Option<&'static str>,
    /// Its country.
    pub country: Option<&'static str>,
    /// The currency it pays in.
    pub currency: &'static str,
    /// Its employees.
    pub employees: Option<i64>,
    /// When it first heard of the company.
    pub arrived_at: i64,
    /// When its row was created.
    pub created_at: i64,
    /// The channel it came by.
    pub channel: u8,
    /// How many contacts it has, at least 1.
    pub contacts: u8,
    /// Whether touches were recorded at all.
    pub is_touched: bool,
}

impl Profile {
    /// Draws the profile of an account or stranger.
    pub fn new(company: &Company, index: u64) -> Self {
        let dice = &mut Dice::new(company.seed, Stream::Profile, index, 0);
        let quirk = Quirk::of(company, index);
        let tier = TIERS[dice.weighted(&TIER_WEIGHTS)];
        let (median, contacts) = match tier {
            Tier::Small => (28.0, dice.between(1, 3)),
            Tier::Middle => (260.0, dice.between(2, 5)),
            Tier::Large => (2_400.0, dice.between(3, 8)),
        };
        let employees = dice.lognormal(median, 0.6).max(2.0) as i64;
        let industry = INDUSTRIES[dice.weighted(&INDUSTRY_WEIGHTS)];
        let (country, currency) = COUNTRIES[dice.weighted(&COUNTRY_WEIGHTS)];
        let mut arrived_at = company.arrival(dice);
        if quirk.is_customer() || quirk == Quirk::MergedContacts {
            arrived_at = early(company, arrived_at, quirk);
        }
        let (country, currency) = match quirk {
            Quirk::NoRate => ("CH", "CHF"),
            Quirk::LateRate => ("GB", "GBP"),
            _ => (country, currency),
        };
        let entered_at = arrived_at + days(dice.exponential(1.5));
        Self {
            index,
            quirk,
            tier,
            segment: (!dice.chance(UNKNOWN_SHARE)).then(|| tier.segment()),
            industry: (!dice.chance(UNKNOWN_SHARE)).then_some(industry),
            country: (!dice.chance(UNKNOWN_SHARE / 2.0)).then_some(country),
            currency,
            employees: (!dice.chance(UNKNOWN_SHARE)).then_some(employees),
            arrived_at,
            created_at: entered_at.min(AS_OF - DAY / 24),
            channel: channel::first(dice),
            contacts: contacts.max(if matches!(quirk, Quirk::MergedContacts | Quirk::ContactCycle) { 4 } else { 1 })
                as u8,
            is_touched: quirk != Quirk::Untouched && !dice.chance(UNTOUCHED_SHARE),
        }
    }
}

/// Moves an arrival to where there is time left for what the quirk needs.
fn early(company: &Company, arrived_at: i64, quirk: Quirk) -> i64 {
    let start = company.calendar.start();
    let share = (arrived_at - start) as f64 / (AS_OF - start) as f64;
    let (from, to) = match quirk {
        Quirk::LateRate => (0.0, 0.01),
        Quirk::LookbackEnds => (0.2, 0.8),
        Quirk::TwinWins | Quirk::LateTouches => (0.03, 0.75),
        _ => (0.0, 0.97),
    };
    seconds(start + ((from + (to - from) * share) * (AS_OF - start) as f64) as i64)
}
