//! `topline jobs`: what is published when, and what became of it.

mod text;
mod watch;

use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cli::arguments::{JobsArguments, JobsCommand, ListFormat};
use crate::cli::output::json::document;
use crate::cli::output::progress::Spinner;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Config;
use crate::error::Result;
use crate::jobs::{Asked, Outcome, RELEASE_MAX, Scheduler, Settled, Standing, TickRecord};

/// How often the sign of life says how far a run is.
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

/// Runs, lists or watches jobs.
///
/// # Errors
/// `Config` where jobs name metrics that there are not, `NotFound` where there is no such job, `Storage` where the
/// warehouse cannot be read or written.
pub(in crate::cli) async fn run(
    config: Config,
    arguments: &JobsArguments,
    terminal: &Terminal,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Ending, Stop> {
    let engine = tokio::select! {
        engine = super::open(config) => engine?,
        _ = &mut stopped => return Ok(Ending::Done),
    };
    let scheduler = Scheduler::open(engine)?;
    match &arguments.command {
        JobsCommand::Run { name, now, again, format } => {
            let asked = match (now, again) {
                (true, _) => Asked::Now,
                (_, true) => Asked::Again,
                _ => Asked::Owed,
            };
            run_one(&scheduler, name, asked, *format, terminal, stopped).await
        }
        JobsCommand::List { format } => {
            let standings = scheduler.standings().await;
            let text = match format {
                ListFormat::Table => text::standings(&standings, terminal),
                ListFormat::Json => document(&standings.iter().map(job_of).collect::<Vec<_>>())?,
            };
            terminal.print(&text)?;
            let problem = standings.into_iter().find_map(|standing| standing.problem);
            problem.map_or(Ok(Ending::Done), |problem| Err(problem.into()))
        }
        JobsCommand::History { name, limit, format } => {
            let records = scheduler.history(name.as_deref(), *limit).await?;
            let text = match format {
                ListFormat::Table => text::history(&records, terminal),
                ListFormat::Json => document(&records.iter().map(tick_of).collect::<Vec<_>>())?,
            };
            terminal.print(&text)?;
            Ok(Ending::Done)
        }
        JobsCommand::Watch => watch::run(&scheduler, terminal).await,
    }
}

async fn run_one(
    scheduler: &Scheduler,
    name: &str,
    asked: Asked,
    format: ListFormat,
    terminal: &Terminal,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Ending, Stop> {
    scheduler.require_channels_of(name)?;
    let spinner = Spinner::start(terminal, "looking what is owed");
    let running = scheduler.run_job(name, asked);
    tokio::pin!(running);
    let settled = loop {
        tokio::select! {
            settled = &mut running => break settled,
            () = tokio::time::sleep(LOOK) => {
                let (done, all) = scheduler.progress().get();
                if all > 0 {
                    spinner.say(format!("{done} of {all} metrics"));
                }
            }
            _ = &mut stopped => {
                scheduler.stop();
                // Nothing is said of it: the tick is run by the next one.
                drop(timeout(RELEASE_MAX, &mut running).await);
                return Ok(Ending::Done);
            }
        }
    };
    drop(spinner);
    let ending = match settled {
        Ok(settled) => told(scheduler, name, &settled, format, terminal).await,
        Err(error) => Err(error.into()),
    };
    // What cannot be delivered now is left to the next process that runs the job.
    scheduler.deliver_of(name).await;
    ending
}

/// Prints what became of the ticks of a job.
async fn told(
    scheduler: &Scheduler,
    name: &str,
    settled: &[Settled],
    format: ListFormat,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let text = match format {
        ListFormat::Table => {
            let next = scheduler.standing(name).await?.next;
            text::settled(settled, next, terminal)
        }
        ListFormat::Json => document(&settled.iter().map(run_of).collect::<Vec<_>>())?,
    };
    terminal.print(&text)?;
    let is_well = settled.iter().all(|settled| settled.outcome == Outcome::Done);
    Ok(if is_well { Ending::Done } else { Ending::ProblemsFound })
}

/// A job, as JSON has it.
#[derive(Serialize)]
struct Job<'a> {
    job: &'a str,
    state: &'static str,
    cron: Option<&'a str>,
    zone: Option<&'a str>,
    metrics: &'a str,
    months: &'a str,
    policy: &'static str,
    next: Option<String>,
    last: Option<Tick<'a>>,
    dead: u64,
    undelivered: u64,
}

/// A tick, as JSON has it.
#[derive(Serialize)]
struct Tick<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    tick: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticks: Option<u64>,
    state: &'static str,
    attempts: u32,
    started_at: Option<String>,
    ended_at: String,
    version: Option<u64>,
    restatements: Option<u64>,
    metrics: Option<String>,
    months: Option<&'a str>,
    why: Option<&'a str>,
}

fn job_of(standing: &Standing) -> Job<'_> {
    Job {
        job: &standing.job,
        state: standing.state,
        cron: standing.cron.as_deref(),
        zone: standing.zone.as_deref(),
        metrics: &standing.metrics,
        months: &standing.months,
        policy: standing.policy,
        next: standing.next.map(text::instant),
        last: standing.last.as_ref().map(run_of),
        dead: standing.dead,
        undelivered: standing.undelivered,
    }
}

fn run_of(settled: &Settled) -> Tick<'_> {
    Tick {
        job: None,
        tick: text::instant(settled.tick),
        ticks: None,
        state: settled.outcome.name(),
        attempts: settled.attempts,
        started_at: Some(text::instant(settled.started_at)),
        ended_at: text::instant(settled.ended_at),
        version: settled.version,
        restatements: Some(settled.restatements),
        metrics: Some(settled.metrics.join(", ")),
        months: Some(&settled.months),
        why: settled.why.as_deref(),
    }
}

fn tick_of(record: &TickRecord) -> Tick<'_> {
    Tick {
        job: Some(&record.job),
        tick: text::instant(record.tick),
        ticks: Some(record.ticks),
        state: record.state,
        attempts: record.attempts,
        started_at: record.started_at.map(text::instant),
        ended_at: text::instant(record.ended_at),
        version: record.version,
        restatements: record.restatements,
        metrics: record.metrics.clone(),
        months: record.months.as_deref(),
        why: record.why.as_deref(),
    }
}
