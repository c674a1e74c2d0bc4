//! When a job is due: a cron pattern in a time zone.

use std::fmt;

use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};

/// A cron pattern of five fields, read in a time zone.
///
/// Where the clocks go forward, a fixed time that they jump over comes at the first instant after the gap, and a repeated
/// one (`*/20 * * * *`) does not come for local times that do not exist. Where they go back, a fixed time comes once, the
/// first time, and a repeated one in both passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
}

impl Schedule {
    /// Returns the schedule of a pattern such as `30 6 * * mon-fri`.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn parse(pattern: &str, zone: Tz) -> Result<Self, String> {
        let wrong = |fault: &str| {
            format!("expected a cron pattern of five fields such as \"30 6 * * mon-fri\", found \"{pattern}\": {fault}")
        };
        // To the parser it is a minute that never comes, which it then looks for in three thousand years of minutes.
        if pattern.split_whitespace().any(|field| field.split(',').any(str::is_empty)) {
            return Err(wrong("a comma has nothing before or behind it"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|fault| {
            let fault = match fault {
                CronError::ComponentError(why) | CronError::InvalidPattern(why) | CronError::IllegalCharacters(why) => {
                    why
                }
                other => other.to_string(),
            };
            wrong(&super::names::in_lower_case(&fault))
        })?;
        let schedule = Self { cron, zone };
        match schedule.after(0) {
            Some(_) => Ok(schedule),
            None => Err(format!("cron pattern \"{pattern}\" never comes")),
        }
    }

    /// Returns the pattern.
    pub fn pattern(&self) -> String {
        self.cron.as_str().to_lowercase()
    }

    /// Returns the time zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Returns the first instant after one at which it is due, in microseconds since 1970-01-01 UTC; `None` where there is
    /// none any more.
    pub fn after(&self, micros: i64) -> Option<i64> {
        let next = self.cron.find_next_occurrence(&self.local(micros)?, EXCLUSIVE).ok()?;
        Some(next.timestamp_micros())
    }

    /// Returns the last instant up to one at which it was due; `None` where there was none yet.
    pub fn up_to(&self, micros: i64) -> Option<i64> {
        let last = self.cron.find_previous_occurrence(&self.local(micros)?, INCLUSIVE).ok()?;
        Some(last.timestamp_micros())
    }

    /// Returns the instants after the first up to the second at which it is due, in their order.
    pub fn between(&self, after: i64, up_to: i64) -> impl Iterator<Item = i64> {
        std::iter::successors(self.after(after), |tick| self.after(*tick)).take_while(move |tick| *tick <= up_to)
    }

    fn local(&self, micros: i64) -> Option<DateTime<Tz>> {
        DateTime::from_timestamp_micros(micros).map(|instant| self.zone.from_utc_datetime(&instant.naive_utc()))
    }
}

/// Whether the instant from which is searched may be the one that is found.
const INCLUSIVE: bool = true;

/// As [`INCLUSIVE`].
const EXCLUSIVE: bool = false;

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pattern(), self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(pattern: &str, zone: Tz) -> Schedule {
        Schedule::parse(pattern, zone).expect("a right pattern")
    }

    fn instant(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect("a test's instant parses").timestamp_micros()
    }

    fn between(pattern: &str, zone: Tz, first: &str, last: &str) -> Vec<String> {
        let ticks = schedule(pattern, zone);
        let ticks = ticks.between(instant(first) - 1, instant(last));
        let text = |tick| DateTime::from_timestamp_micros(tick).expect("an instant").format("%d %H:%M").to_string();
        ticks.map(text).collect()
    }

    #[test]
    fn a_fixed_time_comes_once_a_day_whatever_the_clocks_do() {
        let daily = |first, last| between("30 2 * * *", Tz::Europe__Berlin, first, last);
        // On 2026-03-29 there is no 02:30: the clocks jump from 02:00 to 03:00, which is 01:00 UTC.
        assert_eq!(daily("2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z"), ["28 01:30", "29 01:00", "30 00:30"]);
        // On 2026-10-25 there are two.
        assert_eq!(daily("2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z"), ["24 00:30", "25 00:30", "26 01:30"]);
        // On 2026-09-06 Santiago has no midnight.
        let midnight = between("0 0 * * *", Tz::America__Santiago, "2026-09-05T00:00:00Z", "2026-09-07T23:00:00Z");
        assert_eq!(midnight, ["05 04:00", "06 04:00", "07 03:00"]);
    }

    #[test]
    fn a_repeated_time_follows_the_hours_that_there_are() {
        let hourly = |first, last| between("0 * * * *", Tz::Europe__Berlin, first, last);
        assert_eq!(hourly("2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z"), ["29 00:00", "29 01:00", "29 02:00"]);
        assert_eq!(hourly("2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"), ["25 00:00", "25 01:00", "25 02:00"]);
    }

    #[test]
    fn looking_back_finds_what_looking_forward_does() {
        let daily = schedule("30 2 * * *", Tz::Europe__Berlin);
        for tick in daily.between(instant("2026-01-01T00:00:00Z"), instant("2026-12-31T00:00:00Z")) {
            assert_eq!(daily.up_to(tick), Some(tick));
            assert_eq!(daily.up_to(tick + 1), Some(tick));
        }
    }

    #[test]
    fn what_is_no_pattern_or_never_comes_is_refused() {
        for wrong in ["", "* * * *", "0 30 2 * * *", "0 25 * * *", "x * * * *", ", * * * *", "1,,2 * * * *"] {
            let fault = Schedule::parse(wrong, Tz::UTC).expect_err(wrong);
            assert!(fault.starts_with("expected a cron pattern of five fields"), "{fault}");
        }
        assert_eq!(Schedule::parse("0 0 31 2 *", Tz::UTC), Err("cron pattern \"0 0 31 2 *\" never comes".to_owned()));
    }
}
