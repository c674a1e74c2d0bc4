//! `topline close` and `topline reopen`: whether the published numbers of a month may change.

use crate::audit::{Act, AuditEntry};
use crate::cli::arguments::CloseArguments;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Environment;
use crate::domain::names::counted;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::publish;

/// Closes a month.
///
/// # Errors
/// `Argument` where it is closed already, or nothing of it is published.
pub(in crate::cli) async fn close(
    engine: &Engine,
    arguments: &CloseArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let (month, by) = (arguments.month, by(arguments)?);
    let version = publish::close(engine, month, &arguments.reason, &by).await?;
    noted(engine, Act::MonthClosed, &by, arguments)?;
    terminal.print(&format!("month {month} is closed from version {version} on, by {by}\n"))?;
    Ok(Ending::Done)
}

/// Opens a month.
///
/// # Errors
/// `Argument` where it is not closed.
pub(in crate::cli) async fn reopen(
    engine: &Engine,
    arguments: &CloseArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let (month, by) = (arguments.month, by(arguments)?);
    let entry = engine.newest_entry().await?;
    let pending = entry.and_then(|entry| entry.state.pending.get(&month.to_string()).cloned()).unwrap_or_default();
    let version = publish::reopen(engine, month, &arguments.reason, &by).await?;
    noted(engine, Act::MonthReopened, &by, arguments)?;
    let mut text = format!("month {month} is open from version {version} on, by {by}\n");
    if !pending.is_empty() {
        let metrics = counted(pending.len() as u64, "metric");
        text.push_str(&format!("{metrics} would change: topline materialize publishes what is pending\n"));
    }
    terminal.print(&text)?;
    Ok(Ending::Done)
}

/// Writes down who decided what, and why.
fn noted(engine: &Engine, act: Act, by: &str, arguments: &CloseArguments) -> Result<()> {
    let month = arguments.month.to_string();
    engine.audit().record(&AuditEntry {
        act,
        user: Some(by),
        address: None,
        object: &month,
        outcome: &arguments.reason,
    })
}

fn by(arguments: &CloseArguments) -> Result<String> {
    let user = || Environment::of_process().user;
    arguments
        .by
        .clone()
        .or_else(user)
        .filter(|name| !name.trim().is_empty())
        .ok_or_else(|| Error::new(ErrorKind::Argument, "nobody says who decides it").with_hint("add --by NAME"))
}
