//! `topline serve`: Flight SQL, and the jobs, until a signal ends it.

use futures::{FutureExt, TryFutureExt};
use tokio::sync::oneshot;

use crate::cli::arguments::ServeArguments;
use crate::cli::signals::Signals;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::flight;
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
    terminal.note(&format!("listening on {listening}"));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        // The sender is dropped at the first signal, which is the message.
        let _ = stopped.await;
    }
    .shared();
    let serving = async {
        // A task of its own: planning what a job publishes must not keep clients waiting.
        let stopping = shutdown.clone();
        let working = tokio::spawn(async move { scheduler.serve(stopping).await }).map_err(broke_off);
        tokio::try_join!(flight::serve(engine, listener, shutdown), working).map(|_| ())
    };
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended.map(|()| Ending::Done)?),
        _ = signals.received() => drop(stop),
    }
    terminal.note("shutting down: calls and jobs that run come to their end; once more to end them now");
    tokio::select! {
        ended = &mut serving => Ok(ended.map(|()| Ending::Done)?),
        signal = signals.received() => Err(Stop::Interrupted(signal)),
    }
}

fn broke_off(cause: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "the scheduler broke off")
        .with_hint("this is a fault of topline: report it with the log")
        .with_source(cause)
}
