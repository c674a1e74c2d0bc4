//! A query of a server as it goes: its place among the others, its memory, and how it is ended.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datafusion::execution::runtime_env::RuntimeEnv;

use super::{Origin, Record, Runs, State};
use crate::domain::places::without_places;
use crate::engine::Engine;
use crate::engine::admission::{Lane, Patience, Place};
use crate::engine::result::deadline_error;
use crate::engine::statement::Statement;
use crate::engine::stop::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::traces::Span;

/// How long a query that was taken for a small one may go on as one.
const QUICK: Duration = Duration::from_secs(2);

/// How long a query keeps its place while its client does not take its rows.
const UNREAD: Duration = Duration::from_secs(3);

/// Bytes of an error that are remembered: as many as its client gets.
const ERROR_BYTES_MAX: usize = 3 << 10;

/// A query from its call to its end, which is when it is dropped.
#[derive(Debug)]
pub struct Run {
    record: Arc<Record>,
    runs: Arc<Runs>,
    runtime: Arc<RuntimeEnv>,
    place: Mutex<Option<Place>>,
    quick_until: Mutex<Option<tokio::time::Instant>>,
    /// In which lanes it was before: it is not sent away from there any more.
    was_in: Mutex<[bool; 2]>,
    stop: Stop,
    /// The query in a trace, and below it the making of its rows.
    span: Span,
    making: Mutex<Option<Span>>,
}

impl Run {
    pub(super) fn new(record: Arc<Record>, runs: Arc<Runs>, runtime: Arc<RuntimeEnv>, stop: Stop, span: Span) -> Self {
        let (place, quick_until, was_in) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { record, runs, runtime, place, quick_until, was_in, stop, span, making: Mutex::default() }
    }

    /// Returns what the query runs with: its own account of memory.
    pub(in crate::engine) fn runtime(&self) -> Arc<RuntimeEnv> {
        Arc::clone(&self.runtime)
    }

    fn held(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn was_in(&self) -> MutexGuard<'_, [bool; 2]> {
        self.was_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place in a lane, in place of the one that the query has.
    ///
    /// # Errors
    /// `Busy` where none becomes free in time, `Cancelled` where the query is killed meanwhile.
    pub(in crate::engine) async fn enter(&self, lane: Lane, patience: Patience) -> Result<()> {
        if self.held().as_ref().is_some_and(|place| place.lane() == lane) {
            return Ok(());
        }
        drop(self.held().take());
        let was_in = std::mem::replace(&mut self.was_in()[lane as usize], true);
        let patience = if was_in { Patience::Any } else { patience };
        let began = Instant::now();
        let place = tokio::select! {
            place = self.runs.admission.place(lane, &self.record.user, patience) => place,
            error = self.killed() => Err(error),
        };
        let place = place.inspect_err(|error| {
            self.failed(error);
        })?;
        self.record.facts().queued += began.elapsed();
        *self.quick_until.lock().unwrap_or_else(PoisonError::into_inner) =
            (lane == Lane::Quick).then(|| tokio::time::Instant::now() + QUICK);
        *self.held() = Some(place);
        Ok(())
    }

    /// Returns the error of a query that was killed, once it is.
    pub(in crate::engine) async fn killed(&self) -> Error {
        let mut killed_by = self.record.killed_by.subscribe();
        let by = killed_by.wait_for(Option::is_some).await.ok().and_then(|by| by.clone()).unwrap_or_default();
        self.stop.set();
        Error::new(ErrorKind::Cancelled, format!("the query was killed by \"{by}\""))
    }

    /// Returns the error of a query that took too long, or was killed, once it is so.
    pub(in crate::engine) async fn over(self: Arc<Self>, deadline: tokio::time::Instant, seconds: u64) -> Error {
        tokio::select! {
            error = self.killed() => error,
            () = tokio::time::sleep_until(deadline) => deadline_error(seconds),
        }
    }

    /// Does a step of the query. One that goes on for longer than small ones do waits for a place among the large.
    ///
    /// # Errors
    /// As `Run::enter`.
    pub async fn step<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = std::pin::pin!(work);
        let until = *self.quick_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            if let Ok(done) = tokio::time::timeout_at(until, &mut work).await {
                return Ok(done);
            }
            // It may wait for its place among the large ones already.
            if self.held().as_ref().is_some_and(|place| place.lane() == Lane::Quick) {
                self.enter(Lane::Heavy, Patience::Any).await?;
            }
        }
        Ok(work.await)
    }

    /// Waits for the client to take rows. One that takes its time gives the query's place to another.
    ///
    /// # Errors
    /// As `Run::enter`, and `Limit` where the client takes longer than a query may.
    pub async fn wait<T>(&self, taken: impl Future<Output = T>) -> Result<T> {
        let mut taken = std::pin::pin!(taken);
        if let Ok(done) = tokio::time::timeout(UNREAD, &mut taken).await {
            return Ok(done);
        }
        let Some(lane) = self.held().take().map(|place| place.lane()) else { return Ok(taken.await) };
        let seconds = self.runs.limits.query_seconds;
        let done = tokio::select! {
            done = taken => done,
            error = self.killed() => return Err(error),
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {
                let error = deadline_error(seconds);
                self.failed(&error);
                return Err(error);
            }
        };
        self.enter(lane, Patience::Any).await?;
        Ok(done)
    }

    /// Begins a span for a part of the work.
    pub(in crate::engine) fn span(&self, name: &str) -> Span {
        self.span.child(name)
    }

    pub(in crate::engine) fn planned(&self, took: Duration) {
        self.record.facts().planned += took;
    }

    pub(in crate::engine) fn running(&self) {
        self.record.facts().state = State::Running;
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if making.is_none() {
            *making = Some(self.span("run"));
        }
    }

    pub(in crate::engine) fn sent(&self, rows: u64, bytes: u64) {
        let mut facts = self.record.facts();
        facts.rows += rows;
        facts.bytes_sent += bytes;
    }

    pub(in crate::engine) fn read(&self, bytes: u64, spilled: u64) {
        let mut facts = self.record.facts();
        facts.bytes_read += bytes;
        facts.bytes_spilled += spilled;
    }

    /// Notes that all rows were made; with several rows of parameters, of one of them.
    pub(in crate::engine) fn done(&self) {
        let mut facts = self.record.facts();
        if facts.state == State::Running {
            facts.state = State::Done;
        }
    }

    /// Notes how the query failed.
    pub fn failed(&self, error: &Error) {
        let mut facts = self.record.facts();
        facts.state = match error.kind() {
            ErrorKind::Limit | ErrorKind::Busy => State::Limited,
            ErrorKind::Cancelled => State::Cancelled,
            _ => State::Failed,
        };
        // Whoever reads it here gets no more of it than the query's client did.
        let mut text = without_places(error.message());
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        facts.error = Some(text);
        facts.error_id = error.id().map(str::to_owned);
        self.span.fail(error.kind().name());
    }

    /// Notes in the trace what the query came to.
    fn traced(&self) {
        let facts = self.record.facts();
        self.span.note("topline.state", facts.state.name());
        self.span.note("db.response.returned_rows", facts.rows);
        self.span.note("topline.bytes_sent", facts.bytes_sent);
        self.span.note("topline.bytes_read", facts.bytes_read);
        self.span.note("topline.bytes_spilled", facts.bytes_spilled);
        self.span.note("topline.peak_memory_bytes", self.record.peak_bytes() as u64);
        self.span.note("topline.queued_ms", u64::try_from(facts.queued.as_millis()).unwrap_or(u64::MAX));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        drop(self.held().take());
        self.runs.ended(&self.record);
        self.traced();
    }
}

/// A place among the small queries, for as long as a text is planned.
#[derive(Debug)]
pub struct Planning {
    _place: Place,
}

impl Engine {
    /// Waits for a place in which a text is planned.
    ///
    /// # Errors
    /// `Busy` where there is none in time.
    pub async fn place_for_planning(&self) -> Result<Planning> {
        let admission = &self.shared.runs.admission;
        let _place = admission.place(Lane::Quick, &self.user.name, Patience::OfQueue).await?;
        Ok(Planning { _place })
    }

    /// Notes a statement that could not be planned among the queries that ended.
    pub fn not_planned(&self, origin: Origin, took: Duration, error: &Error) {
        // The call shows that it failed; there is no query below it.
        let origin = Origin { span: Span::default(), ..origin };
        let runtime = self.shared.base().runtime_env();
        if let Ok(run) = self.shared.runs.begin(origin, &self.user.name, runtime, Stop::default()) {
            run.planned(took);
            run.failed(error);
        }
    }
}

impl Statement {
    /// Makes the statement a query of a server, which has its place among the others.
    ///
    /// # Errors
    /// `Internal` where its account of memory cannot be made.
    pub fn begin(&mut self, origin: Origin) -> Result<Arc<Run>> {
        let (shared, stop) = (Arc::clone(&self.shared), self.stop());
        let user = self.user();
        let run = Arc::new(shared.runs.begin(origin, &user, self.state.runtime_env(), stop)?);
        run.planned(self.planned);
        self.goes_with(&run);
        Ok(run)
    }
}
