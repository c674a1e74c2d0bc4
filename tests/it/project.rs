//! A project in a temporary folder: Parquet files, `topline.toml`, models, and the answers to queries on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Schema};
use arrow::util::display::array_value_to_string;
use chrono::NaiveDate;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use topline::config::{Config, Environment};
use topline::engine::Engine;
use topline::{Error, Result};

/// A folder that goes away with the test.
pub struct Project {
    folder: TempDir,
}

impl Project {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a text and the folders that lead to it.
    pub fn text(&self, relative: &str, text: &str) {
        self.bytes(relative, text.as_bytes());
    }

    pub fn bytes(&self, relative: &str, bytes: &[u8]) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    pub fn remove(&self, relative: &str) {
        fs::remove_file(self.path(relative)).expect("the file is there");
    }

    /// Writes a Parquet file with statistics.
    pub fn parquet(&self, relative: &str, table: &Table) {
        self.bytes(relative, &table.parquet());
    }

    pub fn config(&self, variables: &[(&str, &str)]) -> Result<Config> {
        Config::load(Some(&self.path("topline.toml")), &environment(variables))
    }

    pub async fn open(&self) -> Result<Engine> {
        Engine::open(self.config(&[])?).await
    }

    /// Returns the error of opening the project, with the temporary folder written as `DIR`.
    pub async fn fault(&self) -> Fault {
        match self.open().await {
            Ok(_) => panic!("the project is expected to be wrong"),
            Err(error) => self.described(&error),
        }
    }

    /// Returns the error of a query on the project.
    pub async fn query_fault(&self, sql: &str) -> Fault {
        let engine = self.open().await.expect("the project opens");
        match answer(&engine, sql).await {
            Ok(rows) => panic!("the query is expected to fail, and gave {rows:?}"),
            Err(error) => self.described(&error),
        }
    }

    /// Returns an error as a person sees it, and fails where it shows the insides of a library.
    pub fn described(&self, error: &Error) -> Fault {
        let folder = self.folder.path().display().to_string();
        let plain = |text: &str| text.replace(&folder, "DIR");
        for inside in INSIDES {
            assert!(!error.message().contains(inside), "the message says \"{inside}\": {}", error.message());
        }
        assert!(!error.message().ends_with(['.', '\n']), "the message ends oddly: {}", error.message());
        Fault { kind: format!("{:?}", error.kind()), message: plain(error.message()), hint: error.hint().map(plain) }
    }
}

/// Words by which a library's own errors can be told.
const INSIDES: [&str; 9] = [
    "External error",
    "Arrow error",
    "Parquet error",
    "Object store error",
    "DataFusion",
    "Error during planning",
    "Execution error",
    "ParserError",
    "caused by",
];

/// An error as a person sees it.
pub struct Fault {
    pub kind: String,
    pub message: String,
    pub hint: Option<String>,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Asserts what an error says: kind and message, then the hint on a line of its own.
#[track_caller]
pub fn assert_says(fault: &Fault, expected: &str) {
    assert_eq!(fault.to_string(), expected);
}

pub fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::from_variables(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// Returns the rows of a query as lines, values separated by ` | `, NULL as nothing.
pub async fn answer(engine: &Engine, sql: &str) -> Result<Vec<String>> {
    let batches = engine.session().query(sql).await?.collect().await?;
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values: Vec<String> = batch
                .columns()
                .iter()
                .map(|values| array_value_to_string(values, row).expect("a value that can be shown"))
                .collect();
            lines.push(values.join(" | "));
        }
    }
    Ok(lines)
}

/// Columns of one Parquet file.
#[derive(Clone, Default)]
pub struct Table {
    columns: Vec<(String, ArrayRef)>,
}

impl Table {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column, or takes the place of the one of that name.
    pub fn with(mut self, name: &str, values: ArrayRef) -> Self {
        match self.columns.iter_mut().find(|(known, _)| known == name) {
            Some(column) => column.1 = values,
            None => self.columns.push((name.to_owned(), values)),
        }
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.columns.retain(|(known, _)| known != name);
        self
    }

    pub fn reversed(mut self) -> Self {
        self.columns.reverse();
        self
    }

    /// Returns `count` rows from `first` on.
    pub fn rows(&self, first: usize, count: usize) -> Self {
        let columns = self.columns.iter().map(|(name, values)| (name.clone(), values.slice(first, count))).collect();
        Self { columns }
    }

    pub fn column(&self, name: &str) -> ArrayRef {
        let found = self.columns.iter().find(|(known, _)| known == name);
        Arc::clone(&found.expect("a column of the table").1)
    }

    pub fn parquet(&self) -> Vec<u8> {
        self.parquet_with(WriterProperties::default())
    }

    pub fn parquet_with(&self, properties: WriterProperties) -> Vec<u8> {
        let fields: Vec<_> =
            self.columns.iter().map(|(name, values)| Field::new(name, values.data_type().clone(), true)).collect();
        let columns = self.columns.iter().map(|(_, values)| Arc::clone(values)).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length");
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("rows");
        writer.close().expect("a footer");
        bytes
    }
}

pub fn texts<const N: usize>(values: [&str; N]) -> ArrayRef {
    Arc::new(values.iter().map(|value| (!value.is_empty()).then_some(*value)).collect::<StringArray>())
}

pub fn integers<const N: usize>(values: [i64; N]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub fn doubles<const N: usize>(values: [f64; N]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

pub fn flags<const N: usize>(values: [bool; N]) -> ArrayRef {
    Arc::new(BooleanArray::from(values.to_vec()))
}

/// Returns a column of `decimal(18,2)` from cents.
pub fn cents<const N: usize>(values: [i64; N]) -> ArrayRef {
    decimals(values, 18, 2)
}

pub fn decimals<const N: usize>(values: [i64; N], digits: u8, places: i8) -> ArrayRef {
    let values: Decimal128Array = values.iter().map(|value| Some(i128::from(*value))).collect();
    Arc::new(values.with_precision_and_scale(digits, places).expect("a decimal type"))
}

/// Returns a column of dates; an empty text is NULL.
pub fn dates<const N: usize>(values: [&str; N]) -> ArrayRef {
    let day = |text: &str| Date32Type::from_naive_date(text.parse::<NaiveDate>().expect("a date"));
    Arc::new(values.iter().map(|text| (!text.is_empty()).then(|| day(text))).collect::<Date32Array>())
}

/// Returns a column of `timestamp(us, UTC)`; an empty text is NULL.
pub fn instants<const N: usize>(values: [&str; N]) -> ArrayRef {
    let micros = |text: &str| {
        let instant: chrono::DateTime<chrono::Utc> = text.parse().expect("an instant");
        instant.timestamp_micros()
    };
    let values: TimestampMicrosecondArray =
        values.iter().map(|text| (!text.is_empty()).then(|| micros(text))).collect();
    Arc::new(values.with_timezone("UTC"))
}

/// Returns a column in another type.
pub fn cast(values: &ArrayRef, kind: &DataType) -> ArrayRef {
    arrow::compute::cast(values, kind).expect("a cast")
}

/// Returns a folder of the project's repository.
pub fn repository(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}
