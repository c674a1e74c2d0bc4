//! What is to be done about a job at an instant, by its state and its schedule alone.

use super::entry::{Cause, Pattern, Skipped, State, Waiting};
use crate::config::Missed;
use crate::domain::schedule::Schedule;

/// By how much the clocks of two machines may differ: those that are set over the network differ by less than a second,
/// and tickets of a domain are refused beyond this.
pub(super) const SKEW_MICROS: i64 = 5 * 60 * 1_000_000;

/// How late a tick may be run that is not to be run late: long enough for a restart.
const ON_TIME_MICROS: i64 = 5 * 60 * 1_000_000;

/// Ticks that are looked at together: a week of minutes.
const OWED_MAX: usize = 10_080;

/// Ticks that are run one by one after a time in which nobody was there: an hourly job's month and more.
const RUN_MAX: usize = 1_000;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Duty {
    /// The job's schedule is to be taken down: ticks are owed after an instant.
    Schedule(Option<Pattern>, i64),
    /// The clock was ahead: ticks after now are owed when they come.
    SetBack,
    /// Ticks are to be skipped.
    Skip(Skipped),
    /// A tick is to be run.
    Run(Next),
    /// A tick was begun so often and never came to an end that it is to be given up.
    GiveUp(Next),
    /// Nothing, before this instant; `None` is never.
    Wait(Option<i64>),
}

/// A tick that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub tick: i64,
    pub cause: Cause,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

impl Waiting {
    /// Returns the attempt that is to be made.
    pub(super) fn next(&self) -> Next {
        Next { tick: self.tick, cause: self.cause, attempt: self.attempts + 1 }
    }
}

/// What a job asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub schedule: Option<&'a Schedule>,
    pub missed: Missed,
    pub retries: u32,
}

/// Returns what is to be done; without a state, nobody ever looked at the job.
pub(super) fn duty(state: Option<&State>, terms: Terms<'_>, now: i64) -> Duty {
    let pattern = terms.schedule.map(pattern_of);
    let Some(state) = state else { return Duty::Schedule(pattern, now) };
    if let Some(duty) = unfinished(state, terms, now) {
        return duty;
    }
    // What is owed under the schedule that was, is settled under it.
    let Some(schedule) = state.schedule.as_ref().and_then(schedule_of) else {
        return if pattern.is_some() { Duty::Schedule(pattern, now) } else { Duty::Wait(None) };
    };
    if state.accounted > now + SKEW_MICROS {
        return Duty::SetBack;
    }
    let owed: Vec<i64> =
        schedule.between(state.accounted, now).take(OWED_MAX).filter(|tick| !state.ahead.contains(tick)).collect();
    match owed.last() {
        // All of them were run ahead of their time, or there is none.
        None if pattern != state.schedule => Duty::Schedule(pattern, now),
        None => Duty::Wait(schedule.after(now.max(state.accounted))),
        Some(last) => {
            let is_last = schedule.after(*last).is_none_or(|next| next > now);
            of_owed(&owed, is_last, terms.missed, now)
        }
    }
}

/// Returns what is to be done about a run that was begun, or failed.
fn unfinished(state: &State, terms: Terms<'_>, now: i64) -> Option<Duty> {
    if let Some(claim) = &state.claim {
        // One that is good for longer than any is given was written by a clock that is ahead.
        if now < claim.until && claim.until <= now + SKEW_MICROS {
            return Some(Duty::Wait(Some(claim.until)));
        }
        let next = Next { tick: claim.tick, cause: claim.cause, attempt: claim.attempt + 1 };
        return Some(if next.attempt > terms.retries + 1 { Duty::GiveUp(next) } else { Duty::Run(next) });
    }
    let waiting = state.waiting.as_ref()?;
    if now < waiting.not_before && waiting.not_before <= now + super::retry::PAUSE_MAX_MICROS {
        return Some(Duty::Wait(Some(waiting.not_before)));
    }
    Some(Duty::Run(waiting.next()))
}

fn of_owed(owed: &[i64], is_last: bool, missed: Missed, now: i64) -> Duty {
    let older = &owed[..owed.len() - usize::from(is_last)];
    let skip = |ticks: &[i64], why: &str| match ticks {
        [] => None,
        [first, ..] => {
            let last = ticks.last().copied().unwrap_or(*first);
            Some(Duty::Skip(Skipped { first: *first, last, count: ticks.len() as u64, why: why.to_owned() }))
        }
    };
    let skipped = match missed {
        Missed::Latest => skip(older, "policy latest: a later tick stands for them"),
        Missed::Skip => {
            let late = owed.iter().take_while(|tick| now - **tick > ON_TIME_MICROS).count();
            skip(&owed[..late], "policy skip: nobody ran them in time")
        }
        Missed::All => {
            let many = owed.len().saturating_sub(RUN_MAX);
            skip(&owed[..many], "more ticks were owed than are run one by one")
        }
    };
    skipped.unwrap_or(Duty::Run(Next { tick: owed[0], cause: Cause::Schedule, attempt: 1 }))
}

/// Returns a schedule as a journal has it.
pub(super) fn pattern_of(schedule: &Schedule) -> Pattern {
    Pattern { cron: schedule.pattern(), zone: schedule.zone().to_string() }
}

fn schedule_of(pattern: &Pattern) -> Option<Schedule> {
    Schedule::parse(&pattern.cron, pattern.zone.parse().ok()?).ok()
}

#[cfg(test)]
mod tests;
