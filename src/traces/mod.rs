//! Traces of calls for a collector of OpenTelemetry: what a call did, below the span of whoever called.
//!
//! Off unless `[traces]` or the standard's variables name a collector; a [`Span`] costs nothing then. `context` reads the
//! caller's trace, `sender` has the way to the collector, `messages` what is sent. The protocol is spoken here, and not by
//! the libraries of OpenTelemetry, which read the environment by themselves and keep threads and globals of their own.
//! Must not know what a call does. Start at [`Traces::open`].

mod context;
mod messages;
mod sender;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::config::TracesConfig;
use crate::domain::clock::Clock;
use crate::error::Result;
use context::{Caller, Place};
pub use messages::Value;
use messages::{Attribute, SpanMessage, StatusMessage};
use sender::Sender;

/// Spans right below one: a query with thousands of rows of parameters shows the first.
const CHILDREN_MAX: usize = 64;

/// The kinds of spans, and the code of an error, in the protocol.
const KIND_INTERNAL: i32 = 1;
const KIND_SERVER: i32 = 2;
const STATUS_ERROR: i32 = 2;

/// The traces of a process.
#[derive(Debug)]
pub struct Traces {
    line: Option<Arc<Line>>,
    ratio: f64,
}

/// What spans go by.
#[derive(Debug)]
struct Line {
    sender: Sender,
    clock: Clock,
    has_sql: bool,
}

impl Traces {
    /// Opens the way to the collector, on the runtime of the caller; without one no span is made.
    ///
    /// # Errors
    /// `Config` where a header of the collector is none, `Internal` where HTTP cannot be spoken.
    pub fn open(config: Option<&TracesConfig>, clock: Clock) -> Result<Self> {
        let Some(config) = config else { return Ok(Self { line: None, ratio: 0.0 }) };
        let line = Line { sender: Sender::start(config)?, clock, has_sql: config.has_sql };
        Ok(Self { line: Some(Arc::new(line)), ratio: config.ratio })
    }

    /// Begins the span of a call, below what its headers `traceparent` and `tracestate` name.
    pub fn call(&self, name: &str, traceparent: Option<&str>, tracestate: Option<&str>) -> Span {
        let Some(line) = &self.line else { return Span::default() };
        let place = Place::of_call(traceparent.and_then(Caller::of_header), tracestate, self.ratio);
        place.map_or_else(Span::default, |place| Span::begin(Arc::clone(line), place, name, KIND_SERVER))
    }

    /// Sends the spans that have ended, as far as the collector takes them in time.
    pub async fn close(&self) {
        if let Some(line) = &self.line {
            line.sender.close().await;
        }
    }
}

/// A piece of work as it is seen in a trace. Cheap to clone; it ends when the last clone is dropped. One that is not seen
/// takes everything and does nothing.
#[derive(Debug, Clone, Default)]
pub struct Span(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    line: Arc<Line>,
    place: Place,
    name: String,
    kind: i32,
    began: Instant,
    began_micros: i64,
    children: AtomicUsize,
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    attributes: Vec<Attribute>,
    has_failed: bool,
}

impl Span {
    fn begin(line: Arc<Line>, place: Place, name: &str, kind: i32) -> Self {
        let began_micros = line.clock.now_micros();
        let (name, began) = (name.to_owned(), Instant::now());
        let (children, facts) = (AtomicUsize::new(0), Mutex::default());
        Self(Some(Arc::new(Open { line, place, name, kind, began, began_micros, children, facts })))
    }

    /// Begins a span below this one.
    pub fn child(&self, name: &str) -> Self {
        let Some(open) = &self.0 else { return Self::default() };
        if open.children.fetch_add(1, Ordering::Relaxed) >= CHILDREN_MAX {
            return Self::default();
        }
        let below = open.place.below();
        below.map_or_else(Self::default, |place| Self::begin(Arc::clone(&open.line), place, name, KIND_INTERNAL))
    }

    /// Notes a fact.
    pub fn note(&self, key: &str, value: impl Into<Value>) {
        if let Some(open) = &self.0 {
            open.facts().attributes.push(Attribute::new(key, value.into()));
        }
    }

    /// Notes the text of a query, where the configuration says that texts are seen.
    pub fn note_sql(&self, sql: &str) {
        if self.0.as_ref().is_some_and(|open| open.line.has_sql) {
            self.note("db.query.text", sql);
        }
    }

    /// Notes that the work failed, and by which class of errors; the first one counts. No text of it: it may quote values.
    pub fn fail(&self, class: &str) {
        let Some(open) = &self.0 else { return };
        let mut facts = open.facts();
        if !std::mem::replace(&mut facts.has_failed, true) {
            facts.attributes.push(Attribute::new("error.type", class.into()));
        }
    }
}

impl Open {
    fn facts(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let facts = std::mem::take(&mut *self.facts());
        let start_nanos = u64::try_from(self.began_micros).unwrap_or(0).saturating_mul(1_000);
        let took_nanos = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let is_top = self.place.parent_id == [0; 8];
        self.line.sender.send(SpanMessage {
            trace_id: self.place.trace_id.to_vec(),
            span_id: self.place.span_id.to_vec(),
            trace_state: std::mem::take(&mut self.place.state),
            parent_span_id: if is_top { Vec::new() } else { self.place.parent_id.to_vec() },
            name: std::mem::take(&mut self.name),
            kind: self.kind,
            start_nanos,
            end_nanos: start_nanos.saturating_add(took_nanos),
            attributes: facts.attributes,
            status: facts.has_failed.then_some(StatusMessage { code: STATUS_ERROR }),
        });
    }
}
