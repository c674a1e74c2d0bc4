//! `topline describe`: what a row of a table is, and what each of its columns means.

use serde::Serialize;

use super::tables::kind;
use crate::catalog::TableId;
use crate::catalog::contract::type_name;
use crate::cli::arguments::{DescribeArguments, ListFormat};
use crate::cli::output::json::document;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::engine::{DEFAULT_SCHEMA, Engine};
use crate::error::Result;
use crate::metrics::{Metric, SCHEMA};
use crate::models::sidecar::MetricEntry;

/// A table with its columns.
#[derive(Serialize)]
struct Description {
    schema: String,
    name: String,
    kind: &'static str,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    grain: Option<String>,
    key: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<Governance>,
    columns: Vec<Column>,
}

/// What a metric has besides.
#[derive(Serialize)]
struct Governance {
    label: String,
    unit: String,
    cadence: String,
    direction: String,
    owner: Option<String>,
    target: Option<f64>,
    threshold: Option<f64>,
    action_plan: Option<String>,
}

/// A column.
#[derive(Serialize)]
struct Column {
    name: String,
    data_type: String,
    unit: Option<&'static str>,
    is_nullable: bool,
    is_key: bool,
    description: String,
}

/// Explains a table or view.
///
/// # Errors
/// `NotFound` where there is none of that name, with the nearest one.
pub(in crate::cli) async fn run(
    engine: &Engine,
    arguments: &DescribeArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let name = arguments.name.to_lowercase();
    let (schema, name) = name.split_once('.').unwrap_or((DEFAULT_SCHEMA, &name));
    let id = TableId { schema: schema.to_owned(), name: name.to_owned() };
    let description = describe(engine, &id).await?;
    let text = match arguments.format {
        ListFormat::Table => text(&description, terminal),
        ListFormat::Json => document(&description)?,
    };
    terminal.print(&text)?;
    Ok(Ending::Done)
}

async fn describe(engine: &Engine, id: &TableId) -> Result<Description> {
    let table = engine.table(id).await?;
    let sidecar = engine.models().get(id).map(|model| &model.sidecar);
    let unit = |name: &str| {
        let documented = sidecar.and_then(|sidecar| sidecar.columns.iter().find(|column| column.0 == name));
        documented.map(|column| column.1.unit())
    };
    let columns = table
        .schema
        .fields()
        .iter()
        .zip(&table.column_descriptions)
        .map(|(field, description)| Column {
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            unit: unit(field.name()),
            is_nullable: field.is_nullable(),
            is_key: table.key.contains(field.name()),
            description: description.clone(),
        })
        .collect();
    let is_shown = |metric: &Metric| id.schema == SCHEMA && metric.name == id.name;
    let metric = engine.metrics().into_iter().find(is_shown).and_then(|metric| metric.entry);
    Ok(Description {
        schema: id.schema.clone(),
        name: id.name.clone(),
        kind: kind(&table),
        description: table.description,
        grain: sidecar.map(|sidecar| sidecar.grain.clone()).filter(|grain| !grain.is_empty()),
        key: table.key,
        needs: sidecar.map(|sidecar| sidecar.needs.clone()).unwrap_or_default(),
        metric: metric.as_ref().map(governance),
        columns,
    })
}

fn governance(entry: &MetricEntry) -> Governance {
    Governance {
        label: entry.label.clone(),
        unit: entry.unit.clone(),
        cadence: entry.cadence.clone(),
        direction: entry.direction.clone(),
        owner: entry.owner.clone(),
        target: entry.target,
        threshold: entry.threshold,
        action_plan: entry.action_plan.clone(),
    }
}

fn text(description: &Description, terminal: &Terminal) -> String {
    let style = terminal.out.style;
    let title = format!("{}.{}", description.schema, description.name);
    let mut text = format!("{} ({})\n", style.strong(&title), description.kind);
    if !description.description.is_empty() {
        text.push_str(&format!("{}\n", description.description.trim_end()));
    }
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{:<12}{value}\n", format!("{name}:")));
        }
    };
    fact("grain", description.grain.as_deref().unwrap_or_default());
    fact("key", &description.key.join(", "));
    fact("needs", &description.needs.join(", "));
    if let Some(metric) = &description.metric {
        let number = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
        fact("label", &metric.label);
        fact("unit", &metric.unit);
        fact("cadence", &metric.cadence);
        fact("good is", &metric.direction);
        fact("owner", metric.owner.as_deref().unwrap_or_default());
        fact("target", &number(metric.target));
        fact("threshold", &number(metric.threshold));
        fact("action plan", metric.action_plan.as_deref().unwrap_or_default());
    }
    text.push('\n');
    let columns = [("column", Lean::Left), ("type", Lean::Left), ("unit", Lean::Left), ("meaning", Lean::Left)];
    let rows = description.columns.iter().map(row).collect();
    text.push_str(&listing(terminal, &columns, rows, Overflow::Break));
    text
}

fn row(column: &Column) -> Vec<String> {
    let nullable = if column.is_nullable { "?" } else { "" };
    let unit = column.unit.unwrap_or_default();
    vec![column.name.clone(), format!("{}{nullable}", column.data_type), unit.to_owned(), column.description.clone()]
}
