//! What the queries and calls of a server came to since its start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Facts;
use crate::config::limit_named;
use crate::error::{Error, ErrorKind};

/// The bounds of a histogram of durations, in seconds: from a look-up to the usual limit of a query.
pub const DURATION_BOUNDS: [f64; 10] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0];

/// What all came to.
#[derive(Debug, Default)]
pub struct Totals {
    /// Queries that ended by state, in the order of [`State::ALL`](super::State::ALL).
    pub ended: [AtomicU64; 6],
    /// How long those took.
    pub durations: Durations,
    /// How long queries waited for a place, those that did not included.
    pub waits: Durations,
    /// Rows that were sent.
    pub rows: AtomicU64,
    /// Bytes that were sent.
    pub bytes_sent: AtomicU64,
    /// Bytes that were read of files.
    pub bytes_read: AtomicU64,
    /// Bytes that were put on disk because they did not fit memory.
    pub bytes_spilled: AtomicU64,
    /// Logins that were let in.
    pub logins: AtomicU64,
    /// Calls that were not let in.
    pub logins_refused: AtomicU64,
    refusals: Mutex<BTreeMap<Refusal, u64>>,
}

/// Why a call was refused, or its stream was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// `busy`, `limit` or `access`.
    pub kind: &'static str,
    /// The key of `[limits]`, `other` for a limit that is none of its keys; empty for what is no limit.
    pub limit: &'static str,
}

impl Refusal {
    /// Returns what an error refuses; `None` where it refuses nothing.
    fn of(error: &Error) -> Option<Self> {
        let texts = [error.message(), error.hint().unwrap_or_default()];
        let limit = || texts.into_iter().find_map(limit_named).unwrap_or("other");
        match error.kind() {
            ErrorKind::Busy => Some(Self { kind: "busy", limit: limit() }),
            ErrorKind::Limit => Some(Self { kind: "limit", limit: limit() }),
            ErrorKind::Refused => Some(Self { kind: "access", limit: "" }),
            _ => None,
        }
    }
}

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Durations {
    /// Those up to each of [`DURATION_BOUNDS`] and above the one before; the last has all others.
    pub counts: [AtomicU64; 11],
    /// Microseconds of all.
    pub micros: AtomicU64,
}

impl Durations {
    fn add(&self, took: Duration) {
        let bound = DURATION_BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound);
        add(&self.counts[bound.unwrap_or(DURATION_BOUNDS.len())], 1);
        add(&self.micros, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Totals {
    pub(super) fn ended(&self, took: Duration, facts: &Facts) {
        add(&self.ended[facts.state as usize], 1);
        self.durations.add(took);
        self.waits.add(facts.queued);
        add(&self.rows, facts.rows);
        add(&self.bytes_sent, facts.bytes_sent);
        add(&self.bytes_read, facts.bytes_read);
        add(&self.bytes_spilled, facts.bytes_spilled);
    }

    /// Counts a login.
    pub fn logged_in(&self) {
        add(&self.logins, 1);
    }

    /// Counts a call that was not let in.
    pub fn not_let_in(&self) {
        add(&self.logins_refused, 1);
    }

    /// Counts what a client was refused by an error, where it is a refusal; returns whether it is.
    pub fn refused(&self, error: &Error) -> bool {
        let Some(refusal) = Refusal::of(error) else { return false };
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(refusal).or_default() += 1;
        true
    }

    /// Returns how many calls were refused, and by what.
    pub fn refusals(&self) -> BTreeMap<Refusal, u64> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn add(total: &AtomicU64, count: u64) {
    total.fetch_add(count, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_limit_and_a_fault_is_none() {
        let of = |kind, message: &str, hint: &str| Refusal::of(&Error::new(kind, message).with_hint(hint));
        let refusal = |kind, limit| Some(Refusal { kind, limit });
        let long = "narrow it down, or raise [limits] query_seconds";
        assert_eq!(of(ErrorKind::Limit, "the query ran long", long), refusal("limit", "query_seconds"));
        let full = "the server is busy: 1 queries wait already, the limit of [limits] queue";
        assert_eq!(of(ErrorKind::Busy, full, "try again"), refusal("busy", "queue"));
        assert_eq!(of(ErrorKind::Limit, "too many rows", "raise [limits] rows"), refusal("limit", "rows"));
        assert_eq!(of(ErrorKind::Limit, "the statement is too long", ""), refusal("limit", "other"));
        assert_eq!(of(ErrorKind::Limit, "column \"[limits] nothing\"", ""), refusal("limit", "other"));
        assert_eq!(of(ErrorKind::Refused, "copy is not allowed", ""), refusal("access", ""));
        assert_eq!(of(ErrorKind::Query, "no such thing", ""), None);
    }
}
