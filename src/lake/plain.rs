//! How much memory values take once each stands for itself. Views, dictionaries and runs name one value for many rows, and a
//! NULL without a type takes no memory: a few bytes of a client can stand for more values than any memory holds.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericByteArray, GenericByteViewArray, GenericListArray, GenericListViewArray,
    OffsetSizeTrait, downcast_dictionary_array, downcast_run_array,
};
use arrow::datatypes::{
    ArrowNativeType, BinaryType, BinaryViewType, ByteArrayType, ByteViewType, DataType, LargeBinaryType, LargeUtf8Type,
    SchemaRef, StringViewType, Utf8Type,
};
use arrow::record_batch::RecordBatch;

use crate::error::{Error, ErrorKind, Result};

/// The most bytes of the values of a batch that are converted: four times the longest message of a client. For a moment
/// there is twice as much, for values are compared with those that they were made of.
const CONVERTED_BYTES_MAX: u64 = 256 << 20;

/// The longest text of a value that is none: that of a decimal with all its digits.
const TEXT_OF_VALUE_BYTES_MAX: u64 = 80;

/// The bytes that say where a text or list ends, or which value of a dictionary a row has.
const PLACE_BYTES: u64 = 4;

/// Checks that rows fit into memory once their values are those of a table's columns, before any is converted; a column that
/// they do not have is NULL.
///
/// # Errors
/// `Limit` where they take more than 256 MiB.
pub fn check_room(rows: &RecordBatch, table: &SchemaRef) -> Result<()> {
    let mut room = Room::default();
    let taken = table.fields().iter().try_for_each(|field| match rows.column_by_name(field.name()) {
        Some(column) => room.convert(column, field.data_type()),
        None => room.take(rows.num_rows(), bytes_of_null(field.data_type())),
    });
    taken.ok_or_else(too_large)
}

/// Checks that columns fit into memory as values of other types, before any is converted.
///
/// # Errors
/// `Limit` where they take more than 256 MiB.
pub fn check_room_of<'columns>(columns: impl Iterator<Item = (&'columns ArrayRef, &'columns DataType)>) -> Result<()> {
    let mut room = Room::default();
    let mut columns = columns;
    columns.try_for_each(|(column, kind)| room.convert(column, kind)).ok_or_else(too_large)
}

fn too_large() -> Error {
    let message = format!("the values of a batch of rows take more than {} MiB", CONVERTED_BYTES_MAX >> 20);
    Error::new(ErrorKind::Limit, message).with_hint("take fewer rows at a time, or shorter values")
}

/// The bytes that are left.
struct Room(u64);

impl Default for Room {
    fn default() -> Self {
        Self(CONVERTED_BYTES_MAX)
    }
}

/// Whether there was room; `None` ends the reckoning, which so takes no longer than what it forbids is large.
type Taken = Option<()>;

impl Room {
    fn take(&mut self, count: usize, bytes_each: u64) -> Taken {
        self.0 = self.0.checked_sub(u64::try_from(count).ok()?.checked_mul(bytes_each)?)?;
        Some(())
    }

    /// Takes the room of a column as values of a type; of its own there is nothing to convert.
    fn convert(&mut self, column: &ArrayRef, kind: &DataType) -> Taken {
        if column.data_type() == kind { Some(()) } else { self.whole(column, kind) }
    }

    /// Takes the room of all values, also of those that no row names: what is within a list or dictionary is converted whole.
    fn whole(&mut self, values: &dyn Array, kind: &DataType) -> Taken {
        for (child, kind) in children(values, kind) {
            self.whole(child, kind)?;
        }
        match values.data_type() {
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
                self.take(values.len(), PLACE_BYTES)
            }
            DataType::Struct(_) => Some(()),
            _ => self.rows(values, 0..values.len(), kind),
        }
    }

    /// Takes the room of the values of some rows, each for itself.
    fn rows(&mut self, values: &dyn Array, rows: Range<usize>, kind: &DataType) -> Taken {
        let count = rows.len();
        match values.data_type() {
            DataType::Null => self.take(count, bytes_of_null(kind)),
            DataType::Utf8 => self.texts(values.as_bytes::<Utf8Type>(), rows, kind),
            DataType::LargeUtf8 => self.texts(values.as_bytes::<LargeUtf8Type>(), rows, kind),
            DataType::Binary => self.texts(values.as_bytes::<BinaryType>(), rows, kind),
            DataType::LargeBinary => self.texts(values.as_bytes::<LargeBinaryType>(), rows, kind),
            DataType::Utf8View => self.views(values.as_byte_view::<StringViewType>(), rows, kind),
            DataType::BinaryView => self.views(values.as_byte_view::<BinaryViewType>(), rows, kind),
            DataType::FixedSizeBinary(bytes) => self.take(count, PLACE_BYTES + u64::try_from(*bytes).ok()?),
            DataType::List(_) => self.lists(values.as_list::<i32>(), rows, element(kind)),
            DataType::LargeList(_) => self.lists(values.as_list::<i64>(), rows, element(kind)),
            DataType::ListView(_) => self.list_views(values.as_list_view::<i32>(), rows, element(kind)),
            DataType::LargeListView(_) => self.list_views(values.as_list_view::<i64>(), rows, element(kind)),
            DataType::FixedSizeList(_, size) => {
                self.take(count, PLACE_BYTES)?;
                let size = usize::try_from(*size).ok()?;
                self.rows(values.as_fixed_size_list().values(), rows.start * size..rows.end * size, element(kind))
            }
            DataType::Struct(_) => {
                self.take(count, 1)?;
                let mut columns = children(values, kind).into_iter();
                columns.try_for_each(|(column, kind)| self.rows(column, rows.clone(), kind))
            }
            DataType::Dictionary(..) => {
                let place = |row| downcast_dictionary_array!(values => values.key(row), _ => None);
                self.named(values.as_any_dictionary().values(), rows.filter_map(place), kind)
            }
            DataType::RunEndEncoded(..) => downcast_run_array!(
                values => self.named(values.values(), rows.map(|row| values.get_physical_index(row)), kind),
                _ => Some(())
            ),
            _ => self.take(count, bytes_of_value(kind)),
        }
    }

    /// Takes the room of values that rows name by their places.
    fn named(&mut self, values: &ArrayRef, places: impl Iterator<Item = usize>, kind: &DataType) -> Taken {
        let mut places = places;
        places.try_for_each(|place| {
            self.take(1, PLACE_BYTES)?;
            self.rows(values, place..place + 1, kind)
        })
    }

    fn texts<T: ByteArrayType>(&mut self, values: &GenericByteArray<T>, rows: Range<usize>, kind: &DataType) -> Taken {
        let offsets = values.offsets();
        self.take(offsets[rows.end].as_usize() - offsets[rows.start].as_usize(), 1)?;
        self.take(rows.len(), bytes_of_null(kind))
    }

    fn views<T: ByteViewType>(
        &mut self,
        values: &GenericByteViewArray<T>,
        rows: Range<usize>,
        kind: &DataType,
    ) -> Taken {
        self.take(rows.len(), bytes_of_null(kind))?;
        // The length is the first half of a view's first half.
        let lengths = rows.filter(|row| values.is_valid(*row)).map(|row| values.views()[row] as u32);
        self.take(1, lengths.map(u64::from).sum())
    }

    fn lists<O: OffsetSizeTrait>(
        &mut self,
        values: &GenericListArray<O>,
        rows: Range<usize>,
        kind: &DataType,
    ) -> Taken {
        self.take(rows.len(), PLACE_BYTES)?;
        let offsets = values.offsets();
        self.rows(values.values(), offsets[rows.start].as_usize()..offsets[rows.end].as_usize(), kind)
    }

    fn list_views<O: OffsetSizeTrait>(
        &mut self,
        values: &GenericListViewArray<O>,
        rows: Range<usize>,
        kind: &DataType,
    ) -> Taken {
        let mut rows = rows.filter(|row| values.is_valid(*row));
        rows.try_for_each(|row| {
            self.take(1, PLACE_BYTES)?;
            let begin = values.offsets()[row].as_usize();
            self.rows(values.values(), begin..begin + values.sizes()[row].as_usize(), kind)
        })
    }
}

/// Returns what lies within an array, with the types in which it is wanted.
fn children<'values>(
    values: &'values dyn Array,
    kind: &'values DataType,
) -> Vec<(&'values ArrayRef, &'values DataType)> {
    match values.data_type() {
        DataType::List(_) => vec![(values.as_list::<i32>().values(), element(kind))],
        DataType::LargeList(_) => vec![(values.as_list::<i64>().values(), element(kind))],
        DataType::ListView(_) => vec![(values.as_list_view::<i32>().values(), element(kind))],
        DataType::LargeListView(_) => vec![(values.as_list_view::<i64>().values(), element(kind))],
        DataType::FixedSizeList(..) => vec![(values.as_fixed_size_list().values(), element(kind))],
        DataType::Dictionary(..) => vec![(values.as_any_dictionary().values(), kind)],
        DataType::RunEndEncoded(..) => downcast_run_array!(values => vec![(values.values(), kind)], _ => Vec::new()),
        DataType::Struct(fields) => {
            let wanted = |name: &str| match kind {
                DataType::Struct(kinds) => kinds.find(name).map_or(kind, |(_, field)| field.data_type()),
                other => other,
            };
            let columns = values.as_struct().columns().iter();
            columns.zip(fields).map(|(column, field)| (column, wanted(field.name()))).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the type of the elements of a list; a type that is none is that of what lists become in it.
fn element(kind: &DataType) -> &DataType {
    match kind {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => field.data_type(),
        other => other,
    }
}

/// Returns the bytes of a number, instant or flag as a value of a type.
fn bytes_of_value(kind: &DataType) -> u64 {
    match kind {
        DataType::Boolean => 1,
        other => other.primitive_width().map_or(TEXT_OF_VALUE_BYTES_MAX, |bytes| bytes as u64),
    }
}

/// Returns the bytes of a value of a type without its text or elements.
fn bytes_of_null(kind: &DataType) -> u64 {
    match kind {
        DataType::Struct(fields) => fields.iter().map(|field| bytes_of_null(field.data_type())).sum::<u64>().max(1),
        other => other.primitive_width().map_or(PLACE_BYTES, |bytes| bytes as u64),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, DictionaryArray, Int32Array, Int64Array, ListViewArray, NullArray, RunArray, StringArray,
        StringViewArray, StructArray, UInt8Array,
    };
    use arrow::buffer::{Buffer, ScalarBuffer};
    use arrow::datatypes::{Field, Int32Type, Schema, UInt8Type};

    use super::*;

    /// Rows that take little themselves.
    const ROWS: usize = 20_000;

    fn text(bytes: usize) -> String {
        "x".repeat(bytes)
    }

    /// Returns views of one text, one for each row.
    fn views(rows: usize, bytes: u32) -> ArrayRef {
        let view = u128::from(bytes) | u128::from(u32::from_le_bytes(*b"xxxx")) << 32;
        let texts = Buffer::from(text(bytes as usize).into_bytes());
        Arc::new(StringViewArray::new(ScalarBuffer::from(vec![view; rows]), vec![texts], None))
    }

    /// Returns lists that all have the same elements.
    fn lists(rows: i32, elements: ArrayRef) -> ArrayRef {
        let size = i32::try_from(elements.len()).expect("few elements");
        let (offsets, sizes) = (vec![0; rows as usize].into(), vec![size; rows as usize].into());
        let field = Arc::new(Field::new("item", elements.data_type().clone(), true));
        Arc::new(ListViewArray::new(field, offsets, sizes, elements, None))
    }

    fn dictionary(rows: usize, value: ArrayRef) -> ArrayRef {
        Arc::new(DictionaryArray::<UInt8Type>::new(UInt8Array::from(vec![0; rows]), value))
    }

    fn runs(rows: i32, value: ArrayRef) -> ArrayRef {
        let run = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![rows]), &value).expect("one run");
        Arc::new(run)
    }

    fn within(column: ArrayRef) -> ArrayRef {
        Arc::new(StructArray::from(vec![(Arc::new(Field::new("inner", column.data_type().clone(), true)), column)]))
    }

    /// Returns what is said of columns that are stored as a table of theirs has them.
    fn said(columns: Vec<ArrayRef>) -> Result<()> {
        let named = columns.into_iter().enumerate().map(|(place, column)| (format!("c{place}"), column, true));
        let rows = RecordBatch::try_from_iter_with_nullable(named).expect("columns of one length");
        check_room(&rows, &super::super::storable(&rows.schema())?)
    }

    #[test]
    fn few_bytes_that_stand_for_many_are_refused_before_they_are_converted() {
        let long: ArrayRef = Arc::new(StringArray::from(vec![text(1 << 20)]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7; 5_000]));
        for (what, columns) in [
            ("views", vec![views(ROWS, 1 << 20)]),
            ("lists", vec![lists(100_000, Arc::clone(&numbers))]),
            ("lists of lists", vec![lists(1_000, lists(1_000, Arc::new(Int64Array::from(vec![7; 100]))))]),
            ("lists of views", vec![lists(300, views(1, 1 << 20))]),
            ("nulls", (0..50).map(|_| Arc::new(NullArray::new(16 << 20)) as _).collect()),
            ("a dictionary", vec![dictionary(2_000, Arc::clone(&long))]),
            ("a dictionary of views", vec![dictionary(2_000, views(1, 1 << 20))]),
            ("views of a dictionary that no row names", vec![dictionary(0, views(ROWS, 1 << 20))]),
            ("a run", vec![runs(2_000, Arc::clone(&long))]),
            ("a run of lists", vec![runs(100_000, lists(1, numbers))]),
            ("a struct", vec![within(dictionary(2_000, long))]),
            ("lists of nothing", vec![lists(100_000, Arc::new(NullArray::new(5_000)))]),
        ] {
            let error = said(columns).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Limit, "{what}");
            assert_eq!(error.message(), "the values of a batch of rows take more than 256 MiB");
        }
    }

    #[test]
    fn columns_that_rows_do_not_have_count_too() {
        let rows = RecordBatch::try_from_iter([("c", Arc::new(BooleanArray::from(vec![true; ROWS])) as ArrayRef)]);
        let rows = rows.expect("one column");
        let table = |columns: usize, kind: &DataType| {
            let fields = (0..columns).map(|place| Field::new(format!("c{place}"), kind.clone(), true));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        };
        assert!(check_room(&rows, &table(100, &DataType::Int64)).is_ok());
        assert!(check_room(&rows, &table(2_000, &DataType::Int64)).is_err());
        // A few bits become as many texts.
        let narrow: Vec<ArrayRef> = (0..200).map(|_| Arc::clone(rows.column(0))).collect();
        let kind = DataType::Utf8;
        assert!(check_room_of(narrow[..100].iter().map(|column| (column, &kind))).is_ok());
        assert!(check_room_of(narrow.iter().map(|column| (column, &kind))).is_err());
    }

    #[test]
    fn what_clients_send_has_room() {
        let words: DictionaryArray<Int32Type> = (0..ROWS).map(|row| ["won", "lost"][row % 2]).collect();
        let texts = StringViewArray::from_iter_values((0..ROWS).map(|row| format!("a text of row {row}")));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7; 1 << 20]));
        assert!(said(vec![Arc::new(words), Arc::new(texts), lists(20_000, numbers.slice(0, 20))]).is_ok());
        assert!(said((0..100).map(|_| Arc::clone(&numbers)).collect()).is_ok(), "it is not converted");
    }
}
