//! `topline serve`: Flight SQL, and the jobs, until a signal ends it.

use std::net::SocketAddr;

use futures::{FutureExt, TryFutureExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::audit::{Act, AuditEntry};
use crate::cli::arguments::ServeArguments;
use crate::cli::signals::Signals;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::flight;
use crate::http::{self, Health};
use crate::jobs::Scheduler;

/// Serves until the first signal, then lets the calls that run come to their end; a second signal ends them.
///
/// # Errors
/// Those of opening the engine and of the server; `Interrupted` by a signal before it serves, or by a second one.
pub(in crate::cli) async fn run(
    config: Config,
    arguments: &ServeArguments,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let health = Health::default();
    let (quiet, is_quiet) = oneshot::channel::<()>();
    let watched = watched(config.http, health.clone(), is_quiet, terminal).await?;
    let served = served(config, arguments, signals, terminal, &health).await;
    // Whoever asks is told until the end that the server stops.
    drop(quiet);
    if let Some(watched) = watched {
        watched.await.map_err(|cause| broke_off("listener of health and metrics", cause))?;
    }
    served
}

/// Starts to answer about health and metrics, where that is configured.
async fn watched(
    address: Option<SocketAddr>,
    health: Health,
    is_quiet: oneshot::Receiver<()>,
    terminal: &Terminal,
) -> Result<Option<JoinHandle<()>>> {
    let Some(address) = address else { return Ok(None) };
    let listener = http::bind(address).await?;
    let listening = listener.local_addr().unwrap_or(address);
    terminal.note(&format!("health and metrics on http://{listening}"));
    Ok(Some(tokio::spawn(http::serve(listener, health, async { drop(is_quiet.await) }))))
}

async fn served(
    config: Config,
    arguments: &ServeArguments,
    signals: &mut Signals,
    terminal: &Terminal,
    health: &Health,
) -> Result<Ending, Stop> {
    let address = arguments.listen.unwrap_or(config.listen);
    let engine = tokio::select! {
        engine = super::open(config) => engine?,
        signal = signals.received() => return Err(Stop::Interrupted(signal)),
    };
    let scheduler = Scheduler::open(engine.clone())?;
    scheduler.require_channels()?;
    let listener = flight::bind(address, &engine).await?;
    // The port is known only now where any free one was asked for.
    let listening = listener.local_addr().unwrap_or(address);
    noted(&engine, Act::ServerStarted, &listening.to_string())?;
    terminal.note(&format!("listening on {listening}"));
    health.serving(engine.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        // The sender is dropped at the first signal, which is the message.
        let _ = stopped.await;
    }
    .shared();
    let serving = async {
        // A task of its own: planning what a job publishes must not keep clients waiting.
        let stopping = shutdown.clone();
        let working =
            tokio::spawn(async move { scheduler.serve(stopping).await }).map_err(|cause| broke_off("scheduler", cause));
        tokio::try_join!(flight::serve(engine.clone(), listener, shutdown), working)?;
        noted(&engine, Act::ServerStopped, &listening.to_string())
    };
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended.map(|()| Ending::Done)?),
        _ = signals.received() => drop(stop),
    }
    health.stopping();
    terminal.note("shutting down: calls and jobs that run come to their end; once more to end them now");
    tokio::select! {
        ended = &mut serving => Ok(ended.map(|()| Ending::Done)?),
        signal = signals.received() => Err(Stop::Interrupted(signal)),
    }
}

fn noted(engine: &Engine, act: Act, address: &str) -> Result<()> {
    engine.audit().record(&AuditEntry { act, user: None, address: None, object: address, outcome: "done" })
}

fn broke_off(what: &str, cause: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, format!("the {what} broke off"))
        .with_hint("this is a fault of topline: report it with the log")
        .with_source(cause)
}
