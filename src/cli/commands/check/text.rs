//! What a check found, for people.

use std::collections::BTreeSet;

use super::findings::{Findings, TableFinding};
use crate::cli::output::numbers::{bytes, grouped};
use crate::cli::terminal::Terminal;
use crate::domain::names::counted;

/// Returns a line for each part, then errors and warnings, then how many there are.
pub(super) fn text(findings: &Findings, terminal: &Terminal) -> String {
    let style = terminal.out.style;
    let mut text = String::new();
    let mut line = |part: &str, what: String| {
        let state = match findings.errors.iter().any(|error| error.part == part) {
            true => style.alarm("wrong"),
            false => style.good("right"),
        };
        text.push_str(format!("{part:<14}{state}  {what}").trim_end());
        text.push('\n');
    };
    line("configuration", findings.configuration.clone());
    if !findings.tables.is_empty() {
        let there: Vec<_> = findings.tables.iter().filter(|table| table.is_there).collect();
        let sum = |size: fn(&TableFinding) -> u64| there.iter().map(|table| size(table)).sum::<u64>();
        let (files, rows, size) = (sum(|table| table.files), sum(|table| table.rows), sum(|table| table.bytes));
        let count = |number: u64| grouped(number as f64, 0);
        line("sources", format!("{} tables, {} files, {}", there.len(), count(files), bytes(size)));
        line("rows", format!("{} rows, keys and values", count(rows)));
        line("models", format!("{} views planned", findings.models));
    }
    if !findings.laws.is_empty() {
        let views: BTreeSet<&str> = findings.laws.iter().map(|law| law.view.as_str()).collect();
        let laws = counted(findings.laws.len() as u64, "law");
        line("laws", format!("{laws} of {}", counted(views.len() as u64, "view")));
    }
    for error in &findings.errors {
        text.push_str(&format!("{} {}\n", style.alarm("error:"), error.message));
        if let Some(hint) = &error.hint {
            text.push_str(&format!("{} {hint}\n", style.strong("hint:")));
        }
    }
    for warning in &findings.warnings {
        text.push_str(&format!("{} {warning}\n", style.caution("warning:")));
    }
    let (errors, warnings) = (findings.errors.len() as u64, findings.warnings.len() as u64);
    text.push_str(&format!("{}, {}\n", counted(errors, "error"), counted(warnings, "warning")));
    text
}
