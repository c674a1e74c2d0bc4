//! A month as people write it.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::calendar::{add_months, date_of, day_of, month_of};

/// A month of the reporting time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    first_day: i32,
}

impl Month {
    /// The first month that has a date: January of the year 1.
    pub const FIRST: Self = Self { first_day: -719_162 };

    /// Returns the month that a day is in.
    pub fn of_day(day: i32) -> Self {
        Self { first_day: month_of(day) }
    }

    /// Returns the month so many months later, or earlier.
    pub fn plus(self, months: i32) -> Self {
        Self { first_day: add_months(self.first_day, months) }
    }

    /// Returns the months from `first` to this one, both included.
    pub fn since(self, first: Self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(first), |month| Some(month.plus(1))).take_while(move |month| *month <= self)
    }

    /// Returns the first day, in days since 1970-01-01.
    pub fn first_day(self) -> i32 {
        self.first_day
    }

    /// Returns the first day as SQL has it: `date '2026-10-01'`.
    pub fn sql(self) -> String {
        format!("date '{}'", date_of(self.first_day).format("%Y-%m-%d"))
    }

    /// Returns the month in words: `October 2026`.
    pub fn words(self) -> String {
        date_of(self.first_day).format("%B %Y").to_string()
    }
}

impl TryFrom<String> for Month {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = date_of(self.first_day);
        write!(f, "{:04}-{:02}", date.year(), date.month())
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let date = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2).and_then(
            |(year, month)| {
                let is_digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
                (is_digits(year) && is_digits(month)).then_some(())?;
                NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)
            },
        );
        date.map(|date| Self { first_day: day_of(date) }).ok_or_else(|| "expected a month such as 2026-10".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_in_one_form_only() {
        let month: Month = "2026-02".parse().expect("a month");
        assert_eq!(month.to_string(), "2026-02");
        assert_eq!(month.words(), "February 2026");
        assert_eq!(month.sql(), "date '2026-02-01'");
        assert_eq!(month.plus(-2).to_string(), "2025-12");
        assert_eq!(Month::FIRST.to_string(), "0001-01");
        assert_eq!("0001-01".parse(), Ok(Month::FIRST));
        for wrong in ["2026-13", "2026-1", "26-10", "2026-10-01", "october", "", "+026-10"] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn months_follow_each_other_across_the_year() {
        let last: Month = "2026-01".parse().expect("a month");
        let months: Vec<_> = last.since(last.plus(-2)).map(|month| month.to_string()).collect();
        assert_eq!(months, ["2025-11", "2025-12", "2026-01"]);
    }
}
