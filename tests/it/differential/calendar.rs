//! Days and months of a time zone, found by asking the zone what day it is.

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate};
use chrono_tz::Tz;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Returns the local day of an instant in microseconds.
pub fn day(zone: Tz, at: i64) -> NaiveDate {
    DateTime::from_timestamp_micros(at).expect("an instant of a test").with_timezone(&zone).date_naive()
}

/// Returns the first instant of a local day: the first at which the zone shows that day or a later one.
pub fn start(zone: Tz, of: NaiveDate) -> i64 {
    let utc = of.signed_duration_since(NaiveDate::default()).num_days() * MICROS_PER_DAY;
    let (mut before, mut at) = (utc - 2 * MICROS_PER_DAY, utc + 2 * MICROS_PER_DAY);
    while at - before > 1 {
        let middle = before + (at - before) / 2;
        if day(zone, middle) < of {
            before = middle;
        } else {
            at = middle;
        }
    }
    at
}

pub fn month(of: NaiveDate) -> NaiveDate {
    of.with_day(1).expect("every month has a first day")
}

pub fn next_month(of: NaiveDate) -> NaiveDate {
    month(of) + Months::new(1)
}

pub fn month_before(of: NaiveDate) -> NaiveDate {
    month(month(of) - Duration::days(1))
}

/// Returns an instant as the text that a Parquet file is made from.
pub fn shown(at: i64) -> String {
    let at = DateTime::from_timestamp_micros(at).expect("an instant of a test");
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
