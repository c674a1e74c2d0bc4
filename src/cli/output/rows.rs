//! Rows into a format and a destination, batch by batch.

use std::error::Error as StdError;
use std::io::{self, Write};
use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::csv::CsvWriter;
use super::file::{Destination, Unfinished};
use super::format::Format;
use super::json::{ArrayWriter, LinesWriter};
use crate::cli::stop::Stop;
use crate::cli::terminal::of_output;
use crate::error::{Error, ErrorKind};
use crate::sources::without_statistics;

/// Rows of a row group: enough for encodings to pay, few enough that one group of wide rows stays in memory.
const ROW_GROUP_ROWS: usize = 256 << 10;

/// Bytes after which a row group ends in any case: the memory of an export is bounded by this, not by its rows.
const ROW_GROUP_BYTES: usize = 128 << 20;

/// Writes rows in one format.
enum Encoder {
    Csv(CsvWriter),
    Array(ArrayWriter),
    Lines(LinesWriter),
    Parquet(Box<ArrowWriter<Destination>>),
    ArrowFile(Box<FileWriter<Destination>>),
    ArrowStream(Box<StreamWriter<Destination>>),
}

/// What went wrong while rows were written.
enum Fault {
    Arrow(ArrowError),
    Parquet(ParquetError),
    File(io::Error),
}

/// Where rows go, and in which format.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Target {
    /// The format; `Table` is none of this module's.
    pub format: Format,
    /// The file; standard output without one.
    pub file: Option<PathBuf>,
}

/// Writes the rows of a query.
pub(in crate::cli) struct RowWriter {
    target: Target,
    encoder: Encoder,
}

impl Target {
    /// Writes a text as the whole of the destination.
    ///
    /// # Errors
    /// `ReaderLeft` where nobody reads standard output any more, else `Storage`.
    pub(in crate::cli) fn write_text(&self, text: &str, unfinished: &Unfinished) -> Result<(), Stop> {
        let mut destination = self.open(unfinished)?;
        let written = destination.write_all(text.as_bytes()).and_then(|()| destination.finish());
        written.map_err(|cause| self.stop(Fault::File(cause)))
    }

    /// Opens the destination.
    ///
    /// # Errors
    /// `Storage` where the file cannot be made.
    pub(in crate::cli) fn open(&self, unfinished: &Unfinished) -> Result<Destination, Stop> {
        match &self.file {
            None => Ok(Destination::stdout()),
            Some(file) => Destination::file(file, unfinished).map_err(|cause| self.stop(Fault::File(cause))),
        }
    }

    fn stop(&self, fault: Fault) -> Stop {
        let fault = match fault.io() {
            Ok(cause) if self.file.is_none() => return of_output(cause),
            Ok(cause) => Fault::File(cause),
            Err(fault) => fault,
        };
        let error = match (fault, &self.file) {
            (Fault::File(cause), Some(file)) => {
                Error::new(ErrorKind::Storage, format!("output file \"{}\" cannot be written", file.display()))
                    .with_source(cause)
            }
            (Fault::File(cause), None) => return of_output(cause),
            (Fault::Arrow(cause), _) => self.cannot_encode().with_source(cause),
            (Fault::Parquet(cause), _) => self.cannot_encode().with_source(cause),
        };
        error.into()
    }

    fn cannot_encode(&self) -> Error {
        let message = format!("the rows cannot be written as {}", self.format.name());
        Error::new(ErrorKind::Query, message).with_hint("cast the column to another type, or choose another format")
    }
}

impl RowWriter {
    /// Starts to write into what [`Target::open`] opened: what comes before the rows.
    ///
    /// # Errors
    /// `Storage` where the destination cannot be written to, `Query` where the format has no form for a column.
    pub(in crate::cli) fn start(target: Target, destination: Destination, schema: SchemaRef) -> Result<Self, Stop> {
        match encoder(&target, destination, schema) {
            Ok(encoder) => Ok(Self { target, encoder }),
            Err(fault) => Err(target.stop(fault)),
        }
    }

    /// Writes rows; those that go to standard output are seen at once.
    ///
    /// # Errors
    /// As [`RowWriter::start`].
    pub(in crate::cli) fn write(&mut self, batch: &RecordBatch) -> Result<(), Stop> {
        self.encode(batch).map_err(|fault| self.target.stop(fault))
    }

    /// Ends the rows and gives the file its name.
    ///
    /// # Errors
    /// As [`RowWriter::start`].
    pub(in crate::cli) fn finish(self) -> Result<(), Stop> {
        let destination = match self.encoder {
            Encoder::Csv(writer) => Ok(writer.into_destination()),
            Encoder::Array(writer) => writer.into_destination().map_err(Fault::Arrow),
            Encoder::Lines(writer) => writer.into_destination().map_err(Fault::Arrow),
            Encoder::Parquet(writer) => writer.into_inner().map_err(Fault::Parquet),
            Encoder::ArrowFile(writer) => writer.into_inner().map_err(Fault::Arrow),
            Encoder::ArrowStream(writer) => writer.into_inner().map_err(Fault::Arrow),
        };
        destination
            .and_then(|destination| destination.finish().map_err(Fault::File))
            .map_err(|fault| self.target.stop(fault))
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        match &mut self.encoder {
            Encoder::Csv(writer) => {
                writer.write(batch).map_err(Fault::Arrow)?;
                flush_stdout(writer.destination())
            }
            Encoder::Array(writer) => {
                writer.write(batch).map_err(Fault::Arrow)?;
                flush_stdout(writer.destination())
            }
            Encoder::Lines(writer) => {
                writer.write(batch).map_err(Fault::Arrow)?;
                flush_stdout(writer.destination())
            }
            Encoder::Parquet(writer) => writer.write(batch).map_err(Fault::Parquet),
            Encoder::ArrowFile(writer) => writer.write(batch).map_err(Fault::Arrow),
            Encoder::ArrowStream(writer) => {
                writer.write(batch).map_err(Fault::Arrow)?;
                flush_stdout(writer.get_mut())
            }
        }
    }
}

fn encoder(target: &Target, destination: Destination, schema: SchemaRef) -> Result<Encoder, Fault> {
    match target.format {
        Format::Csv | Format::Table => CsvWriter::new(destination, &schema).map(Encoder::Csv).map_err(Fault::Arrow),
        Format::Json => Ok(Encoder::Array(ArrayWriter::new(destination))),
        Format::Ndjson => Ok(Encoder::Lines(LinesWriter::new(destination))),
        Format::Parquet => {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
                .set_created_by(concat!("topline ", env!("CARGO_PKG_VERSION")).to_owned());
            let properties = without_statistics(properties, &schema).build();
            let writer = ArrowWriter::try_new(destination, schema, Some(properties)).map_err(Fault::Parquet)?;
            Ok(Encoder::Parquet(Box::new(writer)))
        }
        Format::Arrow if target.file.is_some() => {
            let writer = FileWriter::try_new(destination, &schema).map_err(Fault::Arrow)?;
            Ok(Encoder::ArrowFile(Box::new(writer)))
        }
        Format::Arrow => {
            let writer = StreamWriter::try_new(destination, &schema).map_err(Fault::Arrow)?;
            Ok(Encoder::ArrowStream(Box::new(writer)))
        }
    }
}

fn flush_stdout(destination: &mut Destination) -> Result<(), Fault> {
    match destination {
        Destination::Stdout(writer) => writer.flush().map_err(Fault::File),
        Destination::Device(_) | Destination::File(_) => Ok(()),
    }
}

impl Fault {
    /// Returns the fault of the file system that this one is about, else the fault as it is.
    fn io(self) -> Result<io::Error, Self> {
        let top: &(dyn StdError + 'static) = match &self {
            Self::File(cause) => cause,
            Self::Arrow(cause) => cause,
            Self::Parquet(cause) => cause,
        };
        let mut cause = Some(top);
        while let Some(current) = cause {
            if let Some(found) = current.downcast_ref::<io::Error>() {
                return Ok(io::Error::new(found.kind(), found.to_string()));
            }
            cause = current.source();
        }
        Err(self)
    }
}
