//! Schema `sandbox`: what users write, through the engine, the server and the binary.

mod flight;
mod kills;
mod quotas;
mod statements;
mod views;
mod writers;

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tempfile::TempDir;
use topline::config::Config;
use topline::engine::{Engine, Exists, Ingest, Missing, Outcome, Session};
use topline::{Error, Result};

use crate::project::{answer, environment};

/// The sample with a warehouse of its own.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn warehouse(&self) -> PathBuf {
        self.folder.path().join("warehouse")
    }

    fn config(&self, variables: &[(&str, &str)]) -> Config {
        let warehouse = self.warehouse();
        let location = ("TOPLINE_WAREHOUSE_LOCATION", warehouse.to_str().expect("a path in UTF-8"));
        let variables: Vec<_> = variables.iter().copied().chain([location]).collect();
        Config::sample(&environment(&variables)).expect("a right configuration")
    }

    /// Returns an engine of its own, as another process has one.
    async fn open(&self) -> Engine {
        self.open_with(&[]).await
    }

    async fn open_with(&self, variables: &[(&str, &str)]) -> Engine {
        Engine::open(self.config(variables)).await.expect("the sample opens")
    }

    /// Returns the Parquet files of a table.
    fn files(&self, table: &str) -> Vec<PathBuf> {
        files_below(&self.warehouse().join("sandbox").join(table))
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Runs a statement that writes; returns how many rows it wrote.
async fn write(session: &mut Session, sql: &str) -> Result<u64> {
    match session.run(sql).await? {
        Outcome::Written(rows) => Ok(rows),
        other => panic!("{sql} is a write, and gave {other:?}"),
    }
}

/// Runs statements that write.
async fn writes(engine: &Engine, statements: &[&str]) {
    for sql in statements {
        write(&mut engine.session(), sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:#?}"));
    }
}

/// Returns the error of a statement that is expected to fail.
async fn fault(engine: &Engine, sql: &str) -> Error {
    match engine.session().run(sql).await {
        Err(error) => error,
        Ok(Outcome::Rows(rows)) => rows.collect().await.expect_err("it fails"),
        Ok(other) => panic!("{sql} is expected to fail, and gave {other:?}"),
    }
}

/// Returns the rows of a query, values separated by ` | `.
async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    answer(engine, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:#?}"))
}

async fn one(engine: &Engine, sql: &str) -> String {
    let rows = rows(engine, sql).await;
    assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
    rows[0].clone()
}

fn append(table: &str) -> Ingest {
    Ingest { schema: None, table: table.to_owned(), missing: Missing::IsMade, exists: Exists::IsExtended }
}

fn batches(rows: Vec<Result<RecordBatch>>) -> BoxStream<'static, Result<RecordBatch>> {
    stream::iter(rows).boxed()
}
