//! Comma-separated values (RFC 4180, lines end with a line feed).
//!
//! The header is always there. NULL is an empty field and an empty text is `""`, so that the two stay apart; instants are
//! in UTC with microseconds; decimals have all their places.

use std::fmt::Write as _;
use std::io::Write;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::ArrayFormatter;

use super::file::Destination;
use super::values;

/// Text that is gathered before it is handed on.
const TEXT_BYTES: usize = 64 << 10;

/// Writes rows as comma-separated values.
#[derive(Debug)]
pub(super) struct CsvWriter {
    destination: Destination,
    text: String,
}

/// A column of a batch, ready to be read as text.
enum Column<'batch> {
    Text(&'batch StringArray),
    Other(&'batch dyn Array, ArrayFormatter<'batch>),
}

impl CsvWriter {
    /// Writes the header.
    ///
    /// # Errors
    /// Those of the destination.
    pub(super) fn new(destination: Destination, schema: &Schema) -> Result<Self, ArrowError> {
        let mut writer = Self { destination, text: String::with_capacity(2 * TEXT_BYTES) };
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                writer.text.push(',');
            }
            push_field(&mut writer.text, field.name());
        }
        writer.text.push('\n');
        writer.hand_on()?;
        Ok(writer)
    }

    /// Writes rows.
    ///
    /// # Errors
    /// Those of the destination, and of a value that has no text.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let batch = values::in_utc(batch)?;
        let options = values::exact();
        let columns = batch
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::Utf8 => Ok(Column::Text(column.as_string())),
                _ => Ok(Column::Other(column.as_ref(), ArrayFormatter::try_new(column.as_ref(), &options)?)),
            })
            .collect::<Result<Vec<_>, ArrowError>>()?;
        let mut value = String::new();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    self.text.push(',');
                }
                match column {
                    Column::Text(texts) if texts.is_valid(row) => push_field(&mut self.text, texts.value(row)),
                    Column::Other(array, formatter) if array.is_valid(row) => {
                        value.clear();
                        write!(value, "{}", formatter.value(row))
                            .map_err(|_| ArrowError::CsvError("a value has no text".to_owned()))?;
                        push_field(&mut self.text, &value);
                    }
                    _ => {}
                }
            }
            self.text.push('\n');
            if self.text.len() >= TEXT_BYTES {
                self.hand_on()?;
            }
        }
        self.hand_on()
    }

    /// Returns the destination, with everything handed on to it.
    pub(super) fn into_destination(self) -> Destination {
        self.destination
    }

    /// Returns the destination.
    pub(super) fn destination(&mut self) -> &mut Destination {
        &mut self.destination
    }

    fn hand_on(&mut self) -> Result<(), ArrowError> {
        self.destination.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }
}

/// Adds a field, in quotes where it is empty or has what would end it.
fn push_field(text: &mut String, field: &str) {
    let needs_quotes = field.is_empty() || field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if !needs_quotes {
        text.push_str(field);
        return;
    }
    text.push('"');
    for part in field.split_inclusive('"') {
        text.push_str(part);
        if part.ends_with('"') {
            text.push('"');
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(field: &str) -> String {
        let mut text = String::new();
        push_field(&mut text, field);
        text
    }

    #[test]
    fn quotes_are_where_they_must_be() {
        assert_eq!(field("plain text"), "plain text");
        assert_eq!(field(""), "\"\"");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(field("two\nlines"), "\"two\nlines\"");
        assert_eq!(field("\r"), "\"\r\"");
    }
}
