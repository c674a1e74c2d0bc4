//! Standard output and standard error: whether they are terminals, and what may be written to them.

use std::io::{self, IsTerminal, Write};

use super::arguments::ColorWhen;
use super::output::file::Unfinished;
use super::output::style::Style;
use super::stop::Stop;
use crate::config::Environment;
use crate::error::{Error, ErrorKind};

/// What a stream leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    /// Whether a person looks at it.
    pub is_terminal: bool,
    /// How words are set off.
    pub style: Style,
}

/// The two streams, and the files that are not finished yet. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    /// Standard output: what was asked for.
    pub out: Channel,
    /// Standard error: errors, notes and progress.
    pub err: Channel,
    /// Files to delete when the command is interrupted.
    pub unfinished: Unfinished,
}

impl Terminal {
    /// Looks at the streams of the process.
    pub(super) fn new(color: ColorWhen, environment: &Environment) -> Self {
        let channel = |is_terminal: bool| {
            let is_coloured = match color {
                ColorWhen::Auto => is_terminal && !environment.is_colourless,
                ColorWhen::Always => true,
                ColorWhen::Never => false,
            };
            Channel { is_terminal, style: if is_coloured { Style::Coloured } else { Style::Plain } }
        };
        Self {
            out: channel(io::stdout().is_terminal()),
            err: channel(io::stderr().is_terminal()),
            unfinished: Unfinished::default(),
        }
    }

    /// Returns the columns that a line of standard output has; `None` where it is no terminal.
    pub(super) fn width(&self) -> Option<usize> {
        if !self.out.is_terminal {
            return None;
        }
        // A terminal that does not know its width says 0.
        comfy_table::Table::new().width().map(usize::from).filter(|width| *width > 0)
    }

    /// Prints a text, which ends with a line break, to standard output.
    ///
    /// # Errors
    /// `ReaderLeft` where nobody reads any more, else a fault of kind `Storage`.
    pub(super) fn print(&self, text: &str) -> Result<(), Stop> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(of_output)
    }

    /// Takes an unfinished line of standard error, such as a sign of progress, off the screen.
    pub(super) fn clear_line(&self) {
        if self.err.is_terminal {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[2K");
        }
    }

    /// Prints lines to standard error. Nobody can be told where that fails, so nothing is.
    pub(super) fn note(&self, lines: &str) {
        let _ = writeln!(io::stderr().lock(), "{lines}");
    }
}

/// Returns how a command ends that cannot write to standard output.
pub(super) fn of_output(cause: io::Error) -> Stop {
    if cause.kind() == io::ErrorKind::BrokenPipe {
        return Stop::ReaderLeft;
    }
    Error::new(ErrorKind::Storage, "standard output cannot be written to").with_source(cause).into()
}
