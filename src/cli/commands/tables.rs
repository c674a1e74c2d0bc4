//! `topline tables`: what can be asked.

use serde::Serialize;

use crate::cli::arguments::{ListFormat, TablesArguments};
use crate::cli::output::json::document;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::domain::names::nearest;
use crate::engine::{Engine, TableListing};
use crate::error::{Error, ErrorKind, Result};

/// A table as JSON has it.
#[derive(Serialize)]
struct Entry<'listing> {
    schema: &'listing str,
    name: &'listing str,
    kind: &'static str,
    columns: usize,
    key: &'listing [String],
    description: &'listing str,
}

/// Lists tables and views.
///
/// # Errors
/// `NotFound` where there is no such schema, `Model` where a view cannot be planned.
pub(in crate::cli) async fn run(
    engine: &Engine,
    arguments: &TablesArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    if let Some(schema) = &arguments.schema {
        check_schema(engine, schema)?;
    }
    let mut tables = engine.tables().await?;
    tables.retain(|table| arguments.schema.as_ref().is_none_or(|schema| *schema == table.id.schema));
    let text = match arguments.format {
        ListFormat::Table => {
            let columns =
                [("table", Lean::Left), ("kind", Lean::Left), ("columns", Lean::Right), ("a row is", Lean::Left)];
            let rows = tables.iter().map(row).collect();
            listing(terminal, &columns, rows, Overflow::Cut)
        }
        ListFormat::Json => document(&tables.iter().map(entry).collect::<Vec<_>>())?,
    };
    terminal.print(&text)?;
    Ok(Ending::Done)
}

fn check_schema(engine: &Engine, schema: &str) -> Result<()> {
    let schemas = engine.schemas();
    if schemas.iter().any(|known| known == schema) {
        return Ok(());
    }
    let hint = match nearest(schema, schemas.iter().map(String::as_str)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("there are {}", schemas.join(", ")),
    };
    Err(Error::new(ErrorKind::NotFound, format!("schema \"{schema}\" does not exist")).with_hint(hint))
}

/// Returns what a table is in a word.
pub(super) fn kind(table: &TableListing) -> &'static str {
    if table.is_view { "view" } else { "table" }
}

fn row(table: &TableListing) -> Vec<String> {
    let first_sentence = table.description.split_inclusive(". ").next().unwrap_or_default().trim_end();
    vec![
        table.id.to_string(),
        kind(table).to_owned(),
        table.schema.fields().len().to_string(),
        first_sentence.to_owned(),
    ]
}

fn entry(table: &TableListing) -> Entry<'_> {
    Entry {
        schema: &table.id.schema,
        name: &table.id.name,
        kind: kind(table),
        columns: table.schema.fields().len(),
        key: &table.key,
        description: &table.description,
    }
}
