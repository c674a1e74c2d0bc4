//! One attempt at a tick: publishing under a claim that is renewed while it lasts.
//!
//! A claim is good for a minute. Who holds it renews it; who finds that it is over, by its own clock or because another
//! took it up, ends at once, and nothing that it says of the tick is taken down. What it had under way in the warehouse at
//! that moment is harmless: an entry of the ledger of what is published is added behind the one that the run began from,
//! or not at all, and the run that took over looks at the same world.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{sleep, timeout};

use super::entry::{Claim, Event, State};
use super::job::{Job, months_of};
use super::news::Findings;
use crate::domain::clock::Clock;
use crate::domain::names::counted;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::publish::{Report, Step, materialize};

/// How long a claim is good: a run whose process died is taken up by another after this time.
pub(super) const LEASE_MICROS: i64 = 60 * 1_000_000;

/// How often it is renewed: three renewals may fail before it is over.
const RENEWAL: Duration = Duration::from_secs(15);

/// How far a run is: metrics that are computed, and all of them.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    all: AtomicU64,
}

impl Progress {
    /// Returns the metrics that are computed, and all of them; both are 0 before the first.
    pub fn get(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }

    fn note(&self, step: Step<'_>) {
        let (done, all) = match step {
            Step::Computing(_, place, count) => (place as u64, count as u64),
            Step::Checking(..) | Step::Publishing => {
                let (_, all) = self.get();
                (all, all)
            }
            Step::BeginningAnew => (0, 0),
        };
        self.done.store(done, Ordering::Relaxed);
        self.all.store(all, Ordering::Relaxed);
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Attempt {
    /// By itself.
    Ended(Box<Ended>),
    /// The claim was over before it.
    Fenced,
    /// The process is to end.
    Stopped,
}

/// An attempt that ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    pub result: Result<Published>,
    /// What channels may be told.
    pub findings: Findings,
}

/// What an attempt did.
#[derive(Debug)]
pub(super) struct Published {
    pub report: Report,
    /// The months that it was about, in words.
    pub months: String,
}

/// What attempts have in common.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    pub engine: Engine,
    pub clock: Clock,
    pub progress: Arc<Progress>,
}

impl Runner {
    /// Makes an attempt at a claimed tick, until it ends or `stop` does. The claim stands in a state of the job.
    pub(super) async fn attempt(
        &self,
        job: &Job,
        (state, claim): (&State, &Claim),
        stop: impl Future<Output = ()>,
    ) -> Attempt {
        let lease = AtomicI64::new(claim.until);
        let mut work = Box::pin(self.work(job, state, claim.tick));
        // Looked at before every step of the work: a process that slept finds the claim over before it does anything.
        let work = poll_fn(|context| match self.clock.now_micros() >= lease.load(Ordering::Relaxed) {
            true => Poll::Ready(None),
            false => work.as_mut().poll(context).map(Some),
        });
        let ended = tokio::select! {
            biased;
            () = stop => return Attempt::Stopped,
            () = self.renew(job, claim.token, &lease) => return Attempt::Fenced,
            ended = work => ended,
        };
        ended.map_or(Attempt::Fenced, |ended| Attempt::Ended(Box::new(ended)))
    }

    /// Publishes, and looks at what channels may be told of it. The deadline ends the first alone: of what is published
    /// they are told.
    async fn work(&self, job: &Job, state: &State, tick: i64) -> Ended {
        let result = within(job.deadline(), self.publish(job, tick)).await;
        let report = result.as_ref().ok().map(|published| &published.report);
        let findings = Findings::of(&self.engine, job, state, report).await;
        Ended { result, findings }
    }

    async fn publish(&self, job: &Job, tick: i64) -> Result<Published> {
        let request = job.request(&self.engine, tick).await?;
        let months = months_of(request.as_ref());
        let report = match &request {
            Some(request) => materialize(&self.engine, request, &|step| self.progress.note(step)).await?,
            None => Report::default(),
        };
        Ok(Published { report, months })
    }

    /// Renews a claim until another has it.
    async fn renew(&self, job: &Job, token: u64, lease: &AtomicI64) {
        loop {
            sleep(RENEWAL).await;
            let now = self.clock.now_micros();
            let until = now + LEASE_MICROS;
            let renewed = job.journal.write(now, |state, _| {
                let claim = Claim { until, progress: self.progress.get(), ..state.claim_of(token)?.clone() };
                let mut state = state.clone();
                state.claim = Some(claim);
                Some((Event::Renewed, state))
            });
            match renewed.await {
                Ok(Some(_)) => lease.store(until, Ordering::Relaxed),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, causes = ?error.causes(), job = job.config.name, "the claim of a run cannot be renewed")
                }
            }
        }
    }
}

/// Returns what becomes of work; that it takes too long, or panics, is an error as any other.
pub(super) async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match AssertUnwindSafe(timeout(deadline, work)).catch_unwind().await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) => {
            let problem = format!("it took longer than {}", counted(deadline.as_secs(), "second"));
            let hint = "raise deadline of the job, or let it publish less";
            Err(Error::new(ErrorKind::Limit, problem).with_hint(hint))
        }
        Err(_) => Err(Error::new(ErrorKind::Internal, "publishing failed inside topline")),
    }
}
