//! How fresh each published month is: when a job last found it as it should be, and when it is to look again.

use super::entry::State;
use super::job::{Job, views};
use crate::config::JobMonths;
use crate::domain::month::Month;
use crate::engine::Engine;
use crate::engine::published::entry::Entry;
use crate::error::Result;

/// A published month and a job that covers it.
#[derive(Debug)]
pub(super) struct Check {
    pub metric: String,
    pub job: String,
    /// `None` is a metric without a period.
    pub month: Option<Month>,
    /// When the last run that found it as it should be looked at the world; `None` is never.
    pub checked_at: Option<i64>,
    /// When the next run is due; `None` is never.
    pub due_at: Option<i64>,
    /// Whether that was longer ago than the job's deadline.
    pub is_late: bool,
}

/// Returns a row for each published month and job that covers it; none of jobs whose metrics are not known.
///
/// # Errors
/// `Storage` where the ledger or a journal cannot be read.
pub(super) async fn checks(engine: &Engine, jobs: &[Job], now: i64) -> Result<Vec<Check>> {
    let Some(published) = engine.newest_entry().await? else { return Ok(Vec::new()) };
    let session = engine.session();
    let current = Month::of_day(session.settings().calendar().month(now));
    let mut rows = Vec::new();
    for job in jobs {
        let newest = job.journal.newest().await?;
        let mut problems = Vec::new();
        let names = views(engine, &job.config, &mut problems);
        if !problems.is_empty() {
            continue;
        }
        let (checked_at, due_at) = instants(job, newest.as_ref().map(|newest| &newest.state));
        let deadline = i64::try_from(job.config.deadline.as_micros()).unwrap_or(i64::MAX);
        let is_late = due_at.is_some_and(|due| now.saturating_sub(due) > deadline);
        for (metric, month) in months(&published) {
            let is_of_job = (job.is_of_all() || names.contains(metric)) && covers(job, &published, month, current);
            if is_of_job {
                let (metric, job) = (metric.clone(), job.config.name.clone());
                rows.push(Check { metric, job, month, checked_at, due_at, is_late });
            }
        }
    }
    Ok(rows)
}

fn instants(job: &Job, state: Option<&State>) -> (Option<i64>, Option<i64>) {
    let done = state.and_then(|state| state.done);
    let since = done.map(|done| done.tick).or(state.map(|state| state.since));
    let schedule = job.config.schedule.as_ref();
    (done.map(|done| done.started_at), schedule.zip(since).and_then(|(schedule, since)| schedule.after(since)))
}

fn months(published: &Entry) -> impl Iterator<Item = (&String, Option<Month>)> {
    let tables = published.state.tables.iter();
    tables.flat_map(|(metric, table)| table.months.keys().map(move |month| (metric, month.parse().ok())))
}

fn covers(job: &Job, published: &Entry, month: Option<Month>, current: Month) -> bool {
    let Some(month) = month else { return true };
    match job.config.months {
        JobMonths::Due => true,
        JobMonths::Last(count) => month >= current.plus(-i32::try_from(count).unwrap_or(i32::MAX)),
        JobMonths::Open => {
            let closed = published.state.closed.keys().next_back().and_then(|closed| closed.parse().ok());
            closed.is_none_or(|closed: Month| month > closed)
        }
    }
}
