//! The only place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Where "now" comes from; tests and repeatable runs fix it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// The clock of the machine.
    #[default]
    System,
    /// Always the same instant, in microseconds since 1970-01-01 UTC.
    Fixed(i64),
}

impl Clock {
    /// Returns microseconds since 1970-01-01 UTC.
    pub fn now_micros(self) -> i64 {
        match self {
            Self::Fixed(micros) => micros,
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        }
    }
}
