//! Rows as JSON: one array with a row on each line, or a row on each line alone.
//!
//! Every key is in every row, NULL is `null`. Decimals are numbers with all their digits and places; a reader that takes
//! numbers for doubles keeps 15 digits of them. Instants are texts in UTC with microseconds, days are `2026-11-01`.

use std::io::Write;

use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonFormat, LineDelimited, Writer};
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::file::Destination;
use super::values;
use crate::error::{Error, ErrorKind};

/// Every row has every key, so that a reader sees the columns in any of them.
const EXPLICIT_NULLS: bool = true;

/// An array with a row on each line.
#[derive(Debug, Default)]
pub(super) struct ArrayOfLines;

impl JsonFormat for ArrayOfLines {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"[")?)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        let separator: &[u8] = if is_first_row { b"\n" } else { b",\n" };
        Ok(writer.write_all(separator)?)
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"\n]\n")?)
    }
}

/// Writes rows as JSON.
#[derive(Debug)]
pub(super) struct JsonWriter<F: JsonFormat> {
    writer: Writer<Destination, F>,
}

/// Writes a row on each line.
pub(super) type LinesWriter = JsonWriter<LineDelimited>;

/// Writes one array.
pub(super) type ArrayWriter = JsonWriter<ArrayOfLines>;

impl<F: JsonFormat> JsonWriter<F> {
    /// Writes nothing yet.
    pub(super) fn new(destination: Destination) -> Self {
        let writer = WriterBuilder::new()
            .with_explicit_nulls(EXPLICIT_NULLS)
            .with_timestamp_tz_format(values::INSTANT.to_owned())
            .with_timestamp_format(values::LOCAL_TIME.to_owned())
            .build(destination);
        Self { writer }
    }

    /// Writes rows.
    ///
    /// # Errors
    /// Those of the destination, and of a type that JSON has no form for.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        // Arrow's writer takes any batch for the start of the stream, even one without a row to start with.
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.writer.write(&values::in_utc(batch)?)
    }

    /// Returns the destination after what ends the rows.
    ///
    /// # Errors
    /// Those of the destination.
    pub(super) fn into_destination(mut self) -> Result<Destination, ArrowError> {
        self.writer.finish()?;
        Ok(self.writer.into_inner())
    }

    /// Returns the destination.
    pub(super) fn destination(&mut self) -> &mut Destination {
        self.writer.get_mut()
    }
}

/// Returns a document that a command makes itself, indented, with a line break at its end.
///
/// # Errors
/// `Internal`: the document cannot be written.
pub(in crate::cli) fn document(value: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|cause| Error::new(ErrorKind::Internal, "the answer cannot be written as JSON").with_source(cause))?;
    text.push('\n');
    Ok(text)
}
