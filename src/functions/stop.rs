//! When a query is to end, as its functions see it: a call, of which a plan may have thousands, gives way to nothing while
//! it computes, so that each looks before it begins.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{DataFusionError, Result, config_err};

use crate::error::{Error, ErrorKind};

/// How long planning may take, in seconds: a hundred times what the largest view of topline takes.
const PLANNING_SECONDS_MAX: u64 = 60;

/// What a query looks at to know that nobody waits for it. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    is_set: AtomicBool,
    until: Mutex<Option<Until>>,
}

/// When a query is to end: after how many seconds that is, of what.
#[derive(Debug, Clone, Copy)]
struct Until {
    at: Instant,
    seconds: u64,
    phase: Phase,
}

impl Stop {
    /// Ends the query.
    pub fn set(&self) {
        self.state.is_set.store(true, Ordering::Relaxed);
    }

    /// Ends the query after so many seconds from now, whatever was said before.
    pub fn set_after(&self, seconds: u64) {
        self.set_until(seconds, Phase::Running);
    }

    /// Ends the query where it is not planned by then: after so many seconds, or those that planning may take.
    pub fn set_for_planning(&self, seconds: u64) {
        self.set_until(seconds.min(PLANNING_SECONDS_MAX), Phase::Planning);
    }

    /// Gives the query any time from now on, unless it was ended: what is planned may be run much later.
    pub fn set_free(&self) {
        *self.state.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn set_until(&self, seconds: u64, phase: Phase) {
        let at = Instant::now().checked_add(Duration::from_secs(seconds));
        let until = at.map(|at| Until { at, seconds, phase });
        *self.state.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Refuses to go on with a query that is to end.
    ///
    /// # Errors
    /// `Cancelled` where it was ended, `Limit` where its time is over.
    pub fn check(&self) -> Result<()> {
        let until = *self.state.until.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match until {
            _ if self.state.is_set.load(Ordering::Relaxed) => {
                Error::new(ErrorKind::Cancelled, "the query was cancelled")
            }
            Some(Until { at, seconds, phase }) if at <= Instant::now() => match phase {
                Phase::Planning => planning_error(seconds),
                Phase::Running => deadline_error(seconds),
            },
            _ => return Ok(()),
        };
        Err(DataFusionError::External(Box::new(error)))
    }
}

fn planning_error(seconds: u64) -> Error {
    Error::new(ErrorKind::Limit, format!("the query could not be planned within {seconds} seconds"))
        .with_hint("name fewer columns and steps, or keep a step of it as a table of schema sandbox")
}

/// Returns the error of a query that took too long.
pub fn deadline_error(seconds: u64) -> Error {
    Error::new(ErrorKind::Limit, format!("the query ran for more than {seconds} seconds"))
        .with_hint("narrow it down, or raise [limits] query_seconds")
}

/// Whether constants are computed for a plan, which copies and compares them over and over, or rows for a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// The plan is made.
    Planning,
    /// The plan runs.
    #[default]
    Running,
}

/// What a call knows of the query that it is part of.
#[derive(Debug, Clone, Default)]
pub struct QueryStop {
    /// When to end.
    pub stop: Stop,
    /// What it is called for.
    pub phase: Phase,
}

impl QueryStop {
    /// Returns what the options of a query say.
    pub fn of(options: &ConfigOptions) -> Self {
        options.extensions.get::<Self>().cloned().unwrap_or_default()
    }
}

impl ConfigExtension for QueryStop {
    const PREFIX: &'static str = "topline_stop";
}

impl ExtensionOptions for QueryStop {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        config_err!("\"{key}\" is no option")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_seen_by_all_and_a_time_can_be_put_off() {
        let stop = Stop::default();
        let other = stop.clone();
        assert!(other.check().is_ok());
        stop.set_after(0);
        assert!(other.check().expect_err("its time is over").to_string().contains("more than 0 seconds"));
        stop.set_for_planning(0);
        assert!(other.check().expect_err("its time is over").to_string().contains("planned within 0 seconds"));
        stop.set_free();
        assert!(other.check().is_ok());
        stop.set();
        assert!(other.check().expect_err("it was ended").to_string().contains("cancelled"));
    }
}
