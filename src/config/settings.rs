//! Settings: the numbers with a meaning that SQL reads as `setting('...')` and a session may change.

use std::fmt;
use std::sync::Arc;

use chrono::DateTime;
use chrono_tz::Tz;

use crate::domain::calendar::{Calendar, WeekStart};
use crate::domain::names::nearest;
use crate::error::{Error, ErrorKind, Result};

/// The touch-level attribution models, in the order in which they are listed.
pub const TOUCH_MODELS: [&str; 10] = [
    "first_touch",
    "last_touch",
    "last_non_direct",
    "linear",
    "position_based",
    "time_decay",
    "u_shaped_hubspot",
    "u_shaped_marketo",
    "w_shaped",
    "full_path",
];

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Microseconds since 1970-01-01 UTC; `None` is now.
    Instant(Option<i64>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Instant(None) => f.write_str("now"),
            Self::Instant(Some(micros)) => match DateTime::from_timestamp_micros(*micros) {
                Some(instant) => f.write_str(&instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
                None => write!(f, "{micros}"),
            },
        }
    }
}

/// What a setting may be.
#[derive(Debug, Clone, Copy)]
pub enum Bounds {
    /// Three capital letters.
    Currency,
    /// A name of the IANA time zone database.
    Timezone,
    /// An RFC 3339 instant, or `now`.
    Instant,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number, both ends included.
    Integer(i64, i64),
    /// A number above the first and up to the second.
    Above(f64, f64),
    /// A number from the first to the second, both included.
    Between(f64, f64),
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Currency => f.write_str("an ISO 4217 code such as USD"),
            Self::Timezone => f.write_str("an IANA time zone such as Europe/Berlin"),
            Self::Instant => f.write_str("an instant such as 2026-11-01T00:00:00Z, or now"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::Integer(low, high) => write!(f, "a whole number from {low} to {high}"),
            Self::Above(low, high) => write!(f, "a number above {low} up to {high}"),
            Self::Between(low, high) => write!(f, "a number from {low} to {high}"),
        }
    }
}

/// A setting as declared: name, bounds and what it is for.
#[derive(Debug)]
pub struct SettingSpec {
    /// `section.key`, as in the configuration file.
    pub name: &'static str,
    /// The value without configuration, as text.
    pub default: &'static str,
    /// What it may be.
    pub bounds: Bounds,
    /// Whether a session may change it.
    pub is_session: bool,
    /// What it does, and why it has this default.
    pub description: &'static str,
}

const fn spec(name: &'static str, default: &'static str, bounds: Bounds, description: &'static str) -> SettingSpec {
    SettingSpec { name, default, bounds, is_session: true, description }
}

/// The setting that says when "now" is.
pub const AS_OF: &str = "reporting.as_of";

/// All settings, in the order of `meta.settings`.
pub const SETTINGS: [SettingSpec; 16] = [
    SettingSpec {
        name: "reporting.currency",
        default: "USD",
        bounds: Bounds::Currency,
        is_session: false,
        description: "currency of all money in metrics; not in a session, because rates are quoted in it",
    },
    spec("reporting.timezone", "UTC", Bounds::Timezone, "time zone in which days, weeks and months are cut"),
    spec("reporting.week_start", "monday", Bounds::OneOf(&["monday", "sunday"]), "first day of a week"),
    spec("reporting.fiscal_year_start", "1", Bounds::Integer(1, 12), "month in which the fiscal year starts"),
    spec(AS_OF, "now", Bounds::Instant, "facts at or after this instant are ignored; fix it to repeat a run"),
    spec(
        "attribution.lookback_days",
        "90",
        Bounds::Above(0.0, 3650.0),
        "a touch is eligible up to this many days of 24 hours before the closing; 90 covers a usual B2B cycle",
    ),
    spec(
        "attribution.half_life_days",
        "7",
        Bounds::Above(0.0, 3650.0),
        "days after which time_decay halves the weight of a touch",
    ),
    spec(
        "attribution.touch_scope",
        "account",
        Bounds::OneOf(&["account", "contact_roles"]),
        "all touches of the account, or only those of contacts with a role on the deal",
    ),
    spec("cac.model", "linear", Bounds::OneOf(&TOUCH_MODELS), "attribution model of the scorecards' cost per customer"),
    spec(
        "cac.cost_lag_months",
        "0",
        Bounds::Integer(0, 12),
        "cost of a month is set against customers so many months later",
    ),
    spec(
        "unit_economics.gross_margin",
        "0.8",
        Bounds::Between(0.0, 1.0),
        "gross margin of months that finance.gross_margin does not have",
    ),
    spec(
        "quality.mismatch_share",
        "0.05",
        Bounds::Between(0.0, 1.0),
        "difference between won and billed, as a share of won, above which they do not match",
    ),
    spec(
        "quality.billing_grace_days",
        "30",
        Bounds::Between(0.0, 3650.0),
        "days after the first win during which a missing invoice is pending",
    ),
    spec(
        "quality.follow_up_hours",
        "24",
        Bounds::Above(0.0, 87_600.0),
        "hours after which a lead without a response is a leak",
    ),
    spec(
        "quality.overdue_days",
        "30",
        Bounds::Between(0.0, 3650.0),
        "days after its due date from which an invoice is a leak",
    ),
    spec(
        "quality.reconciliation_days",
        "365",
        Bounds::Above(0.0, 3650.0),
        "days from the first win or invoice over which won and billed are compared",
    ),
];

/// Returns a setting as declared, or `None` where no setting has that name.
pub fn spec_of(name: &str) -> Option<&'static SettingSpec> {
    SETTINGS.iter().find(|spec| spec.name == name)
}

/// Parses a text as the value of a setting; `Err` says what was expected and found.
fn parse(bounds: Bounds, text: &str) -> std::result::Result<Value, String> {
    let text = text.trim();
    let fault = || format!("expected {bounds}, found \"{text}\"");
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(fault);
    match bounds {
        Bounds::Currency => {
            let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
            is_code.then(|| Value::Text(text.to_owned())).ok_or_else(fault)
        }
        Bounds::Timezone => text.parse::<Tz>().map(|zone| Value::Text(zone.name().to_owned())).map_err(|_| fault()),
        Bounds::Instant if text.eq_ignore_ascii_case("now") => Ok(Value::Instant(None)),
        Bounds::Instant => DateTime::parse_from_rfc3339(text)
            .map(|instant| Value::Instant(Some(instant.timestamp_micros())))
            .map_err(|_| fault()),
        Bounds::OneOf(words) => words.contains(&text).then(|| Value::Text(text.to_owned())).ok_or_else(fault),
        Bounds::Integer(low, high) => {
            text.parse().ok().filter(|number| (low..=high).contains(number)).map(Value::Integer).ok_or_else(fault)
        }
        Bounds::Above(low, high) => {
            Some(number()?).filter(|number| *number > low && *number <= high).map(Value::Number).ok_or_else(fault)
        }
        Bounds::Between(low, high) => {
            Some(number()?).filter(|number| *number >= low && *number <= high).map(Value::Number).ok_or_else(fault)
        }
    }
}

/// The values of all settings, each within its bounds. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    values: Arc<[Value]>,
}

impl Default for Settings {
    fn default() -> Self {
        let values = SETTINGS
            .iter()
            .map(|spec| parse(spec.bounds, spec.default).expect("every default is within its bounds, as a test shows"))
            .collect();
        Self { values }
    }
}

impl Settings {
    /// Returns the value of a setting, or `None` where no setting has that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        SETTINGS.iter().position(|spec| spec.name == name).map(|index| &self.values[index])
    }

    /// Returns the declared settings with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static SettingSpec, &Value)> {
        SETTINGS.iter().zip(self.values.iter())
    }

    /// Returns the settings with one of them changed.
    ///
    /// # Errors
    /// `Config` where the name is unknown or the value is out of bounds.
    pub fn with(&self, name: &str, text: &str) -> Result<Self> {
        let index = SETTINGS.iter().position(|spec| spec.name == name).ok_or_else(|| unknown_setting(name))?;
        let value = parse(SETTINGS[index].bounds, text)
            .map_err(|fault| Error::new(ErrorKind::Config, format!("setting \"{name}\": {fault}")))?;
        Ok(self.replaced(index, value))
    }

    /// Returns the settings with `as_of` read from the clock where it is not fixed.
    pub fn at(&self, now_micros: i64) -> Self {
        let index = SETTINGS.iter().position(|spec| matches!(spec.bounds, Bounds::Instant));
        match index {
            Some(index) if self.values[index] == Value::Instant(None) => {
                self.replaced(index, Value::Instant(Some(now_micros)))
            }
            _ => self.clone(),
        }
    }

    /// Returns the calendar of the reporting time zone.
    pub fn calendar(&self) -> Calendar {
        let timezone = self.text("reporting.timezone").parse().unwrap_or(Tz::UTC);
        let week_start =
            if self.text("reporting.week_start") == "sunday" { WeekStart::Sunday } else { WeekStart::Monday };
        let fiscal_year_start = self.number("reporting.fiscal_year_start") as i32;
        Calendar { timezone, week_start, fiscal_year_start }
    }

    /// Returns a text setting; empty where the setting is not a text.
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// Returns a number setting, whole or not; 0 where the setting is no number.
    pub fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Some(Value::Number(number)) => *number,
            Some(Value::Integer(number)) => *number as f64,
            _ => 0.0,
        }
    }

    /// Returns `reporting.as_of` in microseconds since 1970-01-01 UTC; `None` is now.
    pub fn as_of(&self) -> Option<i64> {
        match self.get(AS_OF) {
            Some(Value::Instant(instant)) => *instant,
            _ => None,
        }
    }

    fn replaced(&self, index: usize, value: Value) -> Self {
        let mut values = self.values.to_vec();
        values[index] = value;
        Self { values: values.into() }
    }
}

/// Returns the error for a setting that does not exist, with the nearest one that does.
pub fn unknown_setting(name: &str) -> Error {
    let error = Error::new(ErrorKind::Config, format!("unknown setting \"{name}\""));
    match nearest(name, SETTINGS.iter().map(|spec| spec.name)) {
        Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
        None => error.with_hint("select name, value, bounds from meta.settings lists them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_bounds() {
        for spec in &SETTINGS {
            assert!(parse(spec.bounds, spec.default).is_ok(), "{}", spec.name);
        }
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_with_what_was_expected() {
        let settings = Settings::default();
        let fault = settings.with("attribution.lookback_days", "0").expect_err("0 is out of bounds");
        assert_eq!(
            fault.message(),
            "setting \"attribution.lookback_days\": expected a number above 0 up to 3650, found \"0\""
        );
        assert_eq!(
            settings.with("attribution.lookback_days", "30").map(|s| s.number("attribution.lookback_days")).ok(),
            Some(30.0)
        );
    }

    #[test]
    fn an_unknown_setting_names_the_nearest() {
        let fault = Settings::default().with("attribution.lookback_day", "3").expect_err("no such setting");
        assert_eq!(fault.hint(), Some("did you mean \"attribution.lookback_days\"?"));
    }

    #[test]
    fn as_of_is_read_once_and_only_where_it_is_not_fixed() {
        let fixed = Settings::default().with("reporting.as_of", "2026-11-01T00:00:00Z").expect("an instant");
        assert_eq!(fixed.at(5), fixed);
        assert_eq!(Settings::default().at(5).as_of(), Some(5));
    }
}
