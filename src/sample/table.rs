//! Rows of a contract table, streamed to Parquet files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::SampleTable;
use crate::error::{Error, ErrorKind, Result};

/// Rows of a batch: large enough that a batch costs little, small enough to stay in the processor's cache.
const BATCH_ROWS: usize = 8_192;
/// Rows of a row group, so that statistics of time prune well.
const ROW_GROUP_ROWS: usize = 131_072;
/// A table with more rows is written as a folder of parts.
const SINGLE_FILE_ROWS_MAX: u64 = 2_000_000;
/// Rows of a part.
const PART_ROWS: u64 = 1_000_000;
/// The level of zstd: higher ones cost much time for a few percent.
const ZSTD_LEVEL: i32 = 3;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text that is different in each row.
    Key,
    /// Any other text.
    Text,
    /// Microseconds of UTC.
    Instant,
    /// Days since 1970-01-01.
    Date,
    /// A decimal with so many digits, and so many of them after the point.
    Decimal(u8, i8),
    /// A double.
    Double,
    /// A 64-bit integer.
    Int,
    /// True or false.
    Flag,
}

/// A column of a table.
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be NULL.
    pub is_nullable: bool,
}

/// A table of the contract.
pub struct Table {
    /// Its source schema: `crm`, `billing`, `campaign` or `finance`.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its columns in order.
    pub columns: &'static [Column],
}

impl Table {
    /// Returns the Arrow schema.
    pub fn arrow_schema(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(column.name, data_type(column.kind), column.is_nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Key | Kind::Text => DataType::Utf8,
        Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Date => DataType::Date32,
        Kind::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
        Kind::Double => DataType::Float64,
        Kind::Int => DataType::Int64,
        Kind::Flag => DataType::Boolean,
    }
}

enum Cells {
    Text(StringBuilder),
    Instant(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Decimal(Decimal128Builder),
    Double(Float64Builder),
    Int(Int64Builder),
    Flag(BooleanBuilder),
}

impl Cells {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Key | Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Instant => Self::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Decimal(..) => Self::Decimal(Decimal128Builder::new().with_data_type(data_type(kind))),
            Kind::Double => Self::Double(Float64Builder::new()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Flag => Self::Flag(BooleanBuilder::new()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Instant(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Flag(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Rows in the making: the values of a row are given one after the other, in the order of the columns.
///
/// A value of another type than its column is not stored, so that the column comes out short and the write fails.
pub struct Rows {
    cells: Vec<Cells>,
    place: usize,
    count: usize,
}

impl Rows {
    fn new(table: &Table) -> Self {
        Self { cells: table.columns.iter().map(|column| Cells::new(column.kind)).collect(), place: 0, count: 0 }
    }

    fn next(&mut self) -> Option<&mut Cells> {
        let place = self.place;
        self.place += 1;
        self.cells.get_mut(place)
    }

    /// Gives a text.
    pub fn text<'text>(&mut self, value: impl Into<Option<&'text str>>) -> &mut Self {
        if let Some(Cells::Text(builder)) = self.next() {
            builder.append_option(value.into());
        }
        self
    }

    /// Gives an instant in microseconds.
    pub fn instant(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        if let Some(Cells::Instant(builder)) = self.next() {
            builder.append_option(value.into());
        }
        self
    }

    /// Gives a day.
    pub fn date(&mut self, value: impl Into<Option<i32>>) -> &mut Self {
        if let Some(Cells::Date(builder)) = self.next() {
            builder.append_option(value.into());
        }
        self
    }

    /// Gives a decimal in units of its last place.
    pub fn decimal(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        if let Some(Cells::Decimal(builder)) = self.next() {
            builder.append_option(value.into().map(i128::from));
        }
        self
    }

    /// Gives a double.
    pub fn double(&mut self, value: impl Into<Option<f64>>) -> &mut Self {
        if let Some(Cells::Double(builder)) = self.next() {
            builder.append_option(value.into());
        }
        self
    }

    /// Gives an integer.
    pub fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        if let Some(Cells::Int(builder)) = self.next() {
            builder.append_option(value.into());
        }
        self
    }

    /// Gives a truth value.
    pub fn flag(&mut self, value: bool) -> &mut Self {
        if let Some(Cells::Flag(builder)) = self.next() {
            builder.append_value(value);
        }
        self
    }
}

/// Writes one table as a file, or as a folder of parts if it is large.
pub struct TableWriter {
    table: &'static Table,
    folder: PathBuf,
    schema: SchemaRef,
    rows: Rows,
    has_parts: bool,
    open: Option<(PathBuf, ArrowWriter<File>, u64)>,
    parts: u32,
    rows_written: u64,
    bytes_written: u64,
}

impl TableWriter {
    /// Returns a writer of a table below `out` that will have so many rows.
    pub fn new(out: &Path, table: &'static Table, rows_expected: u64) -> Self {
        Self {
            table,
            folder: out.join(table.schema),
            schema: table.arrow_schema(),
            rows: Rows::new(table),
            has_parts: rows_expected > SINGLE_FILE_ROWS_MAX,
            open: None,
            parts: 0,
            rows_written: 0,
            bytes_written: 0,
        }
    }

    /// Starts a row and returns where its values go.
    pub fn row(&mut self) -> Result<&mut Rows> {
        if self.rows.count == BATCH_ROWS {
            self.flush()?;
        }
        self.rows.place = 0;
        self.rows.count += 1;
        Ok(&mut self.rows)
    }

    /// Writes what is left and returns what was written.
    pub fn finish(mut self) -> Result<SampleTable> {
        if self.rows.count > 0 || self.parts == 0 {
            self.flush()?;
        }
        self.close()?;
        let name = format!("{}/{}", self.table.schema, self.table.name);
        Ok(SampleTable { name, rows: self.rows_written, bytes: self.bytes_written })
    }

    fn flush(&mut self) -> Result<()> {
        let arrays = self.rows.cells.iter_mut().map(Cells::finish).collect();
        self.rows.count = 0;
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(|error| {
            let message = format!("rows of {}.{} do not fit its columns", self.table.schema, self.table.name);
            Error::new(ErrorKind::Internal, message).with_source(error)
        })?;
        self.write(&batch)
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut from = 0;
        loop {
            let (path, mut writer, written) = match self.open.take() {
                Some(open) => open,
                None => self.create()?,
            };
            let room = if self.has_parts { (PART_ROWS - written) as usize } else { usize::MAX };
            let count = room.min(batch.num_rows() - from);
            writer.write(&batch.slice(from, count)).map_err(|error| cannot("write", &path, error))?;
            from += count;
            self.open = Some((path, writer, written + count as u64));
            self.rows_written += count as u64;
            if count == room {
                self.close()?;
            }
            if from == batch.num_rows() {
                return Ok(());
            }
        }
    }

    fn create(&mut self) -> Result<(PathBuf, ArrowWriter<File>, u64)> {
        let path = if self.has_parts {
            let folder = self.folder.join(self.table.name);
            fs::create_dir_all(&folder).map_err(|error| cannot("create folder", &folder, error))?;
            folder.join(format!("part-{:05}.parquet", self.parts))
        } else {
            self.folder.join(format!("{}.parquet", self.table.name))
        };
        self.parts += 1;
        let file = File::create_new(&path).map_err(|error| cannot("create", &path, error))?;
        let properties = properties(self.table).map_err(|error| cannot("write", &path, error))?;
        let writer = ArrowWriter::try_new(file, self.schema.clone(), Some(properties))
            .map_err(|error| cannot("write", &path, error))?;
        Ok((path, writer, 0))
    }

    fn close(&mut self) -> Result<()> {
        let Some((path, writer, _)) = self.open.take() else {
            return Ok(());
        };
        writer.close().map_err(|error| cannot("write", &path, error))?;
        self.bytes_written += fs::metadata(&path).map_err(|error| cannot("read", &path, error))?.len();
        Ok(())
    }
}

fn properties(table: &Table) -> Result<WriterProperties, parquet::errors::ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_created_by("topline sample".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    for column in table.columns {
        let path = ColumnPath::from(column.name);
        builder = match column.kind {
            Kind::Key => builder.set_column_dictionary_enabled(path, false),
            Kind::Instant => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            _ => builder,
        };
    }
    Ok(builder.build())
}

/// Returns the error of a file or folder of the sample that could not be written.
pub fn cannot(action: &str, path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = format!("cannot {action} \"{}\"", path.display());
    Error::new(ErrorKind::Storage, message)
        .with_hint("check that the folder can be written and the disk has room")
        .with_source(error)
}
