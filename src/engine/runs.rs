//! The queries of a server: those that run, and what became of those before.
//!
//! A [`Run`] goes with a query from its call to its last row: it has its place among the others, its memory, and what is
//! written down of it. `list` makes rows of `meta.queries` of it.

pub(super) mod list;
mod run;
mod totals;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use tokio::sync::watch;

use super::admission::Admission;
use super::faults;
use super::memory::MemoryOfOne;
use super::stop::Stop;
use crate::config::Limits;
use crate::domain::clock::Clock;
use crate::error::Result;
use crate::traces::Span;
pub use run::{Planning, Run};
pub use totals::{DURATION_BOUNDS, Durations, Refusal, Totals};

/// Queries that are remembered after their end: a busy hour of a team, some megabytes.
const REMEMBERED_MAX: usize = 1_000;

/// Bytes of a text that are remembered: enough to know a query by.
const SQL_BYTES_MAX: usize = 4_000;

/// Bytes of a text in the log: enough to find the query among others.
const SQL_BYTES_IN_LOG_MAX: usize = 200;

/// Who asks for a query, and how.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The number by which the query is known.
    pub id: u64,
    /// How the client names itself.
    pub client: String,
    /// The text.
    pub sql: String,
    /// The call, as a trace shows it.
    pub span: Span,
}

/// How a query stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is planned, or waits for its place.
    Queued,
    /// It computes, or its rows are read.
    Running,
    /// All its rows were sent.
    Done,
    /// It ended with an error.
    Failed,
    /// It was refused by a limit.
    Limited,
    /// It was killed, or its client went.
    Cancelled,
}

impl State {
    /// Every state in its order.
    pub const ALL: [Self; 6] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Limited, Self::Cancelled];

    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is known of a query.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) user: Arc<str>,
    pub(super) client: String,
    pub(super) sql: String,
    pub(super) began_micros: i64,
    began: Instant,
    facts: Mutex<Facts>,
    memory: Arc<MemoryOfOne>,
    killed_by: watch::Sender<Option<Arc<str>>>,
    stop: Stop,
}

/// What changes while it runs.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) state: State,
    pub(super) queued: Duration,
    pub(super) planned: Duration,
    /// From its beginning to its end; `None` until then.
    pub(super) took: Option<Duration>,
    pub(super) rows: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_read: u64,
    pub(super) bytes_spilled: u64,
    pub(super) error: Option<String>,
    pub(super) error_id: Option<String>,
}

impl Record {
    /// Ends the query, which may be computing without a look at anything but its stop.
    pub(super) fn kill(&self, by: &Arc<str>) {
        self.killed_by.send_replace(Some(Arc::clone(by)));
        self.stop.set();
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn peak_bytes(&self) -> usize {
        self.memory.peak()
    }

    /// Returns how long it took, or takes by now.
    pub(super) fn elapsed(&self) -> Duration {
        self.facts().took.unwrap_or_else(|| self.began.elapsed())
    }
}

/// The queries of a server.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) admission: Arc<Admission>,
    clock: Clock,
    limits: Limits,
    records: Mutex<Records>,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Records {
    running: Vec<Arc<Record>>,
    ended: VecDeque<Arc<Record>>,
}

impl Runs {
    pub(super) fn new(limits: Limits, clock: Clock, has_users: bool) -> Self {
        let admission = Arc::new(Admission::new(&limits, has_users));
        Self { admission, clock, limits, records: Mutex::default(), totals: Totals::default() }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what those that ended came to.
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Returns the queries of a user, or of all: those that run, then the others, the newest first.
    pub(super) fn of(&self, user: Option<&str>) -> Vec<Arc<Record>> {
        let records = self.records();
        let all = records.running.iter().chain(records.ended.iter().rev());
        all.filter(|record| user.is_none_or(|user| *record.user == *user)).cloned().collect()
    }

    /// Returns the queries of an id that run and that a user may end.
    pub(super) fn running(&self, id: u64, owner: Option<&str>) -> Vec<Arc<Record>> {
        let records = self.records();
        let meant = records.running.iter().filter(|record| record.id == id);
        meant.filter(|record| owner.is_none_or(|owner| *record.user == *owner)).cloned().collect()
    }

    /// Begins a query.
    pub(super) fn begin(
        self: &Arc<Self>,
        origin: Origin,
        user: &Arc<str>,
        runtime: &Arc<RuntimeEnv>,
        stop: Stop,
    ) -> Result<Run> {
        let memory = Arc::new(MemoryOfOne::new(Arc::clone(&runtime.memory_pool), self.limits.memory_per_query_bytes));
        let pool = Arc::clone(&memory);
        let runtime = RuntimeEnvBuilder::from_runtime_env(runtime).with_memory_pool(pool).build_arc();
        let span = origin.span.child("query");
        span.note("topline.query_id", list::id_text(origin.id));
        span.note("user.name", &**user);
        span.note_sql(&origin.sql);
        // Of a process that was ended in the middle of a query, the last lines say which ran.
        let beginning = &origin.sql[..origin.sql.floor_char_boundary(SQL_BYTES_IN_LOG_MAX)];
        tracing::info!(query_id = list::id_text(origin.id), user = %user, sql = ?beginning, "a query begins");
        let mut sql = origin.sql;
        sql.truncate(sql.floor_char_boundary(SQL_BYTES_MAX));
        let facts = Facts {
            state: State::Queued,
            queued: Duration::ZERO,
            planned: Duration::ZERO,
            took: None,
            rows: 0,
            bytes_sent: 0,
            bytes_read: 0,
            bytes_spilled: 0,
            error: None,
            error_id: None,
        };
        let record = Arc::new(Record {
            id: origin.id,
            user: Arc::clone(user),
            client: origin.client,
            sql,
            began_micros: self.clock.now_micros(),
            began: Instant::now(),
            facts: Mutex::new(facts),
            memory,
            killed_by: watch::Sender::new(None),
            stop: stop.clone(),
        });
        self.records().running.push(Arc::clone(&record));
        let runs = Arc::clone(self);
        Ok(Run::new(record, runs, runtime.map_err(faults::of_query)?, stop, span))
    }

    fn ended(&self, record: &Arc<Record>) {
        let (took, facts) = {
            let mut facts = record.facts();
            let took = record.began.elapsed();
            facts.took = Some(took);
            if facts.state < State::Done {
                facts.state = State::Cancelled;
            }
            (took, facts.clone())
        };
        self.totals.ended(took, &facts);
        let mut records = self.records();
        records.running.retain(|other| !Arc::ptr_eq(other, record));
        if records.ended.len() >= REMEMBERED_MAX {
            records.ended.pop_front();
        }
        records.ended.push_back(Arc::clone(record));
    }
}
