//! Arithmetic by hand: tiny companies, and the rows that a person works out for them.
//!
//! A table is written as a head of column names and a line for each row, with `|` between cells and `-` for NULL;
//! columns that are left out are NULL, or a value that does not matter. Expected rows are written in the same way.

mod attribution;
mod attribution_paths;
mod attribution_sums;
mod cac;
mod cohorts;
mod edges;
mod forecast;
mod funnel;
mod identity;
mod marketing;
mod movements;
mod pipeline;
mod pipeline_attribution;
mod quality;
mod quality_optional;
mod reconciliation;
mod recurring;
mod retention;
mod revenue;
mod scorecards;
mod time_to_revenue;
mod unit_economics;

use std::fmt::Write;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use topline::catalog::contract::{Contract, ContractColumn, ContractTable};
use topline::config::{Config, Environment};
use topline::engine::Engine;

use crate::support::{rows, session};

/// A company in Parquet files, opened. The folder goes when it is dropped.
pub struct Company {
    pub engine: Engine,
    _folder: TempDir,
}

/// Opens a company whose history ends at `as_of`; contract tables that are not given are empty.
pub async fn company(as_of: &str, tables: &[(&str, &str)]) -> Company {
    company_without(&[], as_of, tables).await
}

/// Opens a company that lacks some contract tables.
async fn company_without(missing: &[&str], as_of: &str, tables: &[(&str, &str)]) -> Company {
    company_told("", missing, as_of, tables).await
}

/// Opens a company with more in its configuration that lacks some contract tables.
async fn company_told(more: &str, missing: &[&str], as_of: &str, tables: &[(&str, &str)]) -> Company {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = format!("[reporting]\nas_of = \"{as_of}\"\n{more}\n");
    for schema in ["crm", "billing", "campaign", "finance"] {
        std::fs::create_dir(folder.path().join(schema)).expect("a folder of the source");
        write!(config, "[sources.{schema}]\nconnector = \"canonical\"\nlocation = \"{schema}\"\n").expect("a text");
    }
    for (name, _) in tables {
        let (schema, table) = name.split_once('.').expect("a dotted name");
        assert!(Contract::get().table(schema, table).is_some(), "{name} is no contract table");
    }
    for table in Contract::get().tables() {
        let name = format!("{}.{}", table.schema, table.name);
        if missing.contains(&name.as_str()) {
            continue;
        }
        let text = tables.iter().find(|(given, _)| *given == name).map_or("", |(_, text)| text);
        let path = folder.path().join(&table.schema).join(format!("{}.parquet", table.name));
        let batch = batch_of(table, text);
        let file = File::create(path).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("rows that can be written");
        writer.close().expect("a file that can be closed");
    }
    let file = folder.path().join("topline.toml");
    std::fs::write(&file, config).expect("a file");
    let config = Config::load(Some(&file), &Environment::default()).expect("the test's configuration is right");
    Company { engine: Engine::open(config).await.expect("the test's company opens"), _folder: folder }
}

impl Company {
    /// Asserts that a query gives these rows, in this order.
    async fn assert(&self, sql: &str, expected: &str) {
        self.assert_with(&[], sql, expected).await;
    }

    /// Asserts that a query gives these rows under other settings.
    async fn assert_with(&self, settings: &[(&str, &str)], sql: &str, expected: &str) {
        let found = rows(&session(&self.engine, settings), sql).await;
        let found: Vec<String> = found.iter().map(|row| row.join(" | ").replace("NULL", "-")).collect();
        let expected: Vec<String> = cells_of(expected).iter().map(|row| row.join(" | ")).collect();
        assert!(!expected.is_empty(), "an empty set says nothing: {sql}");
        assert_eq!(found, expected, "\n{sql}\nfound:\n{}\n", found.join("\n"));
    }
}

fn cells_of(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.split('|').map(str::trim).collect()).collect()
}

fn batch_of(table: &ContractTable, text: &str) -> RecordBatch {
    let mut lines = cells_of(text);
    let head = if lines.is_empty() { Vec::new() } else { lines.remove(0) };
    for name in &head {
        assert!(table.columns.iter().any(|column| column.name == *name), "{}: no column {name}", table.name);
    }
    for line in &lines {
        assert_eq!(line.len(), head.len(), "{}: {line:?} has not the cells of {head:?}", table.name);
    }
    let columns = table.columns.iter().map(|column| {
        let place = head.iter().position(|name| *name == column.name);
        let cell = |line: &Vec<&str>| match place.map(|place| line[place]) {
            Some("-") => None,
            // Quotes keep white space at the ends of a text.
            Some(text) => Some(text.trim_matches('"').to_owned()),
            None if column.is_nullable => None,
            None => Some(value_that_does_not_matter(column).to_owned()),
        };
        let texts: ArrayRef = Arc::new(lines.iter().map(cell).collect::<StringArray>());
        let wanted = if column.data_type == DataType::Utf8View { &DataType::Utf8 } else { &column.data_type };
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let values = cast_with_options(&texts, wanted, &options)
            .unwrap_or_else(|error| panic!("{}.{}: {error}", table.name, column.name));
        (column.name.as_str(), values, column.is_nullable)
    });
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

fn value_that_does_not_matter(column: &ContractColumn) -> &'static str {
    match (&column.data_type, column.name.as_str()) {
        (DataType::Utf8View, "currency") => "USD",
        (DataType::Utf8View, "interval") => "month",
        (DataType::Utf8View, "type") => "new",
        (DataType::Utf8View, _) => "any",
        (DataType::Boolean, _) => "false",
        (DataType::Date32 | DataType::Timestamp(..), _) => "2020-01-01",
        _ => "1",
    }
}

#[tokio::test]
async fn a_view_without_a_table_that_it_needs_has_no_rows_and_says_so() {
    let company = company_without(
        &["campaign.touches"],
        "2025-02-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                 D1 | A1 | 5.00 | 2025-01-01 | 2025-01-10 | true | true",
            ),
        ],
    )
    .await;
    company.assert("select count(*) from attribution", "0").await;
    company.assert("select month, new_customers from cac", "2025-01-01 | 1").await;
    company
        .assert(
            "select metric, missing, is_available from meta.metrics where metric in ('attribution', 'cac') order by 1",
            "attribution | campaign.touches | false
             cac | | true",
        )
        .await;
}
