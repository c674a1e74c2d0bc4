//! A command in each file: arguments in, what it says out.

pub(super) mod access;
pub(super) mod check;
pub(super) mod close;
pub(super) mod completion;
pub(super) mod describe;
pub(super) mod diff;
pub(super) mod explain;
pub(super) mod explain_plan;
pub(super) mod export;
pub(super) mod jobs;
pub(super) mod materialize;
pub(super) mod query;
pub(super) mod report;
pub(super) mod sample;
pub(super) mod serve;
pub(super) mod tables;
pub(super) mod user;
pub(super) mod vacuum;
pub(super) mod verify;

use tokio::sync::oneshot;

use crate::cli::arguments::Command;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

/// Runs a command that ends by itself and may be interrupted: one that has something to give back is told to stop.
///
/// # Errors
/// Those of the command.
pub(super) async fn run(
    command: Command,
    config: Result<Config>,
    terminal: Terminal,
    stopped: oneshot::Receiver<()>,
) -> Result<Ending, Stop> {
    match command {
        Command::Check(arguments) => check::run(config, &arguments, &terminal).await,
        Command::Query(arguments) => query::run(config?, arguments, &terminal).await,
        Command::Export(arguments) => query::run(config?, export::query(arguments), &terminal).await,
        Command::Vacuum(arguments) => vacuum::run(&open(config?).await?, &arguments, &terminal).await,
        Command::ExplainPlan(arguments) => explain_plan::run(config?, &arguments, &terminal).await,
        Command::Report(arguments) => report::run(&open(config?).await?, &arguments, &terminal).await,
        Command::Explain(arguments) => explain::run(&open(config?).await?, &arguments, &terminal).await,
        Command::Diff(arguments) => diff::run(config?, &arguments, &terminal).await,
        Command::Tables(arguments) => tables::run(&open(config?).await?, &arguments, &terminal).await,
        Command::Describe(arguments) => describe::run(&open(config?).await?, &arguments, &terminal).await,
        Command::User(arguments) => user::run(config, arguments, &terminal),
        Command::Access(arguments) => access::run(&open(config?).await?, &arguments, &terminal).await,
        Command::Token(arguments) => user::run_token(config, arguments, &terminal),
        Command::Materialize(arguments) => materialize::run(&open(config?).await?, &arguments, &terminal).await,
        Command::Jobs(arguments) => jobs::run(config?, &arguments, &terminal, stopped).await,
        Command::Close(arguments) => close::close(&open(config?).await?, &arguments, &terminal).await,
        Command::Reopen(arguments) => close::reopen(&open(config?).await?, &arguments, &terminal).await,
        Command::Verify(arguments) => verify::run(&open(config?).await?, &arguments, &terminal).await,
        Command::Serve(_) | Command::Sample(_) | Command::Completion(_) => {
            Err(Error::new(ErrorKind::Internal, "this command is not run this way").into())
        }
    }
}

/// Opens an engine with all tables of schema `meta`.
///
/// # Errors
/// As [`Engine::open`].
async fn open(config: Config) -> Result<Engine> {
    let engine = Engine::open(config).await?;
    crate::jobs::hand_over(&engine);
    Ok(engine)
}
