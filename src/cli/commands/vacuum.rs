//! `topline vacuum`: files of the warehouse that nobody can ask for any more.

use serde::Serialize;

use crate::audit::{Act, AuditEntry};
use crate::cli::arguments::{ListFormat, VacuumArguments};
use crate::cli::output::json::document;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::output::numbers::grouped;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Environment;
use crate::domain::names::counted;
use crate::engine::Engine;
use crate::publish::{Leftovers, vacuum};

#[derive(Serialize)]
struct Document {
    removed: bool,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    path: String,
    bytes: u64,
}

/// Lists files that no entry of the ledger reaches, or takes them away.
///
/// # Errors
/// `Storage` where the warehouse cannot be read or written.
pub(in crate::cli) async fn run(
    engine: &Engine,
    arguments: &VacuumArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let leftovers = if arguments.remove { Leftovers::AreRemoved } else { Leftovers::AreListed };
    let files = vacuum(engine, arguments.older_than, leftovers).await?;
    if arguments.remove {
        let (user, count) = (Environment::of_process().user, counted(files.len() as u64, "file"));
        let entry = AuditEntry {
            act: Act::Vacuumed,
            user: user.as_deref(),
            address: None,
            object: "warehouse",
            outcome: &count,
        };
        engine.audit().record(&entry)?;
    }
    if arguments.format == ListFormat::Json {
        let files = files.into_iter().map(|file| File { path: file.path, bytes: file.bytes }).collect();
        terminal.print(&document(&Document { removed: arguments.remove, files })?)?;
        return Ok(Ending::Done);
    }
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let count = counted(files.len() as u64, "file");
    let mut text = String::new();
    if !files.is_empty() {
        let head = [("file", Lean::Left), ("bytes", Lean::Right)];
        let rows = files.iter().map(|file| vec![file.path.clone(), grouped(file.bytes as f64, 0)]).collect();
        text = listing(terminal, &head, rows, Overflow::Cut);
        text.push('\n');
    }
    text.push_str(&match (files.is_empty(), arguments.remove) {
        (true, _) => "nothing to take away: the ledger reaches every file, or it is younger\n".to_owned(),
        (false, true) => format!("{count} of {} bytes taken away\n", grouped(bytes as f64, 0)),
        (false, false) => {
            format!("{count} of {} bytes can go: topline vacuum --remove takes them away\n", grouped(bytes as f64, 0))
        }
    });
    terminal.print(&text)?;
    Ok(Ending::Done)
}
