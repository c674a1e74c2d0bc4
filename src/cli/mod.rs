//! The command line: arguments in, text and rows out, exit codes.
//!
//! It owns every word that a person reads in a terminal, and is the only module that names clap or prints. It must not
//! know how a figure is computed: each command asks the engine and writes what comes back. Start at [`main`]; what may
//! be asked for is in `arguments`, each command in a file of `commands`, and how rows become text in `output`.
//!
//! Exit codes: 0 done, 1 something that the user can mend, 2 a fault of topline, 130 and 143 ended by a signal.

mod arguments;
mod commands;
mod log;
mod output;
mod signals;
mod stop;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as UsageFault;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::config::{Config, Environment};
use crate::engine::{STACK_BYTES, limit_of_panic};
use crate::error::{Error, ErrorKind, Result};
use arguments::{Arguments, Command};
use signals::Signals;
use stop::{Ending, Stop};
use terminal::Terminal;

/// Runs the command that the arguments of the process name, and returns its exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            // A reader that has left needs no help.
            let _ = usage.print();
            let is_asked_for = matches!(usage.kind(), UsageFault::DisplayHelp | UsageFault::DisplayVersion);
            return if is_asked_for { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    let environment = Environment::of_process();
    let terminal = Terminal::new(arguments.color, &environment);
    match start(arguments, &environment, &terminal) {
        Ok(ending) => ending.exit_code(),
        Err(stop) => stop.exit(&terminal),
    }
}

fn start(arguments: Arguments, environment: &Environment, terminal: &Terminal) -> Result<Ending, Stop> {
    log::start(environment, terminal)?;
    match arguments.command {
        Command::Completion(completion) => return commands::completion::run(&completion, terminal),
        Command::Sample(sample) => return commands::sample::run(&sample, terminal),
        _ => {}
    }
    let config = Config::load(arguments.config.as_deref(), environment);
    let threads = config.as_ref().map_or(1, |config| config.limits.threads);
    let runtime = runtime(threads)?;
    let (command, on_runtime) = (arguments.command, terminal.clone());
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        if let Command::Serve(serve) = command {
            return commands::serve::run(config?, &serve, &mut signals, &on_runtime).await;
        }
        let gives_back = matches!(&command, Command::Jobs(jobs) if jobs.gives_back());
        let (stop, stopped) = oneshot::channel::<()>();
        let mut work = tokio::spawn(commands::run(command, config, on_runtime.clone(), stopped));
        let signal = tokio::select! {
            ended = &mut work => return ended.unwrap_or_else(|cause| Err(bug(cause).into())),
            signal = signals.received() => signal,
        };
        on_runtime.unfinished.discard();
        drop(stop);
        if gives_back {
            tokio::select! {
                _ = work => {}
                _ = signals.received() => {}
            }
        }
        Err(Stop::Interrupted(signal))
    });
    // What still runs was interrupted, or is of no use to anyone.
    runtime.shutdown_background();
    ended
}

fn bug(cause: tokio::task::JoinError) -> Error {
    let of_topline = || {
        Error::new(ErrorKind::Internal, "the command failed inside topline")
            .with_hint("this is a fault of topline: report it with the command that was run")
    };
    limit_of_panic(&cause.to_string()).unwrap_or_else(of_topline).with_source(cause)
}

fn runtime(threads: usize) -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|cause| Error::new(ErrorKind::Internal, "the threads cannot be started").with_source(cause))
}
