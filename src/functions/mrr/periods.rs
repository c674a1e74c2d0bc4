//! The periods at whose ends recurring revenue is taken, as numbers that follow each other.

use chrono::Datelike;

use crate::domain::calendar::{Calendar, add_months, date_of};

const MONTHS_PER_YEAR: i32 = 12;

const DAYS_PER_WEEK: i32 = 7;

/// A kind of period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Calendar months.
    Month,
    /// Weeks of the reporting calendar.
    Week,
}

impl Period {
    /// Returns the column that names a period by its first day.
    pub fn column(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Week => "week",
        }
    }

    /// Returns how many periods are a year; `None` where no number of them is.
    pub fn per_year(self) -> Option<i32> {
        match self {
            Self::Month => Some(MONTHS_PER_YEAR),
            Self::Week => None,
        }
    }
}

/// Numbers the periods of a calendar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Periods {
    pub(super) period: Period,
    pub(super) calendar: Calendar,
}

impl Periods {
    /// Returns the number of the period that a day is in.
    pub(super) fn index(&self, day: i32) -> i32 {
        match self.period {
            Period::Month => {
                let date = date_of(day);
                date.year() * MONTHS_PER_YEAR + date.month0() as i32
            }
            Period::Week => (self.calendar.week_of(day) - self.calendar.week_of(0)) / DAYS_PER_WEEK,
        }
    }

    /// Returns the first day of a period.
    pub(super) fn first_day(&self, index: i32) -> i32 {
        match self.period {
            Period::Month => add_months(0, index - self.index(0)),
            Period::Week => self.calendar.week_of(0) + index * DAYS_PER_WEEK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Settings;
    use crate::domain::calendar::{WeekStart, month_of};

    #[test]
    fn periods_are_numbered_and_named_back() {
        for week_start in [WeekStart::Monday, WeekStart::Sunday] {
            let calendar = Calendar { week_start, ..Settings::default().calendar() };
            let months = Periods { period: Period::Month, calendar };
            let weeks = Periods { period: Period::Week, calendar };
            for day in [-400, -3, 0, 31, 20_000] {
                assert_eq!(months.first_day(months.index(day)), month_of(day));
                assert_eq!(weeks.first_day(weeks.index(day)), calendar.week_of(day));
                assert_eq!(weeks.index(day + 7), weeks.index(day) + 1);
            }
        }
    }
}
