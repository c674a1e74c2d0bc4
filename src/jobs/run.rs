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

use super::entry::{Claim, Event};
use super::job::{Job, months_of};
use super::news::Findings;
use crate::domain::clock::Clock;
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
    Ended(Box<Result<Published>>),
    /// The claim was over before it.
    Fenced,
    /// The process is to end.
    Stopped,
}

/// What an attempt did.
#[derive(Debug)]
pub(super) struct Published {
    pub report: Report,
    /// The months that it was about, in words.
    pub months: String,
    /// What channels may be told of it.
    pub findings: Findings,
}

/// What attempts have in common.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    pub engine: Engine,
    pub clock: Clock,
    pub progress: Arc<Progress>,
}

impl Runner {
    /// Makes an attempt at a claimed tick, until it ends or `stop` does.
    pub(super) async fn attempt(&self, job: &Job, claim: &Claim, stop: impl Future<Output = ()>) -> Attempt {
        let lease = AtomicI64::new(claim.until);
        let work = AssertUnwindSafe(timeout(job.deadline(), self.publish(job))).catch_unwind();
        let mut work = Box::pin(work);
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
        match ended {
            None => Attempt::Fenced,
            Some(Ok(Ok(ended))) => Attempt::Ended(Box::new(ended)),
            Some(Ok(Err(_))) => {
                let problem = format!("it took longer than {} seconds", job.deadline().as_secs());
                let hint = "raise deadline of the job, or let it publish less";
                Attempt::Ended(Box::new(Err(Error::new(ErrorKind::Limit, problem).with_hint(hint))))
            }
            Some(Err(_)) => {
                Attempt::Ended(Box::new(Err(Error::new(ErrorKind::Internal, "publishing failed inside topline"))))
            }
        }
    }

    async fn publish(&self, job: &Job) -> Result<Published> {
        let request = job.request(&self.engine).await?;
        let months = months_of(request.as_ref());
        let report = match &request {
            Some(request) => materialize(&self.engine, request, &|step| self.progress.note(step)).await?,
            None => Report::default(),
        };
        let findings = Findings::of(&self.engine, job, &report).await;
        Ok(Published { report, months, findings })
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
                Err(error) => tracing::warn!(%error, job = job.config.name, "the claim of a run cannot be renewed"),
            }
        }
    }
}
