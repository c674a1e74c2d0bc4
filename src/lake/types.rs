//! Which types a Delta table has for those of Arrow, and conversions that lose nothing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options, max, min};
use arrow::datatypes::{DataType, Date32Type, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::domain::names::in_lower_case;
use crate::error::{Error, ErrorKind, Result};

/// The digits of the widest decimal that Delta knows.
const DIGITS_MAX: u8 = 38;

/// The digits of the greatest unsigned number of 64 bits.
const DIGITS_OF_U64: u8 = 20;

/// The most columns of a table: several times what the widest of CRMs have, and each takes memory of its own when rows are
/// written.
const COLUMNS_MAX: usize = 2_000;

/// The longest name of a column, in bytes: names stand in every commit, error and list.
const NAME_BYTES_MAX: usize = 255;

/// The most lists and structs within each other: a log with three times as many could be written, and never read again.
const LEVELS_MAX: usize = 16;

/// The name that Delta gives what is within a list.
const ELEMENT: &str = "element";

/// 0001-01-01 and 9999-12-31, in days since 1970-01-01.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;

/// Returns the columns of a Delta table that holds rows of a schema without loss; every column may be NULL.
///
/// Unsigned numbers get the next wider signed type, timestamps microseconds and UTC, dictionaries their values' type.
///
/// # Errors
/// `Query` with every column whose type Delta does not have, or whose name or type is too long, `Limit` where there are too
/// many.
pub fn storable(schema: &Schema) -> Result<SchemaRef> {
    if schema.fields().len() > COLUMNS_MAX {
        let message = format!("a table cannot have {} columns, more than {COLUMNS_MAX}", schema.fields().len());
        return Err(Error::new(ErrorKind::Limit, message).with_hint("name the columns that are needed"));
    }
    let mut problems = Vec::new();
    let mut fields = Vec::new();
    for field in schema.fields() {
        problems.extend(problem_of_name(field.name()));
        if levels(field.data_type()) > LEVELS_MAX {
            problems.push(format!(
                "column \"{}\": lists and structs are nested deeper than {LEVELS_MAX} levels",
                field.name()
            ));
            continue;
        }
        if fields.iter().any(|known: &Field| known.name().eq_ignore_ascii_case(field.name())) {
            problems.push(format!("column \"{}\" is there twice", field.name()));
        }
        match storable_type(field.data_type()) {
            Some(kind) => fields.push(Field::new(field.name(), kind, true)),
            None => problems.push(format!(
                "column \"{}\": a table cannot hold values of type {}; hint: cast it to text or to a number",
                field.name(),
                field.data_type()
            )),
        }
    }
    if fields.is_empty() && problems.is_empty() {
        problems.push("a table needs a column".to_owned());
    }
    match Error::list(ErrorKind::Query, "the columns cannot be stored", problems) {
        Some(error) => Err(error),
        None => Ok(Arc::new(Schema::new(fields))),
    }
}

/// Returns what is wrong with a column's name.
fn problem_of_name(name: &str) -> Option<String> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Some(format!("column {name:?}: a name has a letter, and none that cannot be seen"));
    }
    if name.len() > NAME_BYTES_MAX {
        let begin = &name[..name.floor_char_boundary(NAME_BYTES_MAX / 8)];
        return Some(format!("column \"{begin}...\": a name has up to {NAME_BYTES_MAX} bytes; hint: name it with as"));
    }
    None
}

/// Returns how many lists and structs a type has within each other.
fn levels(kind: &DataType) -> usize {
    match kind {
        DataType::Dictionary(_, values) => levels(values),
        DataType::RunEndEncoded(_, values) => levels(values.data_type()),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => 1 + levels(field.data_type()),
        DataType::Struct(fields) => 1 + fields.iter().map(|field| levels(field.data_type())).max().unwrap_or(0),
        _ => 0,
    }
}

fn storable_type(kind: &DataType) -> Option<DataType> {
    let microseconds = |zone: Option<Arc<str>>| DataType::Timestamp(TimeUnit::Microsecond, zone);
    Some(match kind {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8
        | DataType::Binary => kind.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(DIGITS_OF_U64, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(_, None) => microseconds(None),
        DataType::Timestamp(_, Some(_)) => microseconds(Some("UTC".into())),
        DataType::Decimal32(digits, places)
        | DataType::Decimal64(digits, places)
        | DataType::Decimal128(digits, places)
        | DataType::Decimal256(digits, places) => {
            let whole = i16::from(*digits) - i16::from((*places).min(0));
            let digits = u8::try_from(whole).ok().filter(|digits| *digits <= DIGITS_MAX)?;
            DataType::Decimal128(digits, (*places).max(0))
        }
        DataType::Dictionary(_, values) => storable_type(values)?,
        DataType::RunEndEncoded(_, values) => storable_type(values.data_type())?,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => {
            DataType::List(Arc::new(Field::new(ELEMENT, storable_type(field.data_type())?, true)))
        }
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| storable_field(field)).collect::<Option<Fields>>()?)
        }
        _ => return None,
    })
}

fn storable_field(field: &Field) -> Option<Field> {
    Some(Field::new(field.name(), storable_type(field.data_type())?, true))
}

/// Returns the columns as plans read them: texts as views of them.
pub(super) fn readable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Dictionary(_, values) if values.as_ref() == &DataType::Utf8 => DataType::Utf8View,
            other => other.clone(),
        };
        Field::new(field.name(), kind, field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Returns the columns as files hold them: what [`readable`] was made of.
pub(super) fn stored(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = if field.data_type() == &DataType::Utf8View { &DataType::Utf8 } else { field.data_type() };
        Field::new(field.name(), kind.clone(), field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Returns rows with the columns of a table, by their names: one that the rows do not have is NULL.
///
/// # Errors
/// `Query` with every column that the table does not have, whose values would change in the table's type, or that must not
/// be NULL.
pub fn converted(rows: &RecordBatch, table: &SchemaRef) -> Result<RecordBatch> {
    let found = rows.schema();
    let mut problems: Vec<String> = Vec::new();
    for field in found.fields().iter().filter(|field| table.field_with_name(field.name()).is_err()) {
        let names: Vec<_> = table.fields().iter().map(|field| field.name().as_str()).collect();
        problems.push(format!("the table has no column \"{}\"; hint: it has {}", field.name(), names.join(", ")));
    }
    let mut columns: Vec<ArrayRef> = Vec::new();
    for field in table.fields() {
        let column = match found.column_with_name(field.name()) {
            Some((place, _)) => converted_column(rows.column(place), field),
            None => Ok(arrow::array::new_null_array(field.data_type(), rows.num_rows())),
        };
        match column {
            Ok(column) if !field.is_nullable() && column.null_count() > 0 => {
                problems.push(format!("column \"{}\" must not be NULL", field.name()));
            }
            Ok(column) if !has_days_of_calendar(&column) => {
                problems.push(format!("column \"{}\": a date is not within the years 1 to 9999", field.name()));
            }
            Ok(column) => columns.push(column),
            Err(problem) => problems.push(problem),
        }
    }
    if let Some(error) = Error::list(ErrorKind::Query, "the rows do not fit the table", problems) {
        return Err(error);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(table), columns, &options).map_err(|cause| {
        Error::new(ErrorKind::Internal, "converted rows do not have the table's columns").with_source(cause)
    })
}

/// Returns whether all days of a column can be written as dates, which the statistics of files do.
fn has_days_of_calendar(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            min(days).is_none_or(|first| first >= FIRST_DAY) && max(days).is_none_or(|last| last <= LAST_DAY)
        }
        DataType::Struct(_) => column.as_struct().columns().iter().all(has_days_of_calendar),
        _ => true,
    }
}

/// Returns a column in the type of a table's; a text is read strictly, any other value must come back as it was.
fn converted_column(column: &ArrayRef, field: &Field) -> std::result::Result<ArrayRef, String> {
    let (from, to) = (column.data_type(), field.data_type());
    if from == to {
        return Ok(Arc::clone(column));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let changed = |why: String| format!("column \"{}\": {why}", field.name());
    let converted = cast_with_options(column, to, &strict).map_err(|cause| {
        let why = match &cause {
            ArrowError::CastError(why)
            | ArrowError::ParseError(why)
            | ArrowError::ComputeError(why)
            | ArrowError::InvalidArgumentError(why) => in_lower_case(why),
            other => other.to_string(),
        };
        changed(format!("a value of type {from} does not fit {to}: {why}"))
    })?;
    if is_text(from) || from == &DataType::Null {
        return Ok(converted);
    }
    let back = cast_with_options(&converted, from, &strict).ok();
    let is_lossless = back.is_some_and(|back| back.as_ref() == column.as_ref() || back.to_data() == column.to_data());
    if is_lossless { Ok(converted) } else { Err(changed(format!("a value of type {from} would change as {to}"))) }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
        UInt64Array,
    };
    use arrow::datatypes::{Decimal128Type, Int32Type, TimestampMicrosecondType};

    use super::*;

    fn one(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("a", column, true)]).expect("one column")
    }

    fn into(column: ArrayRef, kind: DataType) -> Result<ArrayRef> {
        let table = Arc::new(Schema::new(vec![Field::new("a", kind, true)]));
        Ok(Arc::clone(converted(&one(column), &table)?.column(0)))
    }

    #[test]
    fn every_number_without_a_sign_keeps_its_value() {
        let rows = one(Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])));
        let table = storable(&rows.schema()).expect("it can be stored");
        let stored = converted(&rows, &table).expect("it fits");
        assert_eq!(stored.column(0).as_primitive::<Decimal128Type>().value(0), i128::from(u64::MAX));
    }

    #[test]
    fn a_type_that_no_table_has_is_named() {
        let schema = Schema::new(vec![
            Field::new("fine", DataType::Int64, true),
            Field::new("span", DataType::Duration(TimeUnit::Second), true),
        ]);
        let error = storable(&schema).expect_err("no durations");
        assert!(error.message().contains("column \"span\"") && !error.message().contains("fine"), "{error}");
    }

    #[test]
    fn what_could_not_be_read_again_is_no_table() {
        let nested = |levels: usize| {
            let kind =
                (0..levels).fold(DataType::Int64, |kind, _| DataType::Struct(vec![Field::new("x", kind, true)].into()));
            storable(&Schema::new(vec![Field::new("a", kind, true)]))
        };
        assert!(nested(LEVELS_MAX).is_ok());
        let deep = nested(LEVELS_MAX + 1).expect_err("it is too deep");
        assert_eq!(deep.message(), "column \"a\": lists and structs are nested deeper than 16 levels");
        let columns = |count: usize| {
            let fields = (0..count).map(|number| Field::new(format!("c{number}"), DataType::Int64, true));
            storable(&Schema::new(fields.collect::<Vec<_>>()))
        };
        assert!(columns(COLUMNS_MAX).is_ok());
        assert_eq!(columns(COLUMNS_MAX + 1).expect_err("they are too many").kind(), ErrorKind::Limit);
        for name in ["", "a\0b", "a\nb", "x".repeat(256).as_str()] {
            let named = storable(&Schema::new(vec![Field::new(name, DataType::Int64, true)]));
            assert_eq!(named.expect_err("it is no name").kind(), ErrorKind::Query, "{name}");
        }
    }

    #[test]
    fn nothing_is_rounded() {
        assert!(into(Arc::new(Float64Array::from(vec![1.5])), DataType::Int64).is_err());
        assert!(into(Arc::new(Float64Array::from(vec![2.0])), DataType::Int64).is_ok());
        assert!(into(Arc::new(Int64Array::from(vec![(1_i64 << 53) + 1])), DataType::Float64).is_err());
        let cents: ArrayRef =
            Arc::new(Decimal128Array::from(vec![12345]).with_precision_and_scale(9, 3).expect("a decimal"));
        assert!(into(cents, DataType::Decimal128(9, 2)).is_err());
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert!(into(Arc::new(TimestampNanosecondArray::from(vec![1_001])), micros.clone()).is_err());
        let stored = into(Arc::new(TimestampNanosecondArray::from(vec![2_000])), micros).expect("whole microseconds");
        assert_eq!(stored.as_primitive::<TimestampMicrosecondType>().value(0), 2);
    }

    #[test]
    fn a_dictionary_is_its_values_and_a_text_is_read_strictly() {
        let words: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
        let rows = one(Arc::new(words));
        let table = storable(&rows.schema()).expect("it can be stored");
        let stored = converted(&rows, &table).expect("it fits");
        assert_eq!(stored.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["x", "y", "x"]);
        assert!(into(Arc::new(StringArray::from(vec!["2026-01-31"])), DataType::Date32).is_ok());
        assert!(into(Arc::new(StringArray::from(vec!["soon"])), DataType::Date32).is_err());
    }

    #[test]
    fn days_are_those_that_have_a_date() {
        let stored = |days: Vec<i32>| into(Arc::new(Date32Array::from(days)), DataType::Date32);
        assert!(stored(vec![FIRST_DAY, 0, LAST_DAY]).is_ok());
        for day in [FIRST_DAY - 1, LAST_DAY + 1, i32::MIN, i32::MAX] {
            let error = stored(vec![0, day]).expect_err("it has no date");
            assert_eq!(error.message(), "column \"a\": a date is not within the years 1 to 9999");
        }
    }

    #[test]
    fn columns_go_by_their_names() {
        let table = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Int64, false),
        ]));
        let only_a = one(Arc::new(Int64Array::from(vec![1])));
        let error = converted(&only_a, &table).expect_err("b is missing");
        assert_eq!(error.message(), "column \"b\" must not be NULL");
        let other = RecordBatch::try_from_iter([("z", Arc::new(Int64Array::from(vec![1])) as _)]).expect("one column");
        assert!(converted(&other, &table).expect_err("no such column").message().contains("no column \"z\""));
    }
}
