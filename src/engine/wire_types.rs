//! The types in which rows reach a client, and the way of a batch into them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray, GenericByteViewArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    BinaryType, BinaryViewType, ByteArrayType, ByteViewType, DataType, Field, Schema, SchemaRef, StringViewType,
    TimeUnit, Utf8Type,
};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::error::{Error, ErrorKind, Result};

/// The longest value that a view holds in itself, by the format.
const INLINE_BYTES_MAX: usize = 12;

/// How values travel. The default is what every client reads: plain texts and binaries, no dictionaries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WireTypes {
    /// Whether decimals become floating numbers, for clients that know none; the cent may be lost.
    pub has_decimals_as_floats: bool,
    /// Whether days become instants at midnight, for clients that know no days.
    pub has_dates_as_timestamps: bool,
    /// Whether instants lose their zone and stay UTC, for clients that know none.
    pub has_plain_instants: bool,
    /// Whether texts and binaries may stay views, for clients that read them: it saves a copy.
    pub has_views: bool,
}

impl WireTypes {
    /// Returns the columns as they arrive at a client. Statement, FlightInfo and stream of a query all have these.
    pub fn schema(self, schema: &Schema) -> SchemaRef {
        Arc::new(Schema::new(schema.fields().iter().map(|field| self.field(field)).collect::<Vec<_>>()))
    }

    fn field(self, field: &Field) -> Field {
        Field::new(field.name(), self.of(field.data_type()), field.is_nullable())
    }

    fn of(self, kind: &DataType) -> DataType {
        match kind {
            DataType::Utf8View | DataType::BinaryView if self.has_views => kind.clone(),
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
            DataType::Dictionary(_, value) => self.of(value),
            DataType::RunEndEncoded(_, values) => self.of(values.data_type()),
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::ListView(field)
            | DataType::LargeListView(field) => DataType::List(Arc::new(self.field(field))),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| self.field(field)).collect()),
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
                if self.has_decimals_as_floats =>
            {
                DataType::Float64
            }
            // JDBC knows the wide decimals only.
            DataType::Decimal32(digits, places) | DataType::Decimal64(digits, places) => {
                DataType::Decimal128(*digits, *places)
            }
            DataType::Date32 | DataType::Date64 if self.has_dates_as_timestamps => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            DataType::Timestamp(unit, Some(_)) if self.has_plain_instants => DataType::Timestamp(*unit, None),
            DataType::Null => DataType::Utf8,
            other => other.clone(),
        }
    }
}

/// Returns the columns in the types that every client reads.
pub fn wire_schema(schema: &Schema) -> SchemaRef {
    WireTypes::default().schema(schema)
}

/// Returns a batch in the types of a schema that [`WireTypes::schema`] gave for it.
///
/// # Errors
/// `Query` where a value has no place in its type, `Internal` where it is another schema.
pub(super) fn to_wire(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| converted(column, field.data_type()))
        .collect::<std::result::Result<Vec<ArrayRef>, _>>()
        .map_err(|cause| {
            Error::new(ErrorKind::Internal, "a result does not convert to the types of clients").with_source(cause)
        })?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|cause| {
        Error::new(ErrorKind::Internal, "a result does not have the schema that was announced").with_source(cause)
    })
}

fn converted(column: &ArrayRef, kind: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    match (column.data_type(), kind) {
        (from, to) if from == to => Ok(Arc::clone(column)),
        (DataType::Timestamp(unit, Some(_)), DataType::Timestamp(..)) => {
            // A cast alone would give the time of day in the zone.
            cast(&cast(column, &DataType::Timestamp(*unit, Some("UTC".into())))?, kind)
        }
        (DataType::Utf8View, DataType::Utf8) => plain::<StringViewType, Utf8Type>(column.as_byte_view()),
        (DataType::BinaryView, DataType::Binary) => plain::<BinaryViewType, BinaryType>(column.as_byte_view()),
        _ => cast(column, kind),
    }
}

/// Returns the values of views one after the other, as [`cast`] does in several times the time: most texts are short, and
/// a copy of fixed length needs no call.
fn plain<V: ByteViewType, T: ByteArrayType<Offset = i32>>(
    views: &GenericByteViewArray<V>,
) -> std::result::Result<ArrayRef, ArrowError> {
    let length = |view: u128| view as u32 as usize;
    let bytes_max: usize = views.views().iter().map(|view| length(*view)).sum();
    if i32::try_from(bytes_max).is_err() {
        return cast(views, &T::DATA_TYPE);
    }
    let mut bytes = Vec::with_capacity(bytes_max + INLINE_BYTES_MAX);
    let mut offsets = Vec::with_capacity(views.len() + 1);
    offsets.push(0);
    for (row, view) in views.views().iter().enumerate() {
        if views.is_null(row) {
            // What stands in the place of NULL has no meaning.
        } else if length(*view) <= INLINE_BYTES_MAX {
            let end = bytes.len() + length(*view);
            let [_, _, _, _, value @ ..] = view.to_le_bytes();
            bytes.extend_from_slice(&value);
            bytes.truncate(end);
        } else {
            bytes.extend_from_slice(views.value(row).as_ref());
        }
        offsets.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    GenericByteArray::<T>::try_new(offsets, Buffer::from_vec(bytes), views.nulls().cloned())
        .map(|values| Arc::new(values) as ArrayRef)
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryViewArray, Date32Array, Decimal128Array, StringViewArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn texts_become_plain_as_a_cast_makes_them() {
        let long = "a text that no view holds in itself";
        for texts in [
            vec![],
            vec![Some(""), None, Some("twelve bytes"), Some("thirteen byte"), Some(long), Some("äöü")],
            vec![None, None],
        ] {
            let views: ArrayRef = Arc::new(StringViewArray::from(texts));
            let slice = views.slice(views.len() / 3, views.len() - views.len() / 3);
            for views in [views, slice] {
                assert_eq!(converted(&views, &DataType::Utf8).ok(), cast(&views, &DataType::Utf8).ok());
            }
        }
        let bytes: ArrayRef = Arc::new(BinaryViewArray::from(vec![&b"\xff\x00"[..], &[7; 40]]));
        assert_eq!(converted(&bytes, &DataType::Binary).ok(), cast(&bytes, &DataType::Binary).ok());
    }

    #[test]
    fn options_change_schema_and_rows_alike() {
        let amount = Decimal128Array::from(vec![125]).with_precision_and_scale(18, 2).expect("18 digits");
        let batch = RecordBatch::try_from_iter([
            ("amount", Arc::new(amount) as ArrayRef),
            ("day", Arc::new(Date32Array::from(vec![1])) as ArrayRef),
            ("name", Arc::new(StringViewArray::from(vec!["x"])) as ArrayRef),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![7]).with_timezone("+02:00")) as ArrayRef),
        ])
        .expect("one length");
        let types = WireTypes {
            has_decimals_as_floats: true,
            has_dates_as_timestamps: true,
            has_plain_instants: true,
            has_views: true,
        };
        let schema = types.schema(&batch.schema());
        let kinds: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let instant = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(kinds, [DataType::Float64, instant.clone(), DataType::Utf8View, instant]);
        let rows = to_wire(&batch, &schema).expect("it converts");
        assert_eq!(rows.column(0).as_primitive::<arrow::datatypes::Float64Type>().value(0), 1.25);
        let day = rows.column(1).as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(0);
        assert_eq!(day, 86_400_000_000);
        assert_eq!(rows.column(3).as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(0), 7);
    }
}
