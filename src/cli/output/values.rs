//! Values as texts: one form for every format that is made of text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::FormatOptions;

/// An instant in UTC with its microseconds, as in `2026-11-01T00:00:00.000000Z`.
pub(super) const INSTANT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// A timestamp that has no time zone.
pub(super) const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M:%S%.6f";

/// An instant for people: the fraction of a second only where there is one.
const INSTANT_SHORT: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// Returns how values are written in files.
pub(super) fn exact() -> FormatOptions<'static> {
    FormatOptions::new().with_timestamp_tz_format(Some(INSTANT)).with_timestamp_format(Some(LOCAL_TIME))
}

/// Returns how values are shown to people.
pub(super) fn readable() -> FormatOptions<'static> {
    exact().with_timestamp_tz_format(Some(INSTANT_SHORT))
}

/// Returns the rows with every instant in UTC and microseconds, whatever zone and unit it has.
///
/// # Errors
/// That of a cast, where an instant is out of range.
pub(super) fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let is_other = |kind: &DataType| matches!(kind, DataType::Timestamp(_, Some(_))) && *kind != utc;
    if !batch.columns().iter().any(|column| is_other(column.data_type())) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if is_other(column.data_type()) {
            fields.push(Arc::new(Field::new(field.name(), utc.clone(), field.is_nullable())));
            columns.push(cast(column, &utc)?);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}
