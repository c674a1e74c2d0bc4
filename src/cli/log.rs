//! The log of the process, on standard error: lines for people, or of JSON for programs.

use std::fmt::{self, Debug};

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::terminal::Terminal;
use crate::config::Environment;
use crate::domain::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// What is logged when `TOPLINE_LOG` does not say. The library for Delta tables logs what it returns as errors too, such as
/// that a table is not there before it is made.
const DEFAULT: &str = "warn,buoyant_kernel=off";

/// Starts the log.
///
/// # Errors
/// `Config` where `TOPLINE_LOG` is no filter, or `TOPLINE_LOG_FORMAT` neither `text` nor `json`.
pub(super) fn start(environment: &Environment, terminal: &Terminal) -> Result<()> {
    let text = environment.log.as_deref().unwrap_or(DEFAULT);
    let filter = EnvFilter::try_new(text).map_err(|_| {
        Error::new(
            ErrorKind::Config,
            format!("environment: TOPLINE_LOG: expected a filter of the log, found \"{text}\""),
        )
        .with_hint("such as warn, info or topline=debug")
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal.err.style.is_coloured())
        .with_writer(std::io::stderr);
    let started = match environment.log_format.as_deref() {
        None | Some("text") => log.try_init(),
        Some("json") => log.event_format(JsonLines).try_init(),
        Some(other) => {
            let message = format!("environment: TOPLINE_LOG_FORMAT: expected text or json, found \"{other}\"");
            return Err(Error::new(ErrorKind::Config, message));
        }
    };
    started.map_err(|_| Error::new(ErrorKind::Internal, "the log was started twice"))
}

/// An event as an object on a line: `at`, `level`, `target`, then its fields, of which `message` is the text.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let at = DateTime::from_timestamp_micros(Clock::System.now_micros()).unwrap_or_default();
        let mut line = Fields(Map::new());
        line.put("at", at.to_rfc3339_opts(SecondsFormat::Micros, USE_Z));
        line.put("level", event.metadata().level().as_str());
        line.put("target", event.metadata().target());
        event.record(&mut line);
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// Instants are written with Z.
const USE_Z: bool = true;

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }
}
