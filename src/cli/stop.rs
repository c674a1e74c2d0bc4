//! How a command ends, and what is said of it.

use std::error::Error as _;
use std::process::ExitCode;

use super::signals::Signal;
use super::terminal::Terminal;
use crate::error::Error;

/// The most causes that are printed: deeper chains repeat themselves.
const CAUSES_MAX: usize = 8;

/// How a command ended that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It did what was asked.
    Done,
    /// It did what was asked, and what it looked at is wrong.
    ProblemsFound,
}

impl Ending {
    /// Returns the exit code.
    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::ProblemsFound => ExitCode::FAILURE,
        }
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something is wrong.
    Fault(Error),
    /// Who read standard output has enough: `topline query ... | head -1`.
    ReaderLeft,
    /// A signal asked for it.
    Interrupted(Signal),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl Stop {
    /// Says why, where there is something to say, and returns the exit code.
    pub(super) fn exit(self, terminal: &Terminal) -> ExitCode {
        match self {
            Self::Fault(error) => {
                terminal.note(&describe(&error, terminal));
                ExitCode::from(error.kind().exit_code())
            }
            Self::ReaderLeft => ExitCode::SUCCESS,
            Self::Interrupted(signal) => {
                terminal.clear_line();
                ExitCode::from(signal.exit_code())
            }
        }
    }
}

/// Returns the lines of an error: the message, the hint, and each cause that says something new.
fn describe(error: &Error, terminal: &Terminal) -> String {
    let style = terminal.err.style;
    let mut text = format!("{} {}", style.alarm("error:"), error.message());
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n{} {hint}", style.strong("hint:")));
    }
    let mut said = error.message().to_owned();
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(current) = cause else { break };
        let words = current.to_string();
        if !said.contains(&words) {
            text.push_str(&format!("\n{} {words}", style.strong("cause:")));
            said = words;
        }
        cause = current.source();
    }
    text
}
