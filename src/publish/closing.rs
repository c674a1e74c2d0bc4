//! Closing a month: its published numbers stay as they are until somebody opens it again, with a reason.

use super::entries::{add, newest_lasting};
use crate::domain::month::Month;
use crate::engine::Engine;
use crate::engine::published::entry::{Decision, Entry, Event, State};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Append, WriteId};

/// Entries of others that a decision gives way to before it gives up: more than the processes that publish ever are.
const CONFLICTS_MAX: u32 = 100;

/// Closes a month for all metrics; returns the version from which on it is closed.
///
/// # Errors
/// `Argument` where it is closed already or nothing of it is published, `Storage` where the warehouse cannot be written.
pub async fn close(engine: &Engine, month: Month, reason: &str, by: &str) -> Result<u64> {
    let decide = |state: &mut State, number: u64| {
        let name = month.to_string();
        if state.closed.contains_key(&name) {
            return Err(Error::new(ErrorKind::Argument, format!("month {month} is closed already")).with_hint(
                "select at, decided_by, reason from meta.runs where kind = 'closed' tells by whom and why",
            ));
        }
        if !state.tables.values().any(|table| table.is_published(&name)) {
            return Err(Error::new(ErrorKind::Argument, format!("nothing of month {month} is published"))
                .with_hint(format!("topline materialize --month {month} publishes it")));
        }
        state.closed.insert(name, number);
        Ok(())
    };
    record(engine, Event::Closed(decision(month, reason, by)?), decide).await
}

/// Opens a closed month again; the next run publishes what changed of it. Returns the version from which on it is open.
///
/// # Errors
/// `Argument` where it is not closed, `Storage` where the warehouse cannot be written.
pub async fn reopen(engine: &Engine, month: Month, reason: &str, by: &str) -> Result<u64> {
    let decide = |state: &mut State, _number: u64| {
        let name = month.to_string();
        if state.closed.remove(&name).is_none() {
            return Err(Error::new(ErrorKind::Argument, format!("month {month} is not closed")));
        }
        for metric in state.pending.remove(&name).unwrap_or_default().into_keys() {
            if let Some(table) = state.tables.get_mut(&metric) {
                table.covered = None;
            }
        }
        Ok(())
    };
    record(engine, Event::Reopened(decision(month, reason, by)?), decide).await
}

fn decision(month: Month, reason: &str, by: &str) -> Result<Decision> {
    if reason.trim().is_empty() {
        return Err(Error::new(ErrorKind::Argument, "the reason is empty").with_hint("it is read years later: say why"));
    }
    Ok(Decision { month: month.to_string(), reason: reason.trim().to_owned(), by: by.to_owned() })
}

async fn record(engine: &Engine, event: Event, decide: impl Fn(&mut State, u64) -> Result<()>) -> Result<u64> {
    for _ in 0..CONFLICTS_MAX {
        let base = newest_lasting(engine).await?;
        let number = base.as_ref().map_or(0, |base| base.number + 1);
        let mut state = base.map(|base| base.state.clone()).unwrap_or_default();
        decide(&mut state, number)?;
        let (run_id, at_micros) = (WriteId::random().to_string(), engine.now_micros());
        let entry = Entry { number, run_id, at_micros, event: event.clone(), state };
        if add(engine, &entry).await? == Append::Done {
            return Ok(number);
        }
    }
    Err(Error::new(ErrorKind::Limit, "too many publish at the same time").with_hint("try again; nothing was changed"))
}
