//! How jobs stand, and what became of their ticks.

use std::future::ready;

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};

use super::duty::{Duty, duty};
use super::entry::{Cause, Entry, Event, Settled, State};
use super::job::Job;
use super::scheduler::Scheduler;
use crate::error::{Error, Result};

/// Ticks of a job that are shown, the newest: half a year of an hourly job.
const SHOWN_MAX: usize = 5_000;

/// How a job stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The name.
    pub job: String,
    /// The cron pattern; `None` is a job that is run when somebody asks for it.
    pub cron: Option<String>,
    /// The IANA time zone of the pattern.
    pub zone: Option<String>,
    /// What it publishes: names and tags, or `all`.
    pub metrics: String,
    /// The months, as they are configured.
    pub months: String,
    /// What becomes of missed ticks: `latest`, `all` or `skip`.
    pub policy: &'static str,
    /// `running`, `retrying`, `due`, `held`, `failing`, `ok`, `new` before the first tick, or `unreadable`.
    pub state: &'static str,
    /// Why its journal cannot be read.
    pub problem: Option<Error>,
    /// When it is due next, in microseconds since 1970-01-01 UTC.
    pub next: Option<i64>,
    /// The tick that ended last.
    pub last: Option<Settled>,
    /// Ticks that were given up and not run again since.
    pub dead: u64,
    /// Letters that are not delivered yet.
    pub undelivered: u64,
    /// Of a run that goes on: when it began, metrics that are computed, and all of them.
    pub running: Option<(i64, u64, u64)>,
}

/// What became of a tick, or of several.
#[derive(Debug, Clone)]
pub struct TickRecord {
    /// The job.
    pub job: String,
    /// The tick, of several the first.
    pub tick: i64,
    /// How many ticks: above 1 only for skipped ones.
    pub ticks: u64,
    /// `done`, `held`, `dead`, `skipped`, or `failed` for an attempt after which another is made.
    pub state: &'static str,
    /// Why it was run: `schedule`, `request` or `again`.
    pub cause: &'static str,
    /// The attempts up to then.
    pub attempts: u32,
    /// When the attempt began; `None` where there was none, or another came after it.
    pub started_at: Option<i64>,
    /// When this was taken down.
    pub ended_at: i64,
    /// The version that it added to what is published.
    pub version: Option<u64>,
    /// The published numbers that it changed.
    pub restatements: Option<u64>,
    /// The views that it was about.
    pub metrics: Option<String>,
    /// The months that it was about.
    pub months: Option<String>,
    /// Why it was skipped, held, given up or failed.
    pub why: Option<String>,
}

impl Scheduler {
    /// Returns how the jobs stand, in the order of the configuration. One whose journal cannot be read says why.
    pub async fn standings(&self) -> Vec<Standing> {
        standings(&self.jobs, self.clock.now_micros()).await
    }

    /// Returns how one job stands.
    ///
    /// # Errors
    /// `NotFound` where there is no such job.
    pub async fn standing(&self, name: &str) -> Result<Standing> {
        Ok(standing_of(self.job(name)?, self.clock.now_micros()).await)
    }

    /// Returns what became of the ticks of a job, or of all jobs, the newest first; so many at most for each, and no
    /// more than 5,000.
    ///
    /// # Errors
    /// `NotFound` where there is no such job, `Storage` where a journal cannot be read.
    pub async fn history(&self, name: Option<&str>, count: usize) -> Result<Vec<TickRecord>> {
        let mut records = match name {
            // Its journal has an order, whatever the clocks said.
            Some(name) => return history_of(self.job(name)?, count).await,
            None => history(&self.jobs, count).await?,
        };
        records.sort_by_key(|record| std::cmp::Reverse(record.ended_at));
        Ok(records)
    }
}

/// Returns how jobs stand at an instant.
pub(super) async fn standings(jobs: &[Job], now: i64) -> Vec<Standing> {
    join_all(jobs.iter().map(|job| standing_of(job, now))).await
}

async fn standing_of(job: &Job, now: i64) -> Standing {
    match job.journal.newest().await {
        Ok(newest) => standing(job, newest.as_ref().map(|newest| &newest.state), now),
        // A journal that is broken hides no other one.
        Err(problem) => {
            Standing { state: "unreadable", next: None, problem: Some(problem), ..standing(job, None, now) }
        }
    }
}

/// Returns what became of the ticks of jobs, one job after the other, the newest of each first.
///
/// # Errors
/// `Storage` where a journal cannot be read.
pub(super) async fn history(jobs: &[Job], count: usize) -> Result<Vec<TickRecord>> {
    let mut records = Vec::new();
    for job in jobs {
        records.extend(history_of(job, count).await?);
    }
    Ok(records)
}

async fn history_of(job: &Job, count: usize) -> Result<Vec<TickRecord>> {
    let entries = job.journal.of_ticks().await?.take(count.min(SHOWN_MAX));
    entries.try_filter_map(|entry| ready(Ok(record(&job.config.name, &entry)))).try_collect().await
}

fn standing(job: &Job, state: Option<&State>, now: i64) -> Standing {
    let config = &job.config;
    let claim = state.and_then(|state| state.claim.as_ref());
    let last = state.and_then(|state| state.last.clone());
    let due = duty(state, job.terms(), now);
    let next = match &due {
        Duty::Run(next) => Some(next.tick),
        // What a run is waited for until is no tick.
        Duty::Wait(until) if claim.is_none() => *until,
        _ => config.schedule.as_ref().and_then(|schedule| schedule.after(now)),
    };
    let word = match (&due, state) {
        (Duty::Wait(_), Some(State { claim: Some(_), .. })) => "running",
        (_, Some(State { waiting: Some(_), .. })) => "retrying",
        (Duty::Run(_) | Duty::Skip(_) | Duty::GiveUp(_), _) => "due",
        _ => match last.as_ref().map(|last| last.outcome.name()) {
            None => "new",
            Some("held") => "held",
            Some("dead") => "failing",
            Some(_) => "ok",
        },
    };
    let names: Vec<&str> = config.metrics.iter().chain(&config.tags).map(String::as_str).collect();
    Standing {
        job: config.name.clone(),
        cron: config.schedule.as_ref().map(|schedule| schedule.pattern()),
        zone: config.schedule.as_ref().map(|schedule| schedule.zone().to_string()),
        metrics: if names.is_empty() { "all".to_owned() } else { names.join(", ") },
        months: config.months.to_string(),
        policy: config.missed.name(),
        state: word,
        problem: None,
        next,
        last,
        dead: state.map_or(0, |state| state.dead.len() as u64),
        undelivered: state.map_or(0, |state| state.outbox.len() as u64),
        running: claim.map(|claim| (claim.started_at, claim.progress.0, claim.progress.1)),
    }
}

/// Returns what an entry says of a tick; `None` where it says nothing of any.
fn record(job: &str, entry: &Entry) -> Option<TickRecord> {
    let nothing = TickRecord {
        job: job.to_owned(),
        tick: 0,
        ticks: 1,
        state: "skipped",
        cause: cause_of(Cause::Schedule),
        attempts: 0,
        started_at: None,
        ended_at: entry.at_micros,
        version: None,
        restatements: None,
        metrics: None,
        months: None,
        why: None,
    };
    match &entry.event {
        Event::Skipped(skipped) => {
            Some(TickRecord { tick: skipped.first, ticks: skipped.count, why: Some(skipped.why.clone()), ..nothing })
        }
        Event::Failed(failed) => Some(TickRecord {
            tick: failed.tick,
            state: "failed",
            cause: entry.state.waiting.as_ref().map_or(nothing.cause, |waiting| cause_of(waiting.cause)),
            attempts: failed.attempt,
            why: Some(failed.error.clone()),
            ..nothing
        }),
        Event::Settled(settled) => Some(TickRecord {
            tick: settled.tick,
            state: settled.outcome.name(),
            cause: cause_of(settled.cause),
            attempts: settled.attempts,
            started_at: Some(settled.started_at),
            version: settled.version,
            restatements: Some(settled.restatements),
            metrics: Some(settled.metrics.join(", ")),
            months: Some(settled.months.clone()),
            why: settled.why.clone(),
            ..nothing
        }),
        Event::Scheduled | Event::SetBack | Event::Claimed | Event::Renewed | Event::Released | Event::Posted => None,
    }
}

fn cause_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Schedule => "schedule",
        Cause::Request => "request",
        Cause::Again => "again",
    }
}
