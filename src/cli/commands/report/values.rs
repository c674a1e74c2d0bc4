//! Values out of the rows of a view.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Float64Type};
use arrow::record_batch::RecordBatch;

use crate::domain::month::Month;
use crate::error::{Error, ErrorKind, Result};

/// Returns a month of a row; `None` where it is NULL.
///
/// # Errors
/// `Model` where the column holds no dates.
pub(super) fn month(batch: &RecordBatch, column: usize, row: usize) -> Result<Option<Month>> {
    let dates = batch.column(column).as_primitive_opt::<Date32Type>().ok_or_else(|| other(batch, column, "a date"))?;
    Ok(dates.is_valid(row).then(|| Month::of_day(dates.value(row))))
}

/// Returns a number of a row; `None` where it is NULL.
///
/// # Errors
/// `Model` where the column holds no doubles.
pub(super) fn number(batch: &RecordBatch, column: usize, row: usize) -> Result<Option<f64>> {
    let numbers =
        batch.column(column).as_primitive_opt::<Float64Type>().ok_or_else(|| other(batch, column, "a double"))?;
    Ok(numbers.is_valid(row).then(|| numbers.value(row)))
}

/// Returns a text of a row; empty where it is NULL.
///
/// # Errors
/// `Model` where the column holds no texts.
pub(super) fn text(batch: &RecordBatch, column: usize, row: usize) -> Result<String> {
    let texts = batch.column(column).as_string_opt::<i32>().ok_or_else(|| other(batch, column, "a text"))?;
    Ok(if texts.is_valid(row) { texts.value(row).to_owned() } else { String::new() })
}

/// Returns the error of a view that a model of the user replaced by one with other columns.
fn other(batch: &RecordBatch, column: usize, expected: &str) -> Error {
    let schema = batch.schema_ref();
    let (name, found): (&str, &DataType) = (schema.field(column).name(), schema.field(column).data_type());
    Error::new(ErrorKind::Model, format!("column \"{name}\" of the report: expected {expected}, found {found}"))
        .with_hint("a model that replaces a built-in view must keep its columns")
}
