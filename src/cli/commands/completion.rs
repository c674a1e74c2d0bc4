//! `topline completion`: what a shell needs to complete topline's arguments.

use clap::CommandFactory;

use crate::cli::arguments::{Arguments, CompletionArguments};
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;

/// Prints the completions.
///
/// # Errors
/// `Storage` where standard output cannot be written to.
pub(in crate::cli) fn run(arguments: &CompletionArguments, terminal: &Terminal) -> Result<Ending, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "topline", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(Ending::Done)
}
