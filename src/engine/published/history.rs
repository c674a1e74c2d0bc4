//! What `meta` tells of publishing: runs, restatements, and what is published of each month.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result, internal_err};

use super::entry::{Deed, Entry, Event};
use super::provider::Pin;
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
         reopened; the newest 5,000. as_of_version('METRIC', version) is the metric as it was then, whatever its age.",
    ),
];

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

/// Returns the columns of the table of runs.
pub(in crate::engine) fn runs() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("run_id"),
        text("kind"),
        text("metrics"),
        text("computed"),
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

/// Returns the columns of the table of published months.
pub(in crate::engine) fn months() -> SchemaRef {
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

/// Returns the rows of the table of runs, up to the entry that the query looks at.
///
/// # Errors
/// `Storage` where the ledger cannot be read.
pub(in crate::engine) async fn run_rows(shared: &Shared, state: &dyn Session) -> Result<Vec<ArrayRef>> {
    let newest = pinned(shared, state).await?;
    let mut deeds = shared.published.deeds().await.map_err(external)?;
    deeds.retain(|deed| newest.as_ref().is_some_and(|newest| deed.number <= newest.number));
    Ok(run_columns(&deeds))
}

/// Returns the rows of the table of published months, of the entry that the query looks at.
///
/// # Errors
/// `Storage` where the ledger cannot be read.
pub(in crate::engine) async fn month_rows(shared: &Shared, state: &dyn Session) -> Result<Vec<ArrayRef>> {
    Ok(month_columns(pinned(shared, state).await?.as_deref()))
}

async fn pinned(shared: &Shared, state: &dyn Session) -> Result<Option<Arc<Entry>>> {
    let Some(pin) = state.config().get_extension::<Pin>() else {
        return internal_err!("the history is scanned outside a query");
    };
    pin.entry(&shared.published).await.map_err(external)
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
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

fn run_columns(deeds: &[Arc<Deed>]) -> Vec<ArrayRef> {
    let runs: Vec<Run> = deeds.iter().map(|deed| Run::of(deed)).collect();
    vec![
        texts(deeds.iter().map(|deed| Some(deed.run_id.clone()))),
        texts(runs.iter().map(|run| Some(run.kind.to_owned()))),
        texts(runs.iter().map(|run| run.metrics.clone())),
        texts(runs.iter().map(|run| run.computed.clone())),
        texts(runs.iter().map(|run| run.by.clone())),
        texts(runs.iter().map(|run| run.reason.clone())),
        counts(deeds.iter().map(|deed| Some(deed.number))),
        counts(runs.iter().map(|run| run.months.map(|months| months[0]))),
        counts(runs.iter().map(|run| run.months.map(|months| months[1]))),
        counts(runs.iter().map(|run| run.months.map(|months| months[2]))),
        counts(runs.iter().map(|run| run.restatements)),
        dates(runs.iter().map(|run| run.month.clone())),
        instants(deeds.iter().map(|deed| Some(deed.at_micros))),
        instants(runs.iter().map(|run| run.as_of_micros)),
    ]
}

/// An entry as `meta.runs` shows it.
#[derive(Default)]
struct Run {
    kind: &'static str,
    metrics: Option<String>,
    /// Which months of each metric were computed.
    computed: Option<String>,
    by: Option<String>,
    reason: Option<String>,
    /// New, restated and pending ones, over all metrics.
    months: Option<[u64; 3]>,
    restatements: Option<u64>,
    month: Option<String>,
    as_of_micros: Option<i64>,
}

impl Run {
    fn of(deed: &Deed) -> Self {
        let decision = |kind, decision: &super::entry::Decision| Self {
            kind,
            by: Some(decision.by.clone()),
            reason: Some(decision.reason.clone()),
            month: Some(decision.month.clone()),
            ..Self::default()
        };
        match &deed.event {
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
                let computed = run.metrics.iter().map(|metric| format!("{}: {}", metric.metric, metric.computed));
                Self {
                    kind: "published",
                    metrics: Some(
                        run.metrics.iter().map(|metric| metric.metric.as_str()).collect::<Vec<_>>().join(", "),
                    ),
                    computed: Some(computed.collect::<Vec<_>>().join("; ")),
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
