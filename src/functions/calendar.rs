//! Periods of the reporting time zone as SQL functions.
//!
//! | function | returns |
//! | --- | --- |
//! | `local_day(instant)`, `local_week(instant)`, `local_month(instant)` | the day, or the first day of the week or month, a date |
//! | `week_of(date)`, `month_of(date)`, `quarter_of(date)` | the first day of the week, month or fiscal quarter that a day is in |
//! | `day_start(date)` | the first instant of a day |
//! | `add_weeks(date, n)`, `add_months(date, n)` | the day n weeks later; the first day of the month n months later |
//! | `day_series(from, to)`, `week_series(from, to)`, `month_series(from, to)` | the days from one to the other, both included, or the first days of the weeks or months that they are in; a list |
//! | `days_between(from, to)` | days of 86,400 seconds from one instant to another, a double; NULL where the second is earlier |
//! | `last_day()` | the day of the last instant before `reporting.as_of` |

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Date32Builder, Float64Array, ListBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::settings::{instant_type, session_calendar, session_settings};
use crate::domain::calendar;

/// The most elements of one series: a day series of more than a century is a slip.
const SERIES_MAX: i64 = 200_000;

/// The most weeks or months that a date is shifted by: with more it would leave the calendar.
const SHIFT_MAX: i32 = 120_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Cut {
    LocalDay,
    LocalWeek,
    LocalMonth,
    WeekOf,
    MonthOf,
    QuarterOf,
    DayStart,
    AddWeeks,
    AddMonths,
    DaySeries,
    WeekSeries,
    MonthSeries,
    LastDay,
    DaysBetween,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CalendarFunction {
    name: &'static str,
    cut: Cut,
    signature: Signature,
}

/// Returns the calendar functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let (date, instant) = (DataType::Date32, instant_type());
    [
        ("local_day", Cut::LocalDay, vec![instant.clone()]),
        ("local_week", Cut::LocalWeek, vec![instant.clone()]),
        ("local_month", Cut::LocalMonth, vec![instant.clone()]),
        ("days_between", Cut::DaysBetween, vec![instant.clone(), instant]),
        ("week_of", Cut::WeekOf, vec![date.clone()]),
        ("month_of", Cut::MonthOf, vec![date.clone()]),
        ("quarter_of", Cut::QuarterOf, vec![date.clone()]),
        ("day_start", Cut::DayStart, vec![date.clone()]),
        ("add_weeks", Cut::AddWeeks, vec![date.clone(), DataType::Int64]),
        ("add_months", Cut::AddMonths, vec![date.clone(), DataType::Int64]),
        ("day_series", Cut::DaySeries, vec![date.clone(), date.clone()]),
        ("week_series", Cut::WeekSeries, vec![date.clone(), date.clone()]),
        ("month_series", Cut::MonthSeries, vec![date.clone(), date]),
        ("last_day", Cut::LastDay, vec![]),
    ]
    .into_iter()
    .map(|(name, cut, arguments)| {
        let signature = if arguments.is_empty() {
            Signature::nullary(Volatility::Stable)
        } else {
            Signature::exact(arguments, Volatility::Stable)
        };
        ScalarUDF::from(CalendarFunction { name, cut, signature })
    })
    .collect()
}

impl ScalarUDFImpl for CalendarFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.cut {
            Cut::DayStart => instant_type(),
            Cut::DaysBetween => DataType::Float64,
            Cut::DaySeries | Cut::WeekSeries | Cut::MonthSeries => {
                DataType::List(Arc::new(Field::new_list_field(DataType::Date32, true)))
            }
            _ => DataType::Date32,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let calendar = session_calendar(&arguments.config_options);
        if self.cut == Cut::LastDay {
            let as_of = session_settings(&arguments.config_options).as_of();
            return Ok(ColumnarValue::Scalar(ScalarValue::Date32(as_of.map(|micros| calendar.day(micros - 1)))));
        }
        let is_scalar = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let first = &columns[0];
        let array: ArrayRef = match self.cut {
            Cut::LocalDay => Arc::new(by_instant(first, |micros| calendar.day(micros))),
            Cut::LocalWeek => Arc::new(by_instant(first, |micros| calendar.week_of(calendar.day(micros)))),
            Cut::LocalMonth => Arc::new(by_instant(first, |micros| calendar.month(micros))),
            Cut::WeekOf => Arc::new(by_day(first, |day| calendar.week_of(day))),
            Cut::MonthOf => Arc::new(by_day(first, calendar::month_of)),
            Cut::QuarterOf => Arc::new(by_day(first, |day| calendar.quarter_of(day))),
            Cut::DayStart => {
                let starts: TimestampMicrosecondArray =
                    first.as_primitive::<Date32Type>().unary_opt(|day| Some(calendar.start_of_day(day)));
                Arc::new(starts.with_timezone("UTC"))
            }
            Cut::AddWeeks => Arc::new(shifted(first, &columns[1], |day, count| day + 7 * count)?),
            Cut::AddMonths => Arc::new(shifted(first, &columns[1], calendar::add_months)?),
            Cut::DaySeries => series(first, &columns[1], |day| day, |day| day + 1)?,
            Cut::WeekSeries => series(first, &columns[1], |day| calendar.week_of(day), |day| day + 7)?,
            Cut::MonthSeries => series(first, &columns[1], calendar::month_of, |day| calendar::add_months(day, 1))?,
            Cut::DaysBetween => Arc::new(days_between(first, &columns[1])),
            Cut::LastDay => return exec_err!("last_day() takes no argument"),
        };
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

fn by_instant(instants: &ArrayRef, cut: impl Fn(i64) -> i32) -> Date32Array {
    // Neighbouring rows are often of one day; a cut is dear only in zones with offsets, and there it is a table lookup.
    instants.as_primitive::<TimestampMicrosecondType>().unary(cut)
}

fn days_between(from: &ArrayRef, to: &ArrayRef) -> Float64Array {
    let from = from.as_primitive::<TimestampMicrosecondType>();
    let to = to.as_primitive::<TimestampMicrosecondType>();
    let pairs = from.iter().zip(to.iter());
    pairs
        .map(|(from, to)| Some((from?, to?)))
        .map(|pair| pair.filter(|(from, to)| from <= to))
        .map(|pair| pair.map(|(from, to)| (to - from) as f64 / calendar::MICROS_PER_DAY as f64))
        .collect()
}

fn by_day(days: &ArrayRef, cut: impl Fn(i32) -> i32) -> Date32Array {
    days.as_primitive::<Date32Type>().unary(cut)
}

fn shifted(days: &ArrayRef, counts: &ArrayRef, shift: impl Fn(i32, i32) -> i32) -> Result<Date32Array> {
    let (days, counts) = (days.as_primitive::<Date32Type>(), counts.as_primitive::<Int64Type>());
    let pairs = days.iter().zip(counts.iter()).map(|(day, count)| match (day, count) {
        (Some(day), Some(count)) => match i32::try_from(count) {
            Ok(count) if count.abs() <= SHIFT_MAX => Ok(Some(shift(day, count))),
            _ => exec_err!("a date cannot be shifted by {count} weeks or months"),
        },
        _ => Ok(None),
    });
    pairs.collect()
}

fn series(
    from: &ArrayRef,
    to: &ArrayRef,
    period_of: impl Fn(i32) -> i32,
    next: impl Fn(i32) -> i32,
) -> Result<ArrayRef> {
    let (from, to) = (from.as_primitive::<Date32Type>(), to.as_primitive::<Date32Type>());
    let mut lists = ListBuilder::new(Date32Builder::new());
    for row in 0..from.len() {
        if from.is_null(row) || to.is_null(row) {
            lists.append(false);
            continue;
        }
        let (mut day, last) = (from.value(row), to.value(row));
        if i64::from(last) - i64::from(day) > SERIES_MAX {
            return exec_err!("a series of dates spans more than {SERIES_MAX} days");
        }
        if day <= last {
            day = period_of(day);
        }
        while day <= last {
            lists.values().append_value(day);
            day = next(day);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::{Calendar, WeekStart, day_of};

    fn day(text: &str) -> i32 {
        day_of(text.parse().expect("a test's date parses"))
    }

    fn weeks(from: Option<&str>, to: Option<&str>) -> Option<Vec<i32>> {
        let calendar = Calendar { timezone: chrono_tz::Tz::UTC, week_start: WeekStart::Monday, fiscal_year_start: 1 };
        let column = |text: Option<&str>| -> ArrayRef { Arc::new(Date32Array::from(vec![text.map(day)])) };
        let lists = series(&column(from), &column(to), |day| calendar.week_of(day), |day| day + 7)
            .expect("a series of the test is short");
        let lists = lists.as_list::<i32>();
        lists.is_valid(0).then(|| lists.value(0).as_primitive::<Date32Type>().values().to_vec())
    }

    #[test]
    fn a_series_of_weeks_holds_the_weeks_of_both_ends() {
        let (first, second, third) = (day("2024-02-19"), day("2024-02-26"), day("2024-03-04"));
        assert_eq!(weeks(Some("2024-02-25"), Some("2024-03-04")), Some(vec![first, second, third]));
        assert_eq!(weeks(Some("2024-02-19"), Some("2024-02-25")), Some(vec![first]));
        assert_eq!(weeks(Some("2024-02-28"), Some("2024-02-27")), Some(vec![]));
        assert_eq!(weeks(None, Some("2024-02-27")), None);
    }
}
