//! The only place that reads the wall clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where "now" comes from; tests and repeatable runs fix it.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The clock of the machine.
    #[default]
    System,
    /// Always the same instant, in microseconds since 1970-01-01 UTC.
    Fixed(i64),
    /// The instant that stands there, which its owner moves: years of schedules pass in seconds.
    Moved(&'static AtomicI64),
}

impl Clock {
    /// Returns microseconds since 1970-01-01 UTC.
    pub fn now_micros(self) -> i64 {
        match self {
            Self::Fixed(micros) => micros,
            Self::Moved(micros) => micros.load(Ordering::SeqCst),
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        }
    }
}
