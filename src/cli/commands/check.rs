//! `topline check`: whether configuration, sources and models are right, with every problem at once.

use serde::Serialize;

use crate::cli::arguments::{CheckArguments, TextFormat};
use crate::cli::output::json::document;
use crate::cli::output::numbers::{bytes, grouped};
use crate::cli::output::progress::Spinner;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Metric;

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Findings {
    is_right: bool,
    configuration: String,
    tables: Vec<TableFinding>,
    models: usize,
    errors: Vec<ErrorFinding>,
    warnings: Vec<String>,
}

/// A source table.
#[derive(Debug, Serialize)]
struct TableFinding {
    table: String,
    is_there: bool,
    files: u64,
    rows: u64,
    bytes: u64,
}

/// A part that is wrong; its message lists every problem.
#[derive(Debug, Serialize)]
struct ErrorFinding {
    part: &'static str,
    message: String,
    hint: Option<String>,
}

/// Checks everything that can be checked before a query asks for it.
///
/// # Errors
/// `Internal` where topline itself fails; what is wrong with configuration, sources and models is printed.
pub(in crate::cli) async fn run(
    config: Result<Config>,
    arguments: &CheckArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let mut findings = Findings::default();
    let spinner = Spinner::start(terminal, "opening the sources");
    match config {
        Ok(config) => check(config, &mut findings, &spinner).await?,
        Err(error) => findings.fault("configuration", error)?,
    }
    findings.is_right = findings.errors.is_empty();
    drop(spinner);
    let text = match arguments.format {
        TextFormat::Text => text(&findings, terminal),
        TextFormat::Json => document(&findings)?,
    };
    terminal.print(&text)?;
    Ok(if findings.is_right { Ending::Done } else { Ending::ProblemsFound })
}

async fn check(config: Config, findings: &mut Findings, spinner: &Spinner) -> Result<()> {
    findings.configuration =
        config.file.as_ref().map_or_else(|| "the sample".to_owned(), |file| file.display().to_string());
    let engine = match Engine::open(config).await {
        Ok(engine) => engine,
        Err(error) => {
            let part = if error.kind() == ErrorKind::Model { "models" } else { "sources" };
            return findings.fault(part, error);
        }
    };
    check_sources(&engine, findings, spinner).await?;
    spinner.say("planning the models");
    for model in engine.models().iter() {
        match engine.table(&model.id).await {
            Ok(_) => findings.models += 1,
            Err(error) => findings.fault("models", error)?,
        }
    }
    findings.warn_of_ungoverned(&engine.metrics());
    Ok(())
}

async fn check_sources(engine: &Engine, findings: &mut Findings, spinner: &Spinner) -> Result<()> {
    let metrics = engine.metrics();
    match engine.source_states().await {
        Ok(states) => {
            for state in states {
                let table = state.id.to_string();
                let found = state.found.unwrap_or_default();
                if state.found.is_none() {
                    findings.warnings.push(missing(&table, &metrics));
                }
                let (files, rows, bytes) = (found.files, found.rows, found.bytes);
                findings.tables.push(TableFinding { table, is_there: state.found.is_some(), files, rows, bytes });
            }
        }
        Err(error) => findings.fault("sources", error)?,
    }
    spinner.say("checking keys and values");
    match engine.check_rows().await {
        Ok(()) => Ok(()),
        Err(error) => findings.fault("rows", error),
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

impl Findings {
    /// Notes what is wrong with a part; what is wrong with topline itself ends the check.
    fn fault(&mut self, part: &'static str, error: Error) -> Result<()> {
        if error.kind() == ErrorKind::Internal {
            return Err(error);
        }
        let hint = error.hint().map(str::to_owned);
        self.errors.push(ErrorFinding { part, message: error.message().to_owned(), hint });
        Ok(())
    }

    fn warn_of_ungoverned(&mut self, metrics: &[Metric]) {
        let count = |is_missing: fn(&Metric) -> bool| metrics.iter().filter(|metric| is_missing(metric)).count();
        let owner = count(|metric| metric.entry.as_ref().is_none_or(|entry| entry.owner.is_none()));
        let target = count(|metric| metric.entry.as_ref().is_none_or(|entry| entry.target.is_none()));
        let plan = count(|metric| metric.entry.as_ref().is_none_or(|entry| entry.action_plan.is_none()));
        if owner + target + plan > 0 {
            self.warnings.push(format!(
                "of {} metrics, {owner} have no owner, {target} no target and {plan} no action plan; \
                 meta.metrics lists them",
                metrics.len()
            ));
        }
    }
}

fn text(findings: &Findings, terminal: &Terminal) -> String {
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
    for error in &findings.errors {
        text.push_str(&format!("{} {}\n", style.alarm("error:"), error.message));
        if let Some(hint) = &error.hint {
            text.push_str(&format!("{} {hint}\n", style.strong("hint:")));
        }
    }
    for warning in &findings.warnings {
        text.push_str(&format!("{} {warning}\n", style.caution("warning:")));
    }
    let (errors, warnings) = (findings.errors.len(), findings.warnings.len());
    text.push_str(&format!("{}, {}\n", counted(errors, "error"), counted(warnings, "warning")));
    text
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
