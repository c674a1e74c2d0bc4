//! Schema `meta`: what topline knows of itself, as tables.

mod columns;

use std::sync::{Arc, Weak};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::freshness::Newest;
use super::handed::HandedProvider;
use super::published::{self, PublishedTable};
use super::runs;
use super::state::Shared;
use crate::catalog::TableId;
use crate::functions::settings::session_settings;
use crate::metrics::parts::Measure;

/// The tables with what a row is.
const TABLES: [(&str, &str); 8] = [
    ("columns", "A row for each column of every table and view."),
    (
        "freshness",
        "A row for each metric and contract table that it reads, directly or through other views: the newest fact before \
         as_of in the table's fact column, a date as its first instant, and the newest file. NULL where a table has no \
         fact column, no fact or no file.",
    ),
    (
        "lineage",
        "Where views and their columns come from. kind reads: the view names the table source_schema.source_table. kind \
         value: the column's values are made of the source column, conditions of a case included. kind filter: the source \
         column decides which rows of the view there are, by a filter, a join or the order of a window; it is said of the \
         view as a whole. value and filter go down to tables of the contract.",
    ),
    ("metrics", "A row for each metric: which view and column show it, who owns it, and which tables it misses."),
    ("models", "A row for each view, with the SQL that makes it."),
    ("queries", runs::list::DESCRIPTION),
    ("settings", "A row for each setting with the value of this session and its bounds."),
    (
        "sources",
        "A row for each source table: whether it is there, its files, rows and bytes, NULL for a role that reads some rows.",
    ),
];

/// Returns the tables of `meta` with what a row is, in no order.
pub(super) fn tables() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    TABLES.iter().chain(&published::TABLES)
}

/// Returns what a row of a table of `meta` is; empty where there is no such table.
pub(super) fn description(id: &TableId) -> String {
    let found = tables().find(|(name, _)| id.schema == "meta" && *name == id.name);
    found.map_or_else(String::new, |(_, description)| (*description).to_owned())
}

/// Returns a table of `meta`.
pub(super) fn table(name: &str, shared: Weak<Shared>) -> Option<Arc<dyn TableProvider>> {
    if name == published::RESTATEMENTS {
        return Some(Arc::new(PublishedTable::of_restatements(shared)));
    }
    let Some((name, _)) = tables().find(|(known, _)| *known == name) else {
        let table = shared.upgrade()?.handed(name)?;
        return Some(Arc::new(HandedProvider { table, shared }));
    };
    Some(Arc::new(MetaTable { name, schema: schema(name), shared }))
}

fn schema(name: &str) -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let count = |name: &str, nullable| Field::new(name, DataType::Int64, nullable);
    let flag = |name: &str| Field::new(name, DataType::Boolean, false);
    let fields = match name {
        "columns" => vec![
            text("table_schema", false),
            text("table_name", false),
            text("column_name", false),
            text("data_type", false),
            text("unit", true),
            text("description", true),
            count("position", false),
            flag("is_nullable"),
            flag("is_key"),
        ],
        "freshness" | "lineage" => return origin_schema(name),
        "queries" => return runs::list::schema(),
        "published_months" => return published::months(),
        "runs" => return published::runs(),
        "metrics" => vec![
            text("metric", false),
            text("view", false),
            text("value_column", true),
            text("label", true),
            text("description", false),
            text("unit", true),
            text("grain", false),
            text("cadence", true),
            text("direction", true),
            text("owner", true),
            text("action_plan", true),
            text("needs", false),
            text("missing", false),
            text("dimensions", true),
            Field::new("target", DataType::Float64, true),
            Field::new("threshold", DataType::Float64, true),
            flag("is_available"),
        ],
        "models" => vec![
            text("model_schema", false),
            text("model_name", false),
            text("description", false),
            text("grain", false),
            text("file", false),
            text("reads", false),
            text("sql", false),
            flag("is_custom"),
        ],
        "settings" => vec![
            text("name", false),
            text("value", false),
            text("default_value", false),
            text("bounds", false),
            text("description", false),
            flag("is_session"),
        ],
        _ => vec![
            text("table_schema", false),
            text("table_name", false),
            text("description", true),
            count("files", true),
            count("rows", true),
            count("bytes", true),
            flag("is_there"),
            flag("is_contract"),
        ],
    };
    Arc::new(Schema::new(fields))
}

fn origin_schema(name: &str) -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let instant = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true);
    let fields = match name {
        "freshness" => vec![
            text("metric", false),
            text("table_schema", false),
            text("table_name", false),
            text("fact_column", true),
            text("newest_file", true),
            instant("newest_fact_at"),
            instant("newest_file_at"),
        ],
        _ => vec![
            text("table_schema", false),
            text("table_name", false),
            text("column_name", true),
            text("source_schema", false),
            text("source_table", false),
            text("source_column", true),
            text("kind", false),
        ],
    };
    Arc::new(Schema::new(fields))
}

#[derive(Debug)]
struct MetaTable {
    name: &'static str,
    schema: SchemaRef,
    shared: Weak<Shared>,
}

#[async_trait]
impl TableProvider for MetaTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(shared) = self.shared.upgrade() else {
            return datafusion::common::internal_err!("the engine is gone");
        };
        let columns = match self.name {
            "columns" => columns::rows(&shared).await?,
            "freshness" => freshness(&shared, state).await?,
            "lineage" => lineage(&shared).await?,
            "metrics" => metrics(&shared),
            "models" => models(&shared),
            "published_months" => published::month_rows(&shared, state).await?,
            "runs" => published::run_rows(&shared, state).await?,
            "queries" => runs::list::rows(&shared, state),
            "settings" => settings(state),
            _ => sources(&shared).await?,
        };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], Arc::clone(&self.schema), projection.cloned())?)
    }
}

fn external(error: crate::error::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn texts<T>(rows: &[T], text: impl Fn(&T) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
}

fn optional_texts<T>(rows: &[T], text: impl Fn(&T) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(text).collect::<StringArray>())
}

fn counts<T>(rows: &[T], count: impl Fn(&T) -> u64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::try_from(count(row)).unwrap_or(i64::MAX))))
}

fn flags<T>(rows: &[T], flag: impl Fn(&T) -> bool) -> ArrayRef {
    Arc::new(rows.iter().map(|row| Some(flag(row))).collect::<BooleanArray>())
}

fn settings(state: &dyn Session) -> Vec<ArrayRef> {
    let settings = session_settings(state.config_options());
    let rows: Vec<_> = settings.iter().collect();
    vec![
        texts(&rows, |(spec, _)| spec.name.to_owned()),
        texts(&rows, |(_, value)| value.to_string()),
        texts(&rows, |(spec, _)| spec.default.to_owned()),
        texts(&rows, |(spec, _)| spec.bounds.to_string()),
        texts(&rows, |(spec, _)| spec.description.to_owned()),
        flags(&rows, |(spec, _)| spec.is_session),
    ]
}

fn models(shared: &Shared) -> Vec<ArrayRef> {
    let rows: Vec<_> = shared.models.iter().collect();
    let reads = |reads: &std::collections::BTreeSet<TableId>| {
        reads.iter().map(TableId::to_string).collect::<Vec<_>>().join(", ")
    };
    vec![
        texts(&rows, |model| model.id.schema.clone()),
        texts(&rows, |model| model.id.name.clone()),
        texts(&rows, |model| model.sidecar.description.clone()),
        texts(&rows, |model| model.sidecar.grain.clone()),
        texts(&rows, |model| {
            if model.is_custom { format!("{}.sql", model.id.to_string().replace('.', "/")) } else { model.file.clone() }
        }),
        texts(&rows, |model| reads(&model.reads)),
        texts(&rows, |model| model.sql.clone()),
        flags(&rows, |model| model.is_custom),
    ]
}

fn metrics(shared: &Shared) -> Vec<ArrayRef> {
    let rows = shared.metrics();
    let number = |number: &dyn Fn(&crate::models::sidecar::MetricEntry) -> Option<f64>| {
        Arc::new(rows.iter().map(|metric| metric.entry.as_ref().and_then(number)).collect::<Float64Array>()) as ArrayRef
    };
    vec![
        texts(&rows, |metric| metric.name.clone()),
        texts(&rows, |metric| metric.view.clone()),
        optional_texts(&rows, |metric| metric.entry.as_ref().and_then(|entry| entry.column.clone())),
        optional_texts(&rows, |metric| metric.entry.as_ref().map(|entry| entry.label.clone())),
        texts(&rows, |metric| metric.description.clone()),
        optional_texts(&rows, |metric| metric.entry.as_ref().map(|entry| entry.unit.clone())),
        texts(&rows, |metric| metric.grain.clone()),
        optional_texts(&rows, |metric| metric.entry.as_ref().map(|entry| entry.cadence.clone())),
        optional_texts(&rows, |metric| metric.entry.as_ref().map(|entry| entry.direction.clone())),
        optional_texts(&rows, |metric| metric.entry.as_ref().and_then(|entry| entry.owner.clone())),
        optional_texts(&rows, |metric| metric.entry.as_ref().and_then(|entry| entry.action_plan.clone())),
        texts(&rows, |metric| metric.needs.join(", ")),
        texts(&rows, |metric| metric.missing.join(", ")),
        optional_texts(&rows, |metric| {
            let measure = Measure::find(&shared.models, &metric.name).ok()?;
            Some(measure.dimensions().join(", "))
        }),
        number(&|entry| entry.target),
        number(&|entry| entry.threshold),
        flags(&rows, |metric| metric.missing.is_empty()),
    ]
}

async fn freshness(shared: &Arc<Shared>, state: &dyn Session) -> Result<Vec<ArrayRef>> {
    let rows = super::freshness::rows(shared, state).await.map_err(external)?;
    let instants = |instant: fn(&Newest) -> Option<i64>| {
        let micros: TimestampMicrosecondArray = rows.iter().map(|row| instant(&row.newest)).collect();
        Arc::new(micros.with_timezone("UTC")) as ArrayRef
    };
    Ok(vec![
        texts(&rows, |row| row.metric.clone()),
        texts(&rows, |row| row.table.schema.clone()),
        texts(&rows, |row| row.table.name.clone()),
        optional_texts(&rows, |row| row.newest.fact_column.clone()),
        optional_texts(&rows, |row| row.newest.file.clone()),
        instants(|newest| newest.fact_at),
        instants(|newest| newest.file_at),
    ])
}

async fn lineage(shared: &Arc<Shared>) -> Result<Vec<ArrayRef>> {
    let rows = super::lineage::edges(shared).await.map_err(external)?;
    Ok(vec![
        texts(&rows, |edge| edge.table.schema.clone()),
        texts(&rows, |edge| edge.table.name.clone()),
        optional_texts(&rows, |edge| edge.column.clone()),
        texts(&rows, |edge| edge.source.schema.clone()),
        texts(&rows, |edge| edge.source.name.clone()),
        optional_texts(&rows, |edge| edge.source_column.clone()),
        texts(&rows, |edge| edge.kind.name().to_owned()),
    ])
}

async fn sources(shared: &Shared) -> Result<Vec<ArrayRef>> {
    let mut rows = shared.catalog.states().await.map_err(external)?;
    rows.retain(|state| shared.sees(&state.id));
    // Files tell of all their rows, whoever may read some of them.
    let found = |count: fn(crate::catalog::Found) -> u64| {
        let of = rows.iter().map(|state| shared.is_plain(&state.id).then(|| state.found.map_or(0, count)));
        Arc::new(of.map(|count| i64::try_from(count?).ok()).collect::<Int64Array>()) as ArrayRef
    };
    Ok(vec![
        texts(&rows, |state| state.id.schema.clone()),
        texts(&rows, |state| state.id.name.clone()),
        optional_texts(&rows, |state| state.contract.map(|table| table.description.clone())),
        found(|found| found.files),
        found(|found| found.rows),
        found(|found| found.bytes),
        flags(&rows, |state| state.found.is_some()),
        flags(&rows, |state| state.contract.is_some()),
    ])
}
