//! What `meta` tells of jobs: how they stand, what became of their ticks, and how fresh published months are.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use super::checks::{Check, checks};
use super::entry::Settled;
use super::job::Job;
use super::standing::{Standing, TickRecord, history, standings};
use crate::engine::Engine;
use crate::engine::handed::HandedTable;
use crate::error::{Error, ErrorKind, Result};

/// The writer of journals that are read only.
const NOBODY: &str = "";

/// The tables.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Jobs,
    Ticks,
    Checks,
}

/// A table of `meta` about jobs.
#[derive(Debug)]
struct JobTable {
    kind: Kind,
    jobs: Arc<Vec<Job>>,
}

/// Adds the tables about jobs to schema `meta` of an engine.
pub fn hand_over(engine: &Engine) {
    let jobs = Arc::new(Job::unresolved(engine, NOBODY));
    for kind in [Kind::Jobs, Kind::Ticks, Kind::Checks] {
        engine.hand_over(Arc::new(JobTable { kind, jobs: Arc::clone(&jobs) }));
    }
}

#[async_trait]
impl HandedTable for JobTable {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Jobs => "jobs",
            Kind::Ticks => "job_ticks",
            Kind::Checks => "month_checks",
        }
    }

    fn description(&self) -> &'static str {
        match self.kind {
            Kind::Jobs => {
                "A row for each job of the configuration: when it is due, how it stands, and what became of its last tick."
            }
            Kind::Ticks => {
                "A row for each tick of a job that ended, or failed and was tried again, and one for ticks that were \
                 skipped together; of each job the newest 5,000. version leads to meta.runs; NULL is nothing to publish."
            }
            Kind::Checks => {
                "A row for each published month of a metric and job that covers it: when a run of the job last found it as \
                 it should be, when the next one is due, and whether that is late by more than the job's deadline. NULL is \
                 never. A month of a metric without a period is NULL."
            }
        }
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(match self.kind {
            Kind::Jobs => jobs_fields(),
            Kind::Ticks => ticks_fields(),
            Kind::Checks => checks_fields(),
        }))
    }

    async fn rows(&self, engine: &Engine) -> Result<RecordBatch> {
        let now = engine.now_micros();
        let columns = match self.kind {
            Kind::Jobs => jobs_columns(&self.jobs, &standings(&self.jobs, now).await),
            Kind::Ticks => ticks_columns(&history(&self.jobs, usize::MAX).await?),
            Kind::Checks => checks_columns(&checks(engine, &self.jobs, now).await?),
        };
        RecordBatch::try_new(self.schema(), columns)
            .map_err(|cause| Error::new(ErrorKind::Internal, "a table about jobs has other columns").with_source(cause))
    }
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn count(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn instant(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn counts(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.map(|value| i64::try_from(value?).ok()).collect::<Int64Array>())
}

fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn jobs_fields() -> Vec<Field> {
    vec![
        text("job"),
        text("state"),
        text("cron"),
        text("zone"),
        text("metrics"),
        text("months"),
        text("policy"),
        text("notify"),
        text("last_state"),
        text("last_why"),
        count("retries"),
        count("deadline_seconds"),
        count("dead"),
        count("undelivered"),
        count("last_version"),
        instant("next_at"),
        instant("last_tick"),
        instant("last_ended_at"),
    ]
}

fn jobs_columns(jobs: &[Job], standings: &[Standing]) -> Vec<ArrayRef> {
    let rows = || jobs.iter().map(|job| &job.config).zip(standings);
    let last = |of: fn(&Settled) -> Option<String>| standings.iter().map(move |row| row.last.as_ref().and_then(of));
    vec![
        texts(standings.iter().map(|row| Some(row.job.clone()))),
        texts(standings.iter().map(|row| Some(row.state.to_owned()))),
        texts(standings.iter().map(|row| row.cron.clone())),
        texts(standings.iter().map(|row| row.zone.clone())),
        texts(standings.iter().map(|row| Some(row.metrics.clone()))),
        texts(standings.iter().map(|row| Some(row.months.clone()))),
        texts(standings.iter().map(|row| Some(row.policy.to_owned()))),
        texts(rows().map(|(config, _)| Some(config.notify.join(", ")).filter(|names| !names.is_empty()))),
        texts(last(|last| Some(last.outcome.name().to_owned()))),
        texts(standings.iter().map(|row| match &row.problem {
            Some(problem) => Some(problem.to_string()),
            None => row.last.as_ref()?.why.clone(),
        })),
        counts(rows().map(|(config, _)| Some(config.retries.into()))),
        counts(rows().map(|(config, _)| Some(config.deadline.as_secs()))),
        counts(standings.iter().map(|row| Some(row.dead))),
        counts(standings.iter().map(|row| Some(row.undelivered))),
        counts(standings.iter().map(|row| row.last.as_ref().and_then(|last| last.version))),
        instants(standings.iter().map(|row| row.next)),
        instants(standings.iter().map(|row| row.last.as_ref().map(|last| last.tick))),
        instants(standings.iter().map(|row| row.last.as_ref().map(|last| last.ended_at))),
    ]
}

fn ticks_fields() -> Vec<Field> {
    vec![
        text("job"),
        text("state"),
        text("cause"),
        text("metrics"),
        text("months"),
        text("why"),
        count("ticks"),
        count("attempts"),
        count("version"),
        count("restatements"),
        instant("tick"),
        instant("started_at"),
        instant("ended_at"),
    ]
}

fn ticks_columns(rows: &[TickRecord]) -> Vec<ArrayRef> {
    vec![
        texts(rows.iter().map(|row| Some(row.job.clone()))),
        texts(rows.iter().map(|row| Some(row.state.to_owned()))),
        texts(rows.iter().map(|row| Some(row.cause.to_owned()))),
        texts(rows.iter().map(|row| row.metrics.clone())),
        texts(rows.iter().map(|row| row.months.clone())),
        texts(rows.iter().map(|row| row.why.clone())),
        counts(rows.iter().map(|row| Some(row.ticks))),
        counts(rows.iter().map(|row| Some(row.attempts.into()))),
        counts(rows.iter().map(|row| row.version)),
        counts(rows.iter().map(|row| row.restatements)),
        instants(rows.iter().map(|row| Some(row.tick))),
        instants(rows.iter().map(|row| row.started_at)),
        instants(rows.iter().map(|row| Some(row.ended_at))),
    ]
}

fn checks_fields() -> Vec<Field> {
    vec![
        text("metric"),
        text("job"),
        Field::new("is_late", DataType::Boolean, true),
        Field::new("month", DataType::Date32, true),
        instant("checked_at"),
        instant("due_at"),
    ]
}

fn checks_columns(rows: &[Check]) -> Vec<ArrayRef> {
    vec![
        texts(rows.iter().map(|row| Some(row.metric.clone()))),
        texts(rows.iter().map(|row| Some(row.job.clone()))),
        Arc::new(rows.iter().map(|row| Some(row.is_late)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.month.map(|month| month.first_day())).collect::<Date32Array>()),
        instants(rows.iter().map(|row| row.checked_at)),
        instants(rows.iter().map(|row| row.due_at)),
    ]
}
