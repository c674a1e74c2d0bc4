//! `topline materialize`: months of metrics as tables that do not move.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Serialize;

use crate::cli::arguments::{ListFormat, MaterializeArguments};
use crate::cli::output::json::document;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::output::progress::bar;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::domain::names::counted;
use crate::engine::Engine;
use crate::engine::published::entry::BrokenLaw;
use crate::error::Result;
use crate::publish::{Months, Outcome, Report, Request, Step, Unchanged, materialize};

/// What a run did, as JSON has it.
#[derive(Serialize)]
struct Document<'report> {
    /// `published`, `held` or `nothing to do`.
    state: &'static str,
    version: Option<u64>,
    as_of: String,
    restatements: u64,
    bytes_read: u64,
    broken: &'report [BrokenLaw],
    metrics: Vec<OfMetric<'report>>,
}

#[derive(Serialize)]
struct OfMetric<'report> {
    metric: &'report str,
    /// Which of its months were computed, or all and why.
    computed: &'report str,
    months: &'report BTreeMap<String, Outcome>,
}

/// Publishes months.
///
/// # Errors
/// Those of publishing.
pub(in crate::cli) async fn run(
    engine: &Engine,
    arguments: &MaterializeArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let months = match (arguments.month, arguments.from, arguments.to) {
        (Some(month), ..) => Months::Between(month, month),
        (None, Some(from), Some(to)) => Months::Between(from, to),
        _ => Months::Due,
    };
    let unchanged = if arguments.full { Unchanged::IsRewritten } else { Unchanged::IsKept };
    let request = Request { metrics: arguments.metrics.clone(), months, unchanged, job: None };
    let bar = bar(terminal, "metrics");
    let report = materialize(engine, &request, &|step| {
        if let Step::Computing(_, place, count) = step {
            bar.set_length(count as u64);
            bar.set_position(place as u64);
        }
    })
    .await;
    bar.finish_and_clear();
    let report = report?;
    let text = match arguments.format {
        ListFormat::Table => text(&report, terminal),
        ListFormat::Json => document(&document_of(&report))?,
    };
    terminal.print(&text)?;
    Ok(if report.broken.is_empty() { Ending::Done } else { Ending::ProblemsFound })
}

fn state(report: &Report) -> &'static str {
    match (report.broken.is_empty(), report.version) {
        (false, _) => "held",
        (true, Some(_)) => "published",
        (true, None) => "nothing to do",
    }
}

fn document_of(report: &Report) -> Document<'_> {
    Document {
        state: state(report),
        version: report.version,
        as_of: instant(report.as_of_micros),
        restatements: report.restatements,
        bytes_read: report.bytes_read,
        broken: &report.broken,
        metrics: report.metrics.iter().map(|(metric, months)| of_metric(report, metric, months)).collect(),
    }
}

fn of_metric<'report>(
    report: &'report Report,
    metric: &'report str,
    months: &'report BTreeMap<String, Outcome>,
) -> OfMetric<'report> {
    OfMetric { metric, computed: computed(report, metric), months }
}

fn computed<'report>(report: &'report Report, metric: &str) -> &'report str {
    report.computed.get(metric).map(String::as_str).unwrap_or_default()
}

fn instant(micros: i64) -> String {
    let instant = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn text(report: &Report, terminal: &Terminal) -> String {
    let style = terminal.out.style;
    let mut text = String::new();
    let changed: Vec<_> = report.metrics.iter().filter(|(_, months)| months.values().any(is_worth_a_line)).collect();
    if !changed.is_empty() {
        let head = [
            ("metric", Lean::Left),
            ("new", Lean::Right),
            ("restated", Lean::Right),
            ("unchanged", Lean::Right),
            ("pending", Lean::Right),
            ("months", Lean::Left),
            ("computed", Lean::Left),
        ];
        let rows = changed.iter().map(|(metric, months)| row(report, metric, months)).collect();
        text.push_str(&listing(terminal, &head, rows, Overflow::Cut));
        text.push('\n');
    }
    for law in &report.broken {
        let rows = law
            .rows
            .map_or_else(|| "has no answer".to_owned(), |rows| format!("is broken in {}", counted(rows, "row")));
        text.push_str(&format!("{} {} of {} {rows}\n", style.alarm("held:"), law.law, law.metric));
        for example in &law.examples {
            text.push_str(&format!("  {example}\n"));
        }
    }
    text.push_str(&summary(report, changed.len() as u64));
    text
}

fn summary(report: &Report, metrics: u64) -> String {
    let as_of = instant(report.as_of_micros);
    let count = |is_one: fn(&Outcome) -> bool| {
        report.metrics.values().flat_map(BTreeMap::values).filter(|outcome| is_one(outcome)).count() as u64
    };
    match (report.version, report.broken.is_empty()) {
        (_, false) => format!("nothing was published as of {as_of}; what was published before stays\n"),
        (None, true) => format!("nothing to do: what is published is as it should be as of {as_of}\n"),
        (Some(version), true) => format!(
            "version {version} as of {as_of}: {} changed, {} new, {} restated in {}\n",
            counted(metrics, "metric"),
            counted(count(|outcome| *outcome == Outcome::New), "month"),
            counted(count(|outcome| *outcome == Outcome::Restated), "month"),
            counted(report.restatements, "number"),
        ),
    }
}

fn is_worth_a_line(outcome: &Outcome) -> bool {
    *outcome != Outcome::Unchanged
}

fn row(report: &Report, metric: &str, months: &BTreeMap<String, Outcome>) -> Vec<String> {
    let of = |is_one: fn(&Outcome) -> bool| -> Vec<&str> {
        months.iter().filter(|(_, outcome)| is_one(outcome)).map(|(month, _)| month.as_str()).collect()
    };
    let new = of(|outcome| *outcome == Outcome::New);
    let restated = of(|outcome| *outcome == Outcome::Restated);
    let unchanged = of(|outcome| matches!(outcome, Outcome::Unchanged | Outcome::Rewritten));
    let pending = of(|outcome| matches!(outcome, Outcome::Pending(_)));
    let mut moved: Vec<&str> = [new.as_slice(), &restated, &pending].concat();
    moved.sort_unstable();
    let count = |months: &[&str]| months.len().to_string();
    let numbers = [count(&new), count(&restated), count(&unchanged), count(&pending)];
    let texts = [span(&moved), computed(report, metric).to_owned()];
    std::iter::once(metric.to_owned()).chain(numbers).chain(texts).collect()
}

/// Returns months in few words: the only ones, or the first and the last.
fn span(months: &[&str]) -> String {
    match months {
        [] => String::new(),
        [first, .., last] if months.len() > 3 => format!("{first} to {last}"),
        few => few.join(", "),
    }
}
