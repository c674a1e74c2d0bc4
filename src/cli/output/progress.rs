//! Progress on standard error, where a person looks at it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::cli::terminal::Terminal;

/// How long work takes before progress is shown: shorter work is over before it could be read.
const DELAY: Duration = Duration::from_millis(500);

/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(100);

/// A sign of life for work whose end is not known. Dropping it takes it off the screen.
#[derive(Debug)]
pub(in crate::cli) struct Spinner {
    bar: ProgressBar,
    appears: Option<JoinHandle<()>>,
}

impl Spinner {
    /// Starts it; it is seen after half a second, and only on a terminal. Needs a runtime.
    pub(in crate::cli) fn start(terminal: &Terminal, message: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message(message);
        if !terminal.err.is_terminal {
            return Self { bar, appears: None };
        }
        let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let shown = bar.clone().with_style(style);
        let appears = tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(TICK);
        });
        Self { bar, appears: Some(appears) }
    }

    /// Returns a sign of life that nobody sees.
    pub(in crate::cli) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), appears: None }
    }

    /// Says what is done now.
    pub(in crate::cli) fn say(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(appears) = &self.appears {
            appears.abort();
        }
        self.bar.finish_and_clear();
    }
}

/// Returns a bar for work of known size; hidden where standard error is no terminal.
pub(in crate::cli) fn bar(terminal: &Terminal, unit: &str) -> ProgressBar {
    if !terminal.err.is_terminal {
        return ProgressBar::hidden();
    }
    let template = format!("{{wide_bar}} {{percent:>3}} % of {unit}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}
