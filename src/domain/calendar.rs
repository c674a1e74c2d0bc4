//! Days, weeks, months and quarters of the reporting time zone.
//!
//! A day is the number of days since 1970-01-01, as in Arrow's `Date32`; an instant is microseconds since 1970-01-01
//! UTC. A local midnight that does not exist is the first instant after the gap.

use chrono::{DateTime, Datelike, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone};
use chrono_tz::Tz;

/// Microseconds of a day of 24 hours.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The first day of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WeekStart {
    /// ISO weeks.
    #[default]
    Monday,
    /// As in the calendars of North and South America.
    Sunday,
}

/// Cuts instants into periods of one time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// The reporting time zone.
    pub timezone: Tz,
    /// The first day of a week.
    pub week_start: WeekStart,
    /// The month, 1 to 12, with which a fiscal year and its first quarter start.
    pub fiscal_year_start: i32,
}

/// Returns the calendar date of a day number; days out of chrono's range are clamped to it.
pub fn date_of(day: i32) -> NaiveDate {
    let epoch = NaiveDate::default();
    epoch.checked_add_signed(Duration::days(i64::from(day))).unwrap_or(if day < 0 {
        NaiveDate::MIN
    } else {
        NaiveDate::MAX
    })
}

/// Returns the day number of a calendar date.
pub fn day_of(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

/// Returns the first day of the month that a day is in.
pub fn month_of(day: i32) -> i32 {
    let date = date_of(day);
    day - i32::try_from(date.day0()).unwrap_or(0)
}

/// Returns the first day of the month `months` later (or earlier) than the month that a day is in.
pub fn add_months(day: i32, months: i32) -> i32 {
    let date = date_of(day);
    let index = date.year() * 12 + i32::try_from(date.month0()).unwrap_or(0) + months;
    let month0 = u32::try_from(index.rem_euclid(12)).unwrap_or(0);
    NaiveDate::from_ymd_opt(index.div_euclid(12), month0 + 1, 1).map_or(day, day_of)
}

impl Calendar {
    /// Returns the local day of an instant.
    pub fn day(&self, micros: i64) -> i32 {
        let local = if self.timezone == Tz::UTC { micros } else { micros + self.offset_micros(micros) };
        i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX)
    }

    /// Returns the first day of the local month of an instant.
    pub fn month(&self, micros: i64) -> i32 {
        month_of(self.day(micros))
    }

    /// Returns the first day of the week that a day is in.
    pub fn week_of(&self, day: i32) -> i32 {
        // 1970-01-01 was a Thursday.
        let offset = match self.week_start {
            WeekStart::Monday => 3,
            WeekStart::Sunday => 4,
        };
        day - (day + offset).rem_euclid(7)
    }

    /// Returns the first day of the fiscal quarter that a day is in.
    pub fn quarter_of(&self, day: i32) -> i32 {
        let month = i32::try_from(date_of(day).month()).unwrap_or(1);
        add_months(day, -(month - self.fiscal_year_start).rem_euclid(3))
    }

    /// Returns the first instant of a local day.
    pub fn start_of_day(&self, day: i32) -> i64 {
        if self.timezone == Tz::UTC {
            return i64::from(day) * MICROS_PER_DAY;
        }
        let midnight = date_of(day).and_time(NaiveTime::MIN);
        match self.timezone.from_local_datetime(&midnight) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.timestamp_micros(),
            LocalResult::None => self.first_instant_after_gap(midnight),
        }
    }

    /// Returns the instant at which the clocks jump over a local time that does not exist.
    ///
    /// The gap starts where the offset from before it ends, so the local time read with that offset, which is at or
    /// after the jump, is searched backwards to the jump itself.
    fn first_instant_after_gap(&self, missing: NaiveDateTime) -> i64 {
        let utc = missing.and_utc().timestamp_micros();
        let (mut before, mut after) = (utc - 2 * MICROS_PER_DAY, utc + 2 * MICROS_PER_DAY);
        let local = |micros: i64| micros + self.offset_micros(micros);
        // The local clock grows over these days but for other jumps back, which no zone has within two days of a gap.
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if local(middle) < utc {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    }

    fn offset_micros(&self, micros: i64) -> i64 {
        DateTime::from_timestamp_micros(micros).map_or(0, |instant| {
            let offset = self.timezone.offset_from_utc_datetime(&instant.naive_utc());
            i64::from(offset.fix().local_minus_utc()) * 1_000_000
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> i32 {
        day_of(text.parse().expect("a test's date parses"))
    }

    fn instant(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect("a test's instant parses").timestamp_micros()
    }

    #[test]
    fn a_missing_midnight_is_the_first_instant_after_the_gap() {
        let calendar =
            Calendar { timezone: Tz::America__Sao_Paulo, week_start: WeekStart::Sunday, fiscal_year_start: 1 };
        // On 2018-11-04 the clocks went from 00:00 to 01:00, from UTC-3 to UTC-2.
        assert_eq!(calendar.start_of_day(day("2018-11-04")), instant("2018-11-04T03:00:00Z"));
        assert_eq!(calendar.day(instant("2018-11-04T03:00:00Z")), day("2018-11-04"));
        assert_eq!(calendar.day(instant("2018-11-04T02:59:59.999999Z")), day("2018-11-03"));
    }

    #[test]
    fn weeks_start_where_they_are_told() {
        let monday = Calendar { timezone: Tz::UTC, week_start: WeekStart::Monday, fiscal_year_start: 1 };
        let sunday = Calendar { week_start: WeekStart::Sunday, ..monday };
        assert_eq!(monday.week_of(day("2026-11-01")), day("2026-10-26"));
        assert_eq!(sunday.week_of(day("2026-11-01")), day("2026-11-01"));
        assert_eq!(monday.week_of(day("1969-12-31")), day("1969-12-29"));
    }

    #[test]
    fn months_step_over_years() {
        assert_eq!(add_months(day("2024-02-29"), 1), day("2024-03-01"));
        assert_eq!(add_months(day("2024-01-15"), -1), day("2023-12-01"));
        assert_eq!(month_of(day("2024-02-29")), day("2024-02-01"));
    }
    #[test]
    fn quarters_start_where_the_fiscal_year_does() {
        let quarter = |fiscal_year_start, text| {
            let calendar = Calendar { timezone: Tz::UTC, week_start: WeekStart::Monday, fiscal_year_start };
            calendar.quarter_of(day(text))
        };
        assert_eq!(quarter(1, "2026-03-31"), day("2026-01-01"));
        assert_eq!(quarter(1, "2026-10-01"), day("2026-10-01"));
        assert_eq!(quarter(2, "2026-01-15"), day("2025-11-01"));
        assert_eq!(quarter(2, "2026-02-01"), day("2026-02-01"));
        assert_eq!(quarter(12, "2026-11-30"), day("2026-09-01"));
        assert_eq!(quarter(12, "2026-02-28"), day("2025-12-01"));
    }
}
