//! What `meta` tells of publishing: runs, restatements, and what is published of each month.

use std::sync::{Arc, Weak};

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::entry::{Entry, Event};
use super::provider::{Pin, PublishedTable};
use crate::domain::month::Month;
use crate::engine::state::Shared;
use crate::error::Error;
use crate::functions::settings::instant_type;

/// The tables with what a row is.
pub(in crate::engine) const TABLES: [(&str, &str); 3] = [
    (
        "published_months",
        "A row for each month of a metric that is published, or one without a month for a metric that has no period: how \
         many rows it has, the version with which they became visible, the instant at which they look at the world, and \
         for a closed month how many rows would change if it were opened.",
    ),
    (
        "restatements",
        "A row for each published number that changed: metric, month, the rest of the key, column, the value before and \
         after, the run that changed it, and why. A number that came or went has no value before or after.",
    ),
    (
        "runs",
        "A row for each version of what is published: published, held by a broken law, failed, or a month closed or \
         reopened. as_of_version('METRIC', version) is the metric as it was then.",
    ),
];

/// Returns a table of `meta`; `None` where it is none of these.
pub(in crate::engine) fn table(name: &str, shared: Weak<Shared>) -> Option<Arc<dyn TableProvider>> {
    match name {
        "restatements" => Some(Arc::new(PublishedTable::of_restatements(shared, restatements()))),
        "published_months" => Some(Arc::new(History { what: What::Months, schema: months(), shared })),
        "runs" => Some(Arc::new(History { what: What::Runs, schema: runs(), shared })),
        _ => None,
    }
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn count(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn instant(name: &str) -> Field {
    Field::new(name, instant_type(), true)
}

fn month(name: &str) -> Field {
    Field::new(name, DataType::Date32, true)
}

/// Returns the columns of the table of restatements.
pub fn restatements() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("metric"),
        text("key"),
        text("column"),
        text("value_before"),
        text("value_after"),
        text("reason"),
        text("files"),
        text("run_id"),
        Field::new("difference", DataType::Float64, true),
        month("month"),
        instant("at"),
    ]))
}

fn runs() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("run_id"),
        text("kind"),
        text("metrics"),
        text("decided_by"),
        text("reason"),
        count("version"),
        count("months_new"),
        count("months_restated"),
        count("months_pending"),
        count("restatements"),
        month("month"),
        instant("at"),
        instant("as_of"),
    ]))
}

fn months() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("metric"),
        text("digest"),
        count("rows"),
        count("rows_pending"),
        count("version"),
        Field::new("is_closed", DataType::Boolean, true),
        month("month"),
        instant("as_of"),
    ]))
}

#[derive(Debug, Clone, Copy)]
enum What {
    Runs,
    Months,
}

#[derive(Debug)]
struct History {
    what: What,
    schema: SchemaRef,
    shared: Weak<Shared>,
}

#[async_trait]
impl TableProvider for History {
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
        let Some(shared) = self.shared.upgrade() else { return internal_err!("the engine is gone") };
        let Some(pin) = state.config().get_extension::<Pin>() else {
            return internal_err!("the history is scanned outside a query");
        };
        let external = |error: Error| DataFusionError::External(Box::new(error));
        let newest = pin.entry(&shared.published).await.map_err(external)?;
        let columns = match self.what {
            What::Months => month_columns(newest.as_deref()),
            What::Runs => {
                let mut entries = shared.published.entries().await.map_err(external)?;
                // The query looks at one entry, whatever was added since.
                entries.retain(|entry| newest.as_ref().is_some_and(|newest| entry.number <= newest.number));
                run_columns(&entries)
            }
        };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], Arc::clone(&self.schema), projection.cloned())?)
    }
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn counts(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.map(|value| i64::try_from(value?).ok()).collect::<Int64Array>())
}

fn dates(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    let day = |text: String| text.parse::<Month>().ok().map(Month::first_day);
    Arc::new(values.map(|value| day(value?)).collect::<Date32Array>())
}

fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn run_columns(entries: &[Arc<Entry>]) -> Vec<ArrayRef> {
    let runs: Vec<Run> = entries.iter().map(|entry| Run::of(entry)).collect();
    vec![
        texts(entries.iter().map(|entry| Some(entry.run_id.clone()))),
        texts(runs.iter().map(|run| Some(run.kind.to_owned()))),
        texts(runs.iter().map(|run| run.metrics.clone())),
        texts(runs.iter().map(|run| run.by.clone())),
        texts(runs.iter().map(|run| run.reason.clone())),
        counts(entries.iter().map(|entry| Some(entry.number))),
        counts(runs.iter().map(|run| run.months.map(|months| months[0]))),
        counts(runs.iter().map(|run| run.months.map(|months| months[1]))),
        counts(runs.iter().map(|run| run.months.map(|months| months[2]))),
        counts(runs.iter().map(|run| run.restatements)),
        dates(runs.iter().map(|run| run.month.clone())),
        instants(entries.iter().map(|entry| Some(entry.at_micros))),
        instants(runs.iter().map(|run| run.as_of_micros)),
    ]
}

/// An entry as `meta.runs` shows it.
#[derive(Default)]
struct Run {
    kind: &'static str,
    metrics: Option<String>,
    by: Option<String>,
    reason: Option<String>,
    /// New, restated and pending ones, over all metrics.
    months: Option<[u64; 3]>,
    restatements: Option<u64>,
    month: Option<String>,
    as_of_micros: Option<i64>,
}

impl Run {
    fn of(entry: &Entry) -> Self {
        let decision = |kind, decision: &super::entry::Decision| Self {
            kind,
            by: Some(decision.by.clone()),
            reason: Some(decision.reason.clone()),
            month: Some(decision.month.clone()),
            ..Self::default()
        };
        match &entry.event {
            Event::Closed(closing) => decision("closed", closing),
            Event::Reopened(opening) => decision("reopened", opening),
            Event::Failed { metrics, error } => Self {
                kind: "failed",
                metrics: Some(metrics.join(", ")),
                reason: Some(error.clone()),
                ..Self::default()
            },
            Event::Held(hold) => {
                let broken = hold.broken.iter().map(|broken| {
                    let rows = broken.rows.map_or_else(|| "no answer".to_owned(), |rows| format!("{rows} rows"));
                    let examples = broken.examples.join("; ");
                    format!("{} of {} is broken, {rows}: {examples}", broken.law, broken.metric)
                });
                Self {
                    kind: "held",
                    metrics: Some(hold.metrics.join(", ")),
                    reason: Some(broken.collect::<Vec<_>>().join("\n")),
                    as_of_micros: Some(hold.as_of_micros),
                    ..Self::default()
                }
            }
            Event::Published(run) => {
                let sum = |months: fn(&super::entry::PublishedMetric) -> usize| {
                    run.metrics.iter().map(|metric| months(metric) as u64).sum()
                };
                Self {
                    kind: "published",
                    metrics: Some(
                        run.metrics.iter().map(|metric| metric.metric.as_str()).collect::<Vec<_>>().join(", "),
                    ),
                    months: Some([
                        sum(|metric| metric.new.len()),
                        sum(|metric| metric.restated.len()),
                        sum(|metric| metric.pending.len()),
                    ]),
                    restatements: Some(run.restatements),
                    as_of_micros: Some(run.as_of_micros),
                    ..Self::default()
                }
            }
        }
    }
}

fn month_columns(entry: Option<&Entry>) -> Vec<ArrayRef> {
    let mut rows = Vec::new();
    if let Some(entry) = entry {
        for (metric, table) in &entry.state.tables {
            rows.extend(table.months.iter().map(|(month, state)| (entry, metric, table, month, state)));
        }
    }
    let pending = |entry: &Entry, month: &String, metric: &String| {
        let is_closed = entry.state.closed.contains_key(month);
        is_closed.then(|| entry.state.pending.get(month).and_then(|of| of.get(metric)).copied().unwrap_or(0))
    };
    vec![
        texts(rows.iter().map(|row| Some(row.1.clone()))),
        texts(rows.iter().map(|row| Some(row.4.digest.clone()))),
        counts(rows.iter().map(|row| Some(row.4.rows))),
        counts(rows.iter().map(|row| pending(row.0, row.3, row.1))),
        counts(rows.iter().map(|row| Some(row.4.entry))),
        Arc::new(rows.iter().map(|row| Some(row.0.state.closed.contains_key(row.3))).collect::<BooleanArray>()),
        dates(rows.iter().map(|row| Some(row.3.clone()))),
        instants(rows.iter().map(|row| row.2.basis(row.3).map(|basis| basis.as_of_micros))),
    ]
}
