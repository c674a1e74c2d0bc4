//! Taking down how an attempt ended.

use super::entry::{Cause, Claim, Done, Event, Failed, Outcome, Settled, State, Waiting};
use super::job::Job;
use super::news::{Findings, letters};
use super::post::OUTBOX_MAX;
use super::run::Ended;

/// Ticks that were given up and are kept to be run again: the newest, more than anyone looks through.
const DEAD_MAX: usize = 100;

/// Returns the entry of an attempt after which another is made; `None` where somebody else has the tick.
pub(super) fn failed_state(state: &State, claim: &Claim, failed: Failed) -> Option<(Event, State)> {
    let Claim { tick, cause, attempt, .. } = *state.claim_of(claim.token)?;
    let waiting = Waiting { tick, cause, attempts: attempt, not_before: failed.again_at };
    Some((Event::Failed(failed), State { claim: None, waiting: Some(waiting), ..state.clone() }))
}

/// Returns what is taken down of a tick that came to its end.
pub(super) fn settled_of(job: &Job, claim: &Claim, ended: &Ended, now: i64) -> Settled {
    let Claim { tick, cause, attempt: attempts, started_at, .. } = *claim;
    let (mut metrics, mut months) = (job.views.clone(), job.config.months.to_string());
    // An attempt whose process died, or whose time was over, may have published all the same.
    let (mut version, mut restatements) = ended.findings.published_for(tick);
    let (outcome, why) = match &ended.result {
        Err(error) => (Outcome::Dead, Some(error.to_string())),
        Ok(published) => {
            let report = &published.report;
            let broken: Vec<String> =
                report.broken.iter().map(|law| format!("{} of {} is broken", law.law, law.metric)).collect();
            months.clone_from(&published.months);
            metrics = report.metrics.keys().cloned().collect();
            if report.version.is_some() {
                (version, restatements) = (report.version, report.restatements);
            }
            match broken.is_empty() {
                true => (Outcome::Done, None),
                false => (Outcome::Held, Some(broken.join("; "))),
            }
        }
    };
    let ended_at = now;
    Settled { tick, cause, outcome, started_at, ended_at, attempts, version, restatements, metrics, months, why }
}

/// Returns the state after a tick came to its end, with the letters about it. The entry that says so has a number, a writer
/// and an instant.
pub(super) fn settle(
    job: &Job,
    before: &State,
    settled: &Settled,
    findings: &Findings,
    entry: (u64, &str, i64),
) -> State {
    let mut state = State { claim: None, waiting: None, ..before.clone() };
    if settled.cause == Cause::Schedule {
        state.account(settled.tick);
    }
    state.dead.retain(|tick| *tick != settled.tick);
    if settled.outcome == Outcome::Dead {
        state.dead.push(settled.tick);
        let many = state.dead.len().saturating_sub(DEAD_MAX);
        state.dead.drain(..many);
    }
    state.outbox.extend(letters(job, before, settled, findings, entry));
    let many = state.outbox.len().saturating_sub(OUTBOX_MAX);
    if many > 0 {
        tracing::warn!(job = job.config.name, many, "letters are given up: more wait than are kept");
        state.outbox.drain(..many);
    }
    findings.note(&mut state);
    if settled.outcome == Outcome::Done {
        // A tick that is run again looks at the world as it is by then: it is as good as one of that instant.
        let tick = if settled.cause == Cause::Again { settled.tick.max(settled.started_at) } else { settled.tick };
        state.done = Some(Done { tick, started_at: settled.started_at });
    }
    state.last = Some(settled.clone());
    state
}
