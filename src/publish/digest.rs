//! What rows add up to, whatever their order: two sets of rows with the same digest are the same to the last bit.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use ring::digest::{SHA256, digest};

use crate::error::{Error, ErrorKind, Result};

/// What stands for a value that is not there.
const NULL: u8 = 0;

/// What stands before a value that is there.
const VALUE: u8 = 1;

/// The sum of the hashes of rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Digest {
    low: u128,
    high: u128,
    rows: u64,
}

impl Digest {
    /// Takes in rows; the columns must be the same each time.
    ///
    /// # Errors
    /// `Internal` where a value cannot be read.
    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let options = FormatOptions::default();
        let columns: Vec<Values<'_>> = rows
            .columns()
            .iter()
            .map(|column| Values::of(column, &options))
            .collect::<std::result::Result<_, _>>()
            .map_err(|cause| Error::new(ErrorKind::Internal, "rows have no digest").with_source(cause))?;
        let mut bytes = Vec::new();
        for row in 0..rows.num_rows() {
            bytes.clear();
            for column in &columns {
                column.append(row, &mut bytes);
            }
            self.add_bytes(&bytes);
        }
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        let hash = digest(&SHA256, bytes);
        let hash = hash.as_ref();
        let half = |from: usize| {
            let mut half = [0; 16];
            half.copy_from_slice(&hash[from..from + 16]);
            u128::from_le_bytes(half)
        };
        self.low = self.low.wrapping_add(half(0));
        self.high = self.high.wrapping_add(half(16));
    }

    /// Returns how many rows were taken in.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the digest of rows with these columns, a text of 64 digits.
    pub(super) fn text(mut self, schema: &Schema) -> String {
        let mut columns = String::new();
        for field in schema.fields() {
            let _ = writeln!(columns, "{} {}", field.name(), field.data_type());
        }
        self.add_bytes(columns.as_bytes());
        format!("{:032x}{:032x}", self.high, self.low)
    }
}

/// A column as it is hashed.
enum Values<'a> {
    Text(&'a arrow::array::StringArray),
    Whole(&'a arrow::array::Int64Array),
    Double(&'a arrow::array::Float64Array),
    Flag(&'a arrow::array::BooleanArray),
    Day(&'a arrow::array::Date32Array),
    Instant(&'a arrow::array::TimestampMicrosecondArray),
    Decimal(&'a arrow::array::Decimal128Array),
    /// Other types as texts: metrics of one's own may have them.
    Other(&'a ArrayRef, ArrayFormatter<'a>),
}

impl<'a> Values<'a> {
    fn of(column: &'a ArrayRef, options: &'a FormatOptions<'a>) -> std::result::Result<Self, ArrowError> {
        Ok(match column.data_type() {
            DataType::Utf8 => Self::Text(column.as_string()),
            DataType::Int64 => Self::Whole(column.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Double(column.as_primitive::<Float64Type>()),
            DataType::Boolean => Self::Flag(column.as_boolean()),
            DataType::Date32 => Self::Day(column.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Instant(column.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Decimal128(..) => Self::Decimal(column.as_primitive::<Decimal128Type>()),
            _ => Self::Other(column, ArrayFormatter::try_new(column.as_ref(), options)?),
        })
    }

    fn append(&self, row: usize, bytes: &mut Vec<u8>) {
        let array: &dyn Array = match self {
            Self::Text(array) => array,
            Self::Whole(array) => array,
            Self::Double(array) => array,
            Self::Flag(array) => array,
            Self::Day(array) => array,
            Self::Instant(array) => array,
            Self::Decimal(array) => array,
            Self::Other(array, _) => array,
        };
        if array.is_null(row) {
            return bytes.push(NULL);
        }
        bytes.push(VALUE);
        let mut text = |text: &str| {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        match self {
            Self::Text(array) => text(array.value(row)),
            Self::Other(_, formatter) => text(&formatter.value(row).to_string()),
            Self::Whole(array) => bytes.extend_from_slice(&array.value(row).to_le_bytes()),
            // 0 has two forms, and is one number.
            Self::Double(array) => bytes.extend_from_slice(&(array.value(row) + 0.0).to_bits().to_le_bytes()),
            Self::Flag(array) => bytes.push(u8::from(array.value(row))),
            Self::Day(array) => bytes.extend_from_slice(&array.value(row).to_le_bytes()),
            Self::Instant(array) => bytes.extend_from_slice(&array.value(row).to_le_bytes()),
            Self::Decimal(array) => bytes.extend_from_slice(&array.value(row).to_le_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;

    fn rows(names: Vec<Option<&str>>, numbers: Vec<f64>) -> RecordBatch {
        let columns: [(&str, ArrayRef); 2] =
            [("name", Arc::new(StringArray::from(names))), ("number", Arc::new(Float64Array::from(numbers)))];
        RecordBatch::try_from_iter(columns).expect("two columns")
    }

    fn digest(batches: &[RecordBatch]) -> String {
        let mut digest = Digest::default();
        for batch in batches {
            digest.add(batch).expect("it can be read");
        }
        digest.text(&batches[0].schema())
    }

    #[test]
    fn order_and_batches_do_not_count_and_every_value_does() {
        let whole = digest(&[rows(vec![Some("a"), None, Some("b")], vec![1.0, 2.0, -0.0])]);
        let parts = [rows(vec![Some("b")], vec![0.0]), rows(vec![None, Some("a")], vec![2.0, 1.0])];
        assert_eq!(whole, digest(&parts));
        let others = [
            rows(vec![Some("a"), Some(""), Some("b")], vec![1.0, 2.0, 0.0]),
            rows(vec![Some("b"), None, Some("a")], vec![1.0, 2.0, 0.0]),
            rows(vec![Some("a"), None, Some("b")], vec![1.0, 2.0, f64::MIN_POSITIVE]),
            rows(vec![Some("a"), None, Some("b"), Some("b")], vec![1.0, 2.0, 0.0, 0.0]),
        ];
        for other in others {
            assert_ne!(whole, digest(&[other]));
        }
    }

    #[test]
    fn columns_count_too() {
        let batch = rows(vec![], vec![]);
        assert_ne!(digest(std::slice::from_ref(&batch)), digest(&[batch.project(&[0]).expect("one column")]));
    }
}
