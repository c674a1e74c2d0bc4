//! Days, months and instants of the sample's history.
//!
//! Days count from 1970-01-01, instants are microseconds of UTC. The history always ends with October 2026.

/// A second in microseconds.
pub const SECOND: i64 = 1_000_000;
/// An hour in microseconds.
pub const HOUR: i64 = 3_600 * SECOND;
/// A day in microseconds.
pub const DAY: i64 = 24 * HOUR;
/// The day of `as_of`: 2026-11-01.
pub const AS_OF_DAY: i32 = days_from_civil(2026, 11, 1);
/// The instant of `as_of`: 2026-11-01T00:00:00Z.
pub const AS_OF: i64 = AS_OF_DAY as i64 * DAY;
/// The latest leap day of the history: 2024-02-29.
pub const LEAP_DAY: i32 = days_from_civil(2024, 2, 29);

/// The months of the history.
pub struct Calendar {
    /// The first day of each month, and `AS_OF_DAY` at the end.
    first_days: Vec<i32>,
}

impl Calendar {
    /// Returns the calendar of a number of months up to October 2026; at least 1.
    pub fn new(months: u32) -> Self {
        let count = i32::try_from(months.max(1)).unwrap_or(i32::MAX);
        let first_days = (0..=count).map(|month| add_months(AS_OF_DAY, month - count)).collect();
        Self { first_days }
    }

    /// Returns how many months there are.
    pub fn months(&self) -> usize {
        self.first_days.len() - 1
    }

    /// Returns the first day of a month; of the month after the last one, the day of `as_of`.
    pub fn first_day(&self, month: usize) -> i32 {
        self.first_days[month.min(self.months())]
    }

    /// Returns the first instant of a month; of the month after the last one, `as_of`.
    pub fn start_of(&self, month: usize) -> i64 {
        instant(self.first_day(month))
    }

    /// Returns the first instant of the history.
    pub fn start(&self) -> i64 {
        self.start_of(0)
    }

    /// Returns the month of an instant; the first or the last one for an instant outside the history.
    pub fn month_of(&self, at: i64) -> usize {
        let day = day_of(at);
        self.first_days.partition_point(|first| *first <= day).clamp(1, self.months()) - 1
    }
}

/// Returns the first instant of a day.
pub const fn instant(day: i32) -> i64 {
    day as i64 * DAY
}

/// Returns the day of an instant.
pub fn day_of(at: i64) -> i32 {
    i32::try_from(at.div_euclid(DAY)).unwrap_or(AS_OF_DAY)
}

/// Returns the day some months later, or the last of that month if it is shorter.
pub fn add_months(day: i32, months: i32) -> i32 {
    let (year, month, of_month) = civil_from_days(day);
    let count = year * 12 + (month - 1) + months;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    let first = days_from_civil(year, month, 1);
    let next = if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
    first + (of_month - 1).min(next - first - 1)
}

/// Returns the month of the year of a day, 1 to 12.
pub fn month_of_year(day: i32) -> i32 {
    civil_from_days(day).1
}

/// Returns the day of a date of the proleptic Gregorian calendar, by Howard Hinnant's `days_from_civil`.
pub const fn days_from_civil(year: i32, month: i32, of_month: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + of_month - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Returns year, month and day of the month, by Howard Hinnant's `civil_from_days`.
pub const fn civil_from_days(day: i32) -> (i32, i32, i32) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_based = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * march_based + 2) / 5 + 1;
    let month = if march_based < 10 { march_based + 3 } else { march_based - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(AS_OF_DAY, 20_758);
        for day in -200..25_000 {
            let (year, month, of_month) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, of_month), day);
        }
    }

    #[test]
    fn months_are_clamped_to_their_last_day() {
        assert_eq!(add_months(days_from_civil(2024, 1, 31), 1), LEAP_DAY);
        assert_eq!(add_months(LEAP_DAY, 12), days_from_civil(2025, 2, 28));
        assert_eq!(add_months(days_from_civil(2024, 3, 31), -1), LEAP_DAY);
    }

    #[test]
    fn the_history_ends_with_october_2026() {
        let calendar = Calendar::new(30);
        assert_eq!(civil_from_days(calendar.first_day(0)), (2024, 5, 1));
        assert_eq!(civil_from_days(calendar.first_day(29)), (2026, 10, 1));
        assert_eq!(calendar.month_of(AS_OF - 1), 29);
        assert_eq!(calendar.month_of(AS_OF + DAY), 29);
        assert_eq!(calendar.month_of(0), 0);
    }
}
