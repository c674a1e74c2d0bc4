//! How large arguments are.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

/// A day, in seconds.
const DAY: f64 = 86_400.0;

/// The shortest month, in days: the series with the most steps.
const MONTH_DAYS: f64 = 28.0;

/// Returns the bytes of all arguments in all rows.
pub(super) fn sum(args: &[ColumnarValue], rows: usize) -> Result<f64> {
    let mut bytes = 0.0;
    for arg in args {
        bytes += match arg {
            ColumnarValue::Scalar(value) => rows as f64 * sizes(&value.to_array()?)?.iter().sum::<f64>(),
            ColumnarValue::Array(values) => sizes(values)?.iter().sum(),
        };
    }
    Ok(bytes)
}

/// Returns the bytes of each value; of lists, an equal part of all.
pub(super) fn sizes(values: &dyn Array) -> Result<Vec<f64>> {
    match values.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary => {
            lengths(values)
        }
        _ => {
            let bytes = values.to_data().get_slice_memory_size()? as f64;
            Ok(vec![bytes / values.len().max(1) as f64; values.len()])
        }
    }
}

/// Returns the bytes of each text, or the elements of each list; of other types 0.
pub(super) fn lengths(values: &dyn Array) -> Result<Vec<f64>> {
    match length(values) {
        Ok(lengths) => numbers(&lengths),
        Err(_) => Ok(vec![0.0; values.len()]),
    }
}

/// Returns each number, of days, instants and intervals their seconds; of other types 0, which the function itself refuses.
pub(super) fn numbers(values: &dyn Array) -> Result<Vec<f64>> {
    let scale = match values.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let intervals = values.as_primitive::<IntervalMonthDayNanoType>();
            let seconds = intervals.iter().map(|interval| {
                interval.map_or(0.0, |interval| {
                    let days = f64::from(interval.months) * MONTH_DAYS + f64::from(interval.days);
                    days * DAY + interval.nanoseconds as f64 / 1e9
                })
            });
            return Ok(seconds.collect());
        }
        DataType::Date32 => return scaled(&cast(values, &DataType::Int32)?, DAY),
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1e-3,
        DataType::Timestamp(TimeUnit::Second, _) => 1.0,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1e-6,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1e-9,
        kind if kind.is_numeric() => return scaled(values, 1.0),
        _ => return Ok(vec![0.0; values.len()]),
    };
    scaled(&cast(values, &DataType::Int64)?, scale)
}

fn scaled(values: &dyn Array, scale: f64) -> Result<Vec<f64>> {
    let numbers = cast(values, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().iter().map(|number| number.unwrap_or_default() * scale).collect())
}

/// Returns the elements of series from the first to the second; without a second, from 0.
pub(super) fn series(has_second: bool, first: Vec<f64>, second: Vec<f64>, step: Vec<f64>) -> f64 {
    let each = first.into_iter().zip(second).zip(step).map(|((first, second), step)| {
        let (from, to) = if has_second { (first, second) } else { (0.0, first) };
        let step = if step == 0.0 { 1.0 } else { step };
        ((to - from) / step).max(0.0)
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Date32Array, Int32Array, IntervalMonthDayNanoArray, NullArray, StringArray, TimestampNanosecondArray,
        TimestampSecondArray,
    };
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    #[test]
    fn days_instants_and_intervals_are_seconds() {
        let of = |values: ArrayRef| numbers(&values).expect("it is known")[0];
        assert_eq!(of(Arc::new(Int32Array::from(vec![7]))), 7.0);
        assert_eq!(of(Arc::new(Date32Array::from(vec![-2]))), -172_800.0);
        assert_eq!(of(Arc::new(TimestampSecondArray::from(vec![5]))), 5.0);
        assert_eq!(of(Arc::new(TimestampNanosecondArray::from(vec![5_000_000_000]).with_timezone("UTC"))), 5.0);
        let interval = IntervalMonthDayNano::new(1, 1, 500_000_000);
        assert_eq!(of(Arc::new(IntervalMonthDayNanoArray::from(vec![interval]))), 29.0 * DAY + 0.5);
        assert_eq!(of(Arc::new(StringArray::from(vec!["7"]))), 0.0);
        assert_eq!(of(Arc::new(NullArray::new(1))), 0.0);
    }
}
