//! `topline check`: whether configuration, sources, models and the rows of views are right, with every problem at once.

mod findings;
mod targets;
mod text;

use crate::catalog::TableId;
use crate::cli::arguments::{CheckArguments, TextFormat};
use crate::cli::output::json::document;
use crate::cli::output::progress::Spinner;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Config;
use crate::engine::laws::{Law, LawScope};
use crate::engine::{DEFAULT_SCHEMA, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Scheduler;
use findings::Findings;

/// Checks everything that can be checked before a query asks for it.
///
/// # Errors
/// `Internal` where topline itself fails; what is wrong with configuration, sources and models is printed.
pub(in crate::cli) async fn run(
    config: Result<Config>,
    arguments: &CheckArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    if arguments.targets {
        let engine = super::open(config?).await?;
        let targets = targets::read(&engine).await?;
        let text = match arguments.format {
            TextFormat::Text => targets.text(terminal),
            TextFormat::Json => document(&targets)?,
        };
        terminal.print(&text)?;
        return Ok(Ending::Done);
    }
    let mut findings = Findings::default();
    let spinner = Spinner::start(terminal, "opening the sources");
    match config {
        Ok(config) => check(config, arguments, &mut findings, &spinner).await?,
        Err(error) => findings.fault("configuration", &error)?,
    }
    findings.is_right = findings.errors.is_empty();
    drop(spinner);
    let text = match arguments.format {
        TextFormat::Text => text::text(&findings, terminal),
        TextFormat::Json => document(&findings)?,
    };
    terminal.print(&text)?;
    Ok(if findings.is_right { Ending::Done } else { Ending::ProblemsFound })
}

async fn check(
    config: Config,
    arguments: &CheckArguments,
    findings: &mut Findings,
    spinner: &Spinner,
) -> Result<(), Stop> {
    let Some(engine) = open(config, findings).await? else { return Ok(()) };
    if arguments.views.is_empty() {
        check_sources(&engine, findings, spinner).await?;
        spinner.say("planning the models");
        for model in engine.models().iter() {
            match engine.table(&model.id).await {
                Ok(_) => findings.models += 1,
                Err(error) => findings.fault("models", &error)?,
            }
        }
        findings.warn_of_ungoverned(&engine.metrics());
    }
    // Laws about rows that are wrong already would say the same once more.
    if findings.errors.is_empty() {
        let views = chosen(&engine, &arguments.views).await?;
        let scope = if arguments.records { LawScope::ViewsAndRecords } else { LawScope::Views };
        let laws = engine.laws(scope).into_iter().filter(|law| views.contains(&law.view)).collect();
        check_laws(&engine, laws, findings, spinner).await?;
    }
    Ok(())
}

/// Opens the engine; what keeps it from opening is a finding.
async fn open(config: Config, findings: &mut Findings) -> Result<Option<Engine>> {
    findings.configuration =
        config.file.as_ref().map_or_else(|| "the sample".to_owned(), |file| file.display().to_string());
    match super::open(config).await {
        Ok(engine) => {
            if let Err(error) = Scheduler::open(engine.clone()) {
                findings.fault("configuration", &error)?;
            }
            Ok(Some(engine))
        }
        Err(error) => {
            let part = match error.kind() {
                ErrorKind::Model => "models",
                ErrorKind::Config => "configuration",
                _ => "sources",
            };
            findings.fault(part, &error)?;
            Ok(None)
        }
    }
}

/// Returns the views that are named, or all.
async fn chosen(engine: &Engine, names: &[String]) -> Result<Vec<TableId>> {
    let mut chosen = Vec::new();
    for name in names {
        let lower = name.to_lowercase();
        let (schema, table) = lower.split_once('.').unwrap_or((DEFAULT_SCHEMA, &lower));
        let id = TableId { schema: schema.to_owned(), name: table.to_owned() };
        engine.table(&id).await?;
        if engine.models().get(&id).is_none() {
            return Err(Error::new(ErrorKind::Argument, format!("\"{id}\" is a table, and has no laws"))
                .with_hint("topline check without a name checks the tables too"));
        }
        chosen.push(id);
    }
    if chosen.is_empty() {
        chosen.extend(engine.models().iter().map(|model| model.id.clone()));
    }
    Ok(chosen)
}

async fn check_sources(engine: &Engine, findings: &mut Findings, spinner: &Spinner) -> Result<()> {
    match engine.source_states().await {
        Ok(states) => findings.note_tables(states, &engine.metrics()),
        Err(error) => findings.fault("sources", &error)?,
    }
    spinner.say("checking keys and values");
    match engine.check_rows().await {
        Ok(()) => Ok(()),
        Err(error) => findings.fault("rows", &error),
    }
}

async fn check_laws(engine: &Engine, laws: Vec<Law>, findings: &mut Findings, spinner: &Spinner) -> Result<()> {
    let (mut tried, count) = (0, laws.len());
    let outcomes = engine
        .check_laws(laws, |law| {
            tried += 1;
            spinner.say(format!("law {tried} of {count}: {} of {}", law.name, law.view));
        })
        .await?;
    findings.note_laws(&outcomes);
    Ok(())
}
