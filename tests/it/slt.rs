//! SQL answers on the embedded sample: the files of `tests/slt`, each in a session of its own.
//!
//! `UPDATE_SLT=1 cargo test --test it slt` writes what is found into the files; read the difference before it is
//! committed, for it takes in a wrong answer as readily as a right one.

use std::fmt;
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use async_trait::async_trait;
use futures::TryStreamExt;
use sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, Runner, default_column_validator, default_normalizer, default_validator,
};
use topline::engine::{Outcome, Session};

use crate::support::{sample, texts};

/// The files that have a test below.
const FILES: [&str; 4] = ["meta.slt", "refused.slt", "sample.slt", "settings.slt"];

struct Database {
    session: Session,
}

/// An error with its hint, as a person reads it.
#[derive(Debug)]
struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl From<topline::Error> for Fault {
    fn from(error: topline::Error) -> Self {
        let hint = error.hint().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        Self(format!("{:?}: {error}{hint}", error.kind()))
    }
}

#[async_trait]
impl AsyncDB for Database {
    type Error = Fault;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Fault> {
        let stream = match self.session.run(sql).await? {
            Outcome::Set | Outcome::Written(_) => return Ok(DBOutput::StatementComplete(0)),
            Outcome::Rows(stream) => stream,
        };
        let types = stream.schema().fields().iter().map(|field| column_type(field.data_type())).collect();
        let batches: Vec<_> = stream.try_collect().await?;
        let mut rows: Vec<Vec<String>> = batches.iter().flat_map(texts).collect();
        for cell in rows.iter_mut().flatten().filter(|cell| cell.is_empty()) {
            *cell = "(empty)".to_owned();
        }
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}
}

fn column_type(kind: &DataType) -> DefaultColumnType {
    match kind {
        DataType::Int64 | DataType::Int32 | DataType::UInt64 => DefaultColumnType::Integer,
        DataType::Float64 | DataType::Decimal128(..) => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt")
}

async fn answer(file: &str) {
    let engine = sample().await;
    let mut runner = Runner::new(|| async { Ok(Database { session: engine.session() }) });
    let path = folder().join(file);
    if std::env::var_os("UPDATE_SLT").is_some() {
        let normalizer = default_normalizer;
        runner
            .update_test_file(&path, "\t", default_validator, normalizer, default_column_validator)
            .await
            .expect("the file is written");
        return;
    }
    runner.with_column_validator(sqllogictest::strict_column_validator);
    if let Err(error) = runner.run_file_async(&path).await {
        panic!("{}", error.display(false));
    }
}

#[tokio::test]
async fn meta_tables() {
    answer("meta.slt").await;
}

#[tokio::test]
async fn refused_statements() {
    answer("refused.slt").await;
}

#[tokio::test]
async fn headline_numbers_of_the_sample() {
    answer("sample.slt").await;
}

#[tokio::test]
async fn settings_of_a_session() {
    answer("settings.slt").await;
}

#[test]
fn every_file_is_run() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .expect("the folder of SQL answers")
        .map(|entry| entry.expect("an entry of the folder").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, FILES);
}
