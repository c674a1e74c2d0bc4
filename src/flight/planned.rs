//! Plans of queries that were announced, until they are fetched: a client asks for a query's columns and right afterwards
//! for its rows, which would be planned anew for nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::running::QueryId;
use crate::engine::Statement;

/// How long a plan stands for its query. It has the files of its instant; who fetches later gets those of a later one.
const FRESH: Duration = Duration::from_secs(2);

/// The most plans that are kept: a client of each of some hundred connections between its two calls.
const KEPT_MAX: usize = 256;

/// The plans, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Planned {
    kept: Mutex<VecDeque<(Instant, QueryId, Statement)>>,
}

impl Planned {
    /// Keeps the plan of a query for a moment.
    pub(super) fn keep(&self, id: QueryId, statement: Statement) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of_use = |kept: &VecDeque<(Instant, _, _)>| {
            kept.len() < KEPT_MAX && kept.front().is_none_or(|(at, ..)| at.elapsed() < FRESH)
        };
        while !is_of_use(&kept) {
            kept.pop_front();
        }
        kept.push_back((Instant::now(), id, statement));
    }

    /// Returns the plan of a query, once; `None` where there is none any more.
    pub(super) fn take(&self, id: QueryId) -> Option<Statement> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(at, known, _)| *known == id && at.elapsed() < FRESH)?;
        kept.remove(place).map(|(.., statement)| statement)
    }
}
