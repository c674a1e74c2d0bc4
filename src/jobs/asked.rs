//! Running a job because somebody asks for it: cron, systemd, Airflow, or a person.

use std::future::ready;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::sleep;

use super::duty::{Next, pattern_of};
use super::entry::{Cause, Claim, Event, Settled, State, Waiting};
use super::job::Job;
use super::scheduler::{Look, Phase, Scheduler};
use crate::error::Result;

/// How often is looked whether a run of another process ended, or a pause is over.
const LOOK: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// What is owed; a job without a schedule is run.
    Owed,
    /// A run, whether a tick is owed or not.
    Now,
    /// The ticks that were given up.
    Again,
}

impl Scheduler {
    /// Runs what a job owes by now to its end, pauses before retries included; what another process is at is awaited.
    /// Returns the ticks that came to their end meanwhile; none where nothing was owed.
    ///
    /// A job that was never looked at owes the latest tick of its schedule. After [`Scheduler::stop`] the tick that is
    /// run is given back.
    ///
    /// # Errors
    /// `NotFound` where there is no such job, `Storage` where its journal cannot be read or written.
    pub async fn run_job(&self, name: &str, asked: Asked) -> Result<Vec<Settled>> {
        let (job, asked_at) = (self.job(name)?, self.clock.now_micros());
        let seen = self.phase.subscribe();
        let mut known = self.begin(job).await?;
        let mut settled: Vec<Settled> = Vec::new();
        let mut wanted = self.wanted(job, asked).await?;
        while *seen.borrow() == Phase::Open {
            let look = self.look(job).await?;
            settled.extend(self.settled_since(job, &mut known).await?);
            // Where a run takes longer than the time between two ticks, there is always another one that is due.
            let is_enough = settled.iter().any(|settled| settled.started_at >= asked_at);
            let is_later = |cause, tick| is_enough && cause == Cause::Schedule && tick > asked_at;
            match (look, self.under_way(job).await?, wanted.pop()) {
                (Look::Run(next), _, again) if !is_later(next.cause, next.tick) => {
                    wanted.extend(again);
                    self.run(job, &next, &seen).await?;
                }
                (Look::Wait(_), Some(other), Some(next)) if other == next => drop(self.run(job, &next, &seen).await?),
                (Look::Wait(_), Some(other), again) if again.is_some() || !is_later(other.cause, other.tick) => {
                    wanted.extend(again);
                    sleep(LOOK).await;
                }
                (_, _, Some(next)) => drop(self.run(job, &next, &seen).await?),
                (_, _, None) => break,
            }
            settled.extend(self.settled_since(job, &mut known).await?);
        }
        Ok(settled)
    }

    /// Takes down the schedule of a job that nobody ever looked at, so that its latest tick is owed; returns the number of
    /// the newest entry.
    async fn begin(&self, job: &Job) -> Result<u64> {
        let now = self.clock.now_micros();
        let begun = job.journal.write(now, |_, number| {
            if number > 0 {
                return None;
            }
            let schedule = job.config.schedule.as_ref();
            let latest = schedule.and_then(|schedule| schedule.up_to(now));
            let accounted = latest.map_or(now, |latest| latest - 1);
            let schedule = schedule.map(pattern_of);
            Some((Event::Scheduled, State { schedule, accounted, since: accounted, ..State::default() }))
        });
        begun.await?;
        Ok(job.journal.newest().await?.map_or(0, |newest| newest.number))
    }

    /// Returns the runs that are asked for and that no schedule owes.
    async fn wanted(&self, job: &Job, asked: Asked) -> Result<Vec<Next>> {
        let next = |tick, cause| Next { tick, cause, attempt: 1 };
        Ok(match asked {
            Asked::Owed if job.config.schedule.is_some() => Vec::new(),
            Asked::Owed => vec![next(self.clock.now_micros(), Cause::Request)],
            // What waits to be tried again is tried now: whoever asks has mended it.
            Asked::Now => {
                let newest = job.journal.newest().await?;
                let waiting = newest.and_then(|newest| newest.state.waiting.as_ref().map(Waiting::next));
                vec![waiting.unwrap_or_else(|| next(self.clock.now_micros(), Cause::Request))]
            }
            Asked::Again => {
                let dead = job.journal.newest().await?.map(|newest| newest.state.dead.clone()).unwrap_or_default();
                // The oldest is taken first, from the end.
                dead.into_iter().rev().map(|tick| next(tick, Cause::Again)).collect()
            }
        })
    }

    /// Returns the tick that is run, or waits to be tried again, with the number of the attempt.
    async fn under_way(&self, job: &Job) -> Result<Option<Next>> {
        let Some(newest) = job.journal.newest().await? else { return Ok(None) };
        let claimed = |claim: &Claim| Next { tick: claim.tick, cause: claim.cause, attempt: claim.attempt };
        Ok(newest.state.claim.as_ref().map(claimed).or_else(|| newest.state.waiting.as_ref().map(Waiting::next)))
    }

    /// Returns the ticks that came to their end since an entry, whoever ran them.
    async fn settled_since(&self, job: &Job, known: &mut u64) -> Result<Vec<Settled>> {
        let Some(newest) = job.journal.newest().await? else { return Ok(Vec::new()) };
        let before = std::mem::replace(known, newest.number);
        if before == newest.number {
            return Ok(Vec::new());
        }
        let entries = job.journal.of_ticks().await?.try_take_while(|entry| ready(Ok(entry.number > before)));
        let settled = entries.try_filter_map(|entry| match entry.event {
            Event::Settled(settled) if entry.number <= newest.number => ready(Ok(Some(settled))),
            _ => ready(Ok(None)),
        });
        let mut settled: Vec<Settled> = settled.try_collect().await?;
        settled.reverse();
        Ok(settled)
    }
}
