//! What a check found, as it is printed and as programs read it.

use serde::Serialize;

use crate::catalog::TableState;
use crate::domain::names::counted;
use crate::engine::laws::{LawOutcome, LawState};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Metric;
use crate::models::sidecar::{MetricEntry, Severity};

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    pub(super) is_right: bool,
    pub(super) configuration: String,
    pub(super) tables: Vec<TableFinding>,
    pub(super) models: usize,
    pub(super) laws: Vec<LawFinding>,
    pub(super) errors: Vec<ErrorFinding>,
    pub(super) warnings: Vec<String>,
}

/// A source table.
#[derive(Debug, Serialize)]
pub(super) struct TableFinding {
    pub(super) table: String,
    pub(super) is_there: bool,
    pub(super) files: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// A law of a view.
#[derive(Debug, Serialize)]
pub(super) struct LawFinding {
    pub(super) view: String,
    name: String,
    description: String,
    severity: &'static str,
    state: &'static str,
    rows: u64,
    examples: Vec<String>,
}

/// A part that is wrong; its message lists every problem.
#[derive(Debug, Serialize)]
pub(super) struct ErrorFinding {
    pub(super) part: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Findings {
    /// Notes what is wrong with a part; what is wrong with topline itself ends the check.
    pub(super) fn fault(&mut self, part: &'static str, error: &Error) -> Result<()> {
        if error.kind() == ErrorKind::Internal {
            return Err(error.clone());
        }
        let hint = error.hint().map(str::to_owned);
        self.errors.push(ErrorFinding { part, message: error.message().to_owned(), hint });
        Ok(())
    }

    /// Notes the source tables, and warns of those that are not there.
    pub(super) fn note_tables(&mut self, states: Vec<TableState>, metrics: &[Metric]) {
        for state in states {
            let table = state.id.to_string();
            let found = state.found.unwrap_or_default();
            if state.found.is_none() {
                self.warnings.push(missing(&table, metrics));
            }
            let (files, rows, bytes) = (found.files, found.rows, found.bytes);
            self.tables.push(TableFinding { table, is_there: state.found.is_some(), files, rows, bytes });
        }
    }

    /// Notes what became of laws: a broken one is an error or a warning, as it says itself.
    pub(super) fn note_laws(&mut self, outcomes: &[LawOutcome]) {
        for outcome in outcomes {
            let LawOutcome { law, state } = outcome;
            let (word, rows, examples) = match state {
                LawState::Kept => ("kept", 0, Vec::new()),
                LawState::Broken { rows, examples } => ("broken", *rows, examples.clone()),
                LawState::Failed(_) => ("failed", 0, Vec::new()),
            };
            if let Some((message, hint)) = what_is_wrong(outcome) {
                if outcome.is_error() {
                    self.errors.push(ErrorFinding { part: "laws", message, hint });
                } else {
                    self.warnings.push(message);
                }
            }
            self.laws.push(LawFinding {
                view: law.view.to_string(),
                name: law.name.clone(),
                description: law.description.clone(),
                severity: if law.severity == Severity::Error { "error" } else { "warning" },
                state: word,
                rows,
                examples,
            });
        }
    }

    /// Warns of metrics that nobody answers for, or that say not what they should be or what is done then.
    pub(super) fn warn_of_ungoverned(&mut self, metrics: &[Metric]) {
        let gaps = [
            ("no owner", without(metrics, |entry| entry.owner.is_some())),
            ("no target", without(metrics, |entry| entry.target.is_some())),
            ("no action plan", without(metrics, |entry| entry.action_plan.is_some())),
        ];
        for (what, names) in gaps.into_iter().filter(|(_, names)| !names.is_empty()) {
            let (count, verb) = (names.len() as u64, if names.len() == 1 { "has" } else { "have" });
            self.warnings.push(format!("{} {verb} {what}: {}", counted(count, "metric"), names.join(", ")));
        }
    }
}

/// Returns the names of the metrics whose entry lacks something.
pub(super) fn without(metrics: &[Metric], has: fn(&MetricEntry) -> bool) -> Vec<String> {
    let lacks = |metric: &&Metric| !metric.entry.as_ref().is_some_and(has);
    metrics.iter().filter(lacks).map(|metric| metric.name.clone()).collect()
}

/// Returns what is said of a law that does not hold, with what to do about it.
fn what_is_wrong(outcome: &LawOutcome) -> Option<(String, Option<String>)> {
    let LawOutcome { law, state } = outcome;
    match state {
        LawState::Kept => None,
        LawState::Broken { rows, examples } => {
            let mut lines = vec![format!(
                "{}: law \"{}\" is broken in {}: {}",
                law.view,
                law.name,
                counted(*rows, "row"),
                law.description
            )];
            lines.extend(examples.iter().map(|example| format!("  {example}")));
            let others = rows.saturating_sub(examples.len() as u64);
            if others > 0 {
                lines.push(format!("  and {others} more"));
            }
            Some((lines.join("\n"), None))
        }
        LawState::Failed(error) => {
            let message = format!("{}: law \"{}\" cannot be tried: {error}", law.view, law.name);
            Some((message, error.hint().map(str::to_owned)))
        }
    }
}

fn missing(table: &str, metrics: &[Metric]) -> String {
    let without: Vec<_> = metrics
        .iter()
        .filter(|metric| metric.missing.iter().any(|missing| missing == table))
        .map(|metric| metric.name.as_str())
        .collect();
    if without.is_empty() {
        return format!("table \"{table}\" is missing: it is read as empty");
    }
    format!("table \"{table}\" is missing: no rows in {}", without.join(", "))
}
