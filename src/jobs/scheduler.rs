//! The scheduler: what is due, one run after the other.

use std::collections::BTreeSet;
use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::sleep;

use super::duty::{Duty, Next, duty};
use super::entry::{Cause, Claim, Event, Failed, Outcome, Settled, State, Waiting};
use super::job::Job;
use super::news::Findings;
use super::post::Post;
use super::retry::pause_micros;
use super::run::{Attempt, Ended, LEASE_MICROS, Progress, Runner};
use super::settling::{failed_state, settle, settled_of};
use crate::domain::clock::Clock;
use crate::domain::names::{counted, nearest};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::WriteId;

/// The longest time between two looks: a clock that was set is noticed, and a run whose process died is taken up.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// How long giving a tick back may take once its run was ended: one write, to a warehouse that may be slow.
pub const RELEASE_MAX: Duration = Duration::from_secs(5);

/// Ticks that are looked through for those that a clock ran ahead of their time: a minutely job's days.
const AHEAD_TICKS_MAX: usize = 4_000;

/// What a process is still to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Whatever is due.
    Open,
    /// To end the run that goes on.
    Closing,
    /// Nothing.
    Closed,
}

/// Runs the jobs of a configuration, together with all other processes that do so on the same warehouse.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) jobs: Vec<Job>,
    pub(super) runner: Runner,
    pub(super) clock: Clock,
    pub(super) by: String,
    pub(super) post: Post,
    /// Held while letters go out here: each is delivered by one.
    pub(super) posting: Mutex<()>,
    /// Told when a tick came to its end here.
    has_letters: Notify,
    /// What is still to be done here.
    pub(super) phase: watch::Sender<Phase>,
}

/// What there is to be done about a job that is more than to take something down.
pub(super) enum Look {
    Run(Next),
    Wait(Option<i64>),
}

impl Scheduler {
    /// Returns a scheduler of the configured jobs; reads and writes nothing yet.
    ///
    /// # Errors
    /// `Config` with every metric and tag of a job that is not known.
    pub fn open(engine: Engine) -> Result<Self> {
        let by = WriteId::random().to_string();
        let (jobs, clock) = (Job::all(&engine, &by)?, engine.clock());
        let runner = Runner { engine, clock, progress: Arc::default() };
        let (post, posting, has_letters) = (Post::open()?, Mutex::default(), Notify::new());
        let phase = watch::Sender::new(Phase::Open);
        Ok(Self { jobs, runner, clock, by, post, posting, has_letters, phase })
    }

    /// Returns how far the run is that goes on here.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.runner.progress
    }

    /// Returns microseconds since 1970-01-01 UTC, as the jobs see it.
    pub fn now_micros(&self) -> i64 {
        self.clock.now_micros()
    }

    /// Ends the run that goes on here and gives its tick back, and begins no other one.
    pub fn stop(&self) {
        self.phase.send_replace(Phase::Closed);
    }

    /// Returns the job of a name.
    ///
    /// # Errors
    /// `NotFound`, with the nearest name.
    pub(super) fn job(&self, name: &str) -> Result<&Job> {
        self.jobs.iter().find(|job| job.config.name == name).ok_or_else(|| {
            let near = nearest(name, self.jobs.iter().map(|job| job.config.name.as_str()));
            let hint = near.map_or_else(
                || "topline jobs list shows those that are configured".to_owned(),
                |near| format!("did you mean \"{near}\"?"),
            );
            Error::new(ErrorKind::NotFound, format!("job \"{name}\" does not exist")).with_hint(hint)
        })
    }

    /// Runs what is due whenever it is, until `shutdown` ends. The run that goes on then may come to its end within
    /// `[flight] grace_seconds`; after that it is ended, and taken up by another process or the next start.
    pub async fn serve(&self, shutdown: impl Future<Output = ()> + Send) {
        if self.jobs.is_empty() {
            return;
        }
        let mut seen = self.phase.subscribe();
        let closing = async {
            shutdown.await;
            self.phase.send_replace(Phase::Closing);
            sleep(self.runner.engine.config().grace).await;
            self.stop();
            sleep(RELEASE_MAX).await;
        };
        let working = async {
            while *seen.borrow() == Phase::Open {
                let next = self.round(&seen).await;
                tokio::select! {
                    () = sleep(self.until(next)) => {}
                    _ = seen.wait_for(|phase| *phase != Phase::Open) => {}
                }
            }
            // What became of the last run is told before the end.
            self.deliver().await;
        };
        let delivering = async {
            loop {
                let next = self.deliver().await;
                tokio::select! {
                    () = sleep(self.until(next)) => {}
                    () = self.has_letters.notified() => {}
                }
            }
        };
        tokio::select! {
            () = working => {}
            () = delivering => {}
            () = closing => {}
        }
    }

    /// Returns how long to wait for an instant.
    fn until(&self, next: Option<i64>) -> Duration {
        next.map_or(LOOK_MAX, |next| {
            Duration::from_micros(u64::try_from(next - self.clock.now_micros()).unwrap_or(0)).min(LOOK_MAX)
        })
    }

    /// Does all that is due now, the oldest tick first; returns when something may be due again. `None` is never.
    pub async fn run_due(&self) -> Option<i64> {
        self.round(&self.phase.subscribe()).await
    }

    /// One run after the other: two that publish at the same time would overtake each other, and begin anew.
    async fn round(&self, seen: &watch::Receiver<Phase>) -> Option<i64> {
        let mut failed: BTreeSet<&str> = BTreeSet::new();
        loop {
            let (mut until, mut first): (Option<i64>, Option<(&Job, Next)>) = (None, None);
            for job in self.jobs.iter().filter(|job| !failed.contains(job.config.name.as_str())) {
                match self.look(job).await {
                    Ok(Look::Wait(next)) => until = until.into_iter().chain(next).min(),
                    Ok(Look::Run(next)) if first.as_ref().is_none_or(|(_, first)| next.tick < first.tick) => {
                        first = Some((job, next));
                    }
                    Ok(Look::Run(_)) => {}
                    Err(error) => {
                        tracing::warn!(%error, causes = ?error.causes(), job = job.config.name, "a job cannot be looked at");
                    }
                }
            }
            let Some((job, next)) = first.filter(|_| *seen.borrow() == Phase::Open) else { return until };
            if let Err(error) = self.run(job, &next, seen).await {
                tracing::warn!(%error, causes = ?error.causes(), job = job.config.name, "a run cannot be taken down");
                // Looked at again in the next round, so that one job's journal does not keep the others waiting.
                failed.insert(&job.config.name);
            }
        }
    }

    /// Takes down what is to be taken down about a job; returns what there is to be done besides.
    pub(super) async fn look(&self, job: &Job) -> Result<Look> {
        loop {
            let newest = job.journal.newest().await?;
            let now = self.clock.now_micros();
            let ahead = match duty(newest.as_ref().map(|newest| &newest.state), job.terms(), now) {
                Duty::Run(next) => return Ok(Look::Run(next)),
                Duty::Wait(until) => return Ok(Look::Wait(until)),
                Duty::SetBack => self.ran_ahead(job, now).await?,
                _ => BTreeSet::new(),
            };
            job.journal.write(now, |state, number| self.taken_down(job, state, number, now, &ahead)).await?;
        }
    }

    /// Returns the entry that takes down what the schedule says; `None` where there is nothing of the kind to be done.
    fn taken_down(
        &self,
        job: &Job,
        state: &State,
        number: u64,
        now: i64,
        ahead: &BTreeSet<i64>,
    ) -> Option<(Event, State)> {
        let duty = duty((number > 0).then_some(state), job.terms(), now);
        let mut state = state.clone();
        let event = match duty {
            Duty::Schedule(pattern, accounted) => {
                state = State { schedule: pattern, accounted, since: accounted, ahead: BTreeSet::new(), ..state };
                Event::Scheduled
            }
            Duty::SetBack => {
                state = State { accounted: now, ahead: ahead.clone(), ..state };
                Event::SetBack
            }
            Duty::Skip(skipped) => {
                state.account(skipped.last);
                Event::Skipped(skipped)
            }
            Duty::GiveUp(next) => {
                let why = format!(
                    "it was begun {}, and its process ended each time",
                    counted((next.attempt - 1).into(), "time")
                );
                let started_at = state.claim.as_ref().map_or(now, |claim| claim.started_at);
                let settled = Settled {
                    tick: next.tick,
                    cause: next.cause,
                    outcome: Outcome::Dead,
                    started_at,
                    ended_at: now,
                    attempts: next.attempt - 1,
                    version: None,
                    restatements: 0,
                    metrics: job.views.clone(),
                    months: job.config.months.to_string(),
                    why: Some(why),
                };
                state = settle(job, &state, &settled, &Findings::default(), (number, &self.by, now));
                Event::Settled(settled)
            }
            Duty::Run(_) | Duty::Wait(_) => return None,
        };
        Some((event, state))
    }

    /// Returns the ticks after now that were run by a clock that was ahead.
    async fn ran_ahead(&self, job: &Job, now: i64) -> Result<BTreeSet<i64>> {
        let newest = job.journal.newest().await?;
        let mut ahead = newest.map(|newest| newest.state.ahead.clone()).unwrap_or_default();
        let entries = job.journal.of_ticks().await?.take(AHEAD_TICKS_MAX);
        let mut entries = pin!(entries.try_take_while(|entry| ready(Ok(entry.state.accounted > now))));
        while let Some(entry) = entries.try_next().await? {
            if let Event::Settled(settled) = entry.event
                && settled.cause == Cause::Schedule
            {
                ahead.insert(settled.tick);
            }
        }
        Ok(ahead.into_iter().filter(|tick| *tick > now).collect())
    }

    /// Claims a tick and makes one attempt at it; returns how it was settled, `None` where another is at it or it is to be
    /// tried again.
    ///
    /// # Errors
    /// `Storage` where the journal cannot be read or written.
    pub(super) async fn run(&self, job: &Job, next: &Next, seen: &watch::Receiver<Phase>) -> Result<Option<Settled>> {
        let now = self.clock.now_micros();
        let entries = self.entries_before(job).await?;
        let claimed = job.journal.write(now, |state, number| {
            // Nothing says that it is due but that somebody asks for it, now and not after the pause.
            let is_asked_for = match &state.waiting {
                None => next.cause != Cause::Schedule && next.attempt == 1,
                Some(waiting) => waiting.next() == *next,
            };
            match duty((number > 0).then_some(state), job.terms(), now) {
                Duty::Run(other) if other == *next => {}
                _ if is_asked_for && state.claim.is_none() => {}
                _ => return None,
            }
            let Next { tick, cause, attempt } = *next;
            let by = self.by.clone();
            let (token, started_at, until, progress) = (number, now, now + LEASE_MICROS, (0, 0));
            let claim = Claim { tick, cause, attempt, by, token, started_at, until, progress };
            let told = state.told.or(entries);
            Some((Event::Claimed, State { claim: Some(claim), waiting: None, told, ..state.clone() }))
        });
        let Some(claimed) = claimed.await? else { return Ok(None) };
        let Some(claim) = &claimed.state.claim else { return Ok(None) };
        let mut seen = seen.clone();
        let stop = async { drop(seen.wait_for(|phase| *phase == Phase::Closed).await) };
        match self.runner.attempt(job, (&claimed.state, claim), stop).await {
            Attempt::Ended(ended) => self.ended(job, claim, &ended).await,
            Attempt::Stopped => self.released(job, claim).await.map(|()| None),
            Attempt::Fenced => {
                tracing::warn!(job = job.config.name, tick = claim.tick, "a run was given up: its claim was over");
                Ok(None)
            }
        }
    }

    /// Returns how many entries the ledger had before the first run of a job; `None` where that stands in its journal.
    async fn entries_before(&self, job: &Job) -> Result<Option<u64>> {
        if job.journal.newest().await?.is_some_and(|newest| newest.state.told.is_some()) {
            return Ok(None);
        }
        let newest = self.runner.engine.newest_entry().await?;
        Ok(Some(newest.map_or(0, |newest| newest.number + 1)))
    }

    /// Takes down how an attempt ended, unless another took the tick over meanwhile.
    async fn ended(&self, job: &Job, claim: &Claim, ended: &Ended) -> Result<Option<Settled>> {
        let now = self.clock.now_micros();
        if let Err(error) = &ended.result
            && error.kind().is_transient()
            && claim.attempt <= job.config.retries
        {
            let again_at = now + pause_micros(claim.attempt);
            let (job_name, seconds) = (&job.config.name, (again_at - now) / 1_000_000);
            tracing::warn!(%error, causes = ?error.causes(), job = job_name, seconds, "a run failed, and is tried again");
            let failed = Failed { tick: claim.tick, attempt: claim.attempt, error: error.to_string(), again_at };
            job.journal.write(now, |state, _| failed_state(state, claim, failed.clone())).await?;
            return Ok(None);
        }
        if let Err(error) = &ended.result {
            let attempts = claim.attempt;
            tracing::warn!(%error, causes = ?error.causes(), job = job.config.name, attempts, "a tick is given up");
        }
        let settled = settled_of(job, claim, ended, now);
        let written = job.journal.write(now, |state, number| {
            state.claim_of(claim.token)?;
            let state = settle(job, state, &settled, &ended.findings, (number, &self.by, now));
            Some((Event::Settled(settled.clone()), state))
        });
        let written = written.await?;
        self.has_letters.notify_one();
        Ok(written.map(|_| settled))
    }

    /// Gives a tick back whose run was ended with its process: that was no failure of its.
    async fn released(&self, job: &Job, claim: &Claim) -> Result<()> {
        let now = self.clock.now_micros();
        let Claim { tick, cause, attempt, token, .. } = *claim;
        let waiting = Waiting { tick, cause, attempts: attempt - 1, not_before: now };
        let written = job.journal.write(now, |state, _| {
            state.claim_of(token)?;
            let waiting = Some(waiting.clone());
            Some((Event::Released, State { claim: None, waiting, ..state.clone() }))
        });
        written.await.map(|_| ())
    }
}
