//! From when to when the rows of a file are, by its columns of days and instants, as its footer tells.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};

use super::FileVersion;

/// The least and the greatest value of a column in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// All values are NULL, or there are no rows.
    Nothing,
    /// Days since 1970-01-01.
    Days(i32, i32),
    /// Microseconds since 1970-01-01 UTC.
    Micros(i64, i64),
}

/// The spans of a file, by column; a column that is not there has none that is known.
pub type Spans = BTreeMap<String, Span>;

/// A version of a file, with its spans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// The version.
    #[serde(flatten)]
    pub version: FileVersion,
    /// Its spans.
    #[serde(default)]
    pub spans: Spans,
}

/// Returns the spans of all columns of days and instants whose statistics say them.
pub(super) fn spans(metadata: &ParquetMetaData, schema: &SchemaRef) -> Spans {
    let names = schema.fields().iter().map(|field| field.name());
    names.filter_map(|name| Some((name.clone(), span(metadata, schema, name)?))).collect()
}

fn span(metadata: &ParquetMetaData, schema: &SchemaRef, column: &str) -> Option<Span> {
    let kind = schema.field_with_name(column).ok()?.data_type().clone();
    let plain = match &kind {
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => return None,
    };
    let converter = StatisticsConverter::try_new(column, schema, metadata.file_metadata().schema_descr()).ok()?;
    let groups = metadata.row_groups();
    let least = cast(&converter.row_group_mins(groups).ok()?, &plain).ok()?;
    let greatest = cast(&converter.row_group_maxes(groups).ok()?, &plain).ok()?;
    let nulls: UInt64Array = converter.row_group_null_counts(groups).ok()?;
    let mut ends: Option<(i64, i64)> = None;
    for (place, group) in groups.iter().enumerate() {
        if least.is_null(place) || greatest.is_null(place) {
            let rows = u64::try_from(group.num_rows()).ok()?;
            if rows == 0 || !nulls.is_null(place) && nulls.value(place) == rows {
                continue;
            }
            return None;
        }
        let (low, high) = (value(&least, place)?, value(&greatest, place)?);
        ends = Some(ends.map_or((low, high), |(least, greatest)| (least.min(low), greatest.max(high))));
    }
    let Some((low, high)) = ends else { return Some(Span::Nothing) };
    if plain == DataType::Date32 {
        return Some(Span::Days(i32::try_from(low).ok()?, i32::try_from(high).ok()?));
    }
    Some(Span::Micros(low, high))
}

fn value(array: &ArrayRef, place: usize) -> Option<i64> {
    match array.data_type() {
        DataType::Date32 => array.as_primitive_opt::<Date32Type>().map(|days| i64::from(days.value(place))),
        _ => array.as_primitive_opt::<TimestampMicrosecondType>().map(|instants| instants.value(place)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Int64Array, TimestampNanosecondArray};
    use arrow::record_batch::RecordBatch;
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
    use parquet::file::properties::{EnabledStatistics, WriterProperties};

    use super::*;

    fn spans_of(columns: [(&str, ArrayRef); 3], properties: WriterProperties) -> Spans {
        let rows = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
            .expect("three columns");
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), Some(properties)).expect("a writer");
        writer.write(&rows).expect("it writes");
        writer.close().expect("it ends");
        let read = ArrowReaderMetadata::load(&Bytes::from(file), ArrowReaderOptions::new()).expect("a file");
        spans(read.metadata(), read.schema())
    }

    fn columns() -> [(&'static str, ArrayRef); 3] {
        let instants = TimestampNanosecondArray::from(vec![Some(3_000), None, Some(1_000_001)]).with_timezone("UTC");
        [
            ("at", Arc::new(instants)),
            ("day", Arc::new(Date32Array::from(vec![None; 3]))),
            ("count", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ]
    }

    #[test]
    fn row_groups_make_one_span_and_nulls_none() {
        let small = WriterProperties::builder().set_max_row_group_row_count(Some(1)).build();
        let expected = Spans::from([("at".to_owned(), Span::Micros(3, 1_000)), ("day".to_owned(), Span::Nothing)]);
        assert_eq!(spans_of(columns(), small), expected);
    }

    #[test]
    fn without_statistics_nothing_is_known() {
        let none = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
        assert_eq!(spans_of(columns(), none), Spans::new());
    }
}
