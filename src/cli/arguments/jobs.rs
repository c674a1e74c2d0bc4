//! What may be asked for of jobs.

use clap::{Args, Subcommand};

use super::ListFormat;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline jobs list
  topline jobs history nightly --limit 50
  topline jobs watch
  topline jobs run nightly                         from cron, systemd or Airflow
  topline query \"select * from meta.job_ticks where state = 'dead'\"

Jobs are the [[jobs]] of the configuration. topline serve runs them when they are due; any number of
processes may do so on one warehouse, and each tick is run once.")]
pub(in crate::cli) struct JobsArguments {
    /// What to do
    #[command(subcommand)]
    pub command: JobsCommand,
}

impl JobsArguments {
    /// Returns whether there is something to give back where a signal ends the command: the tick that it runs.
    pub fn gives_back(&self) -> bool {
        matches!(self.command, JobsCommand::Run { .. })
    }
}

/// What is done with jobs.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum JobsCommand {
    /// Run what a job owes, and wait for its end
    #[command(after_help = "\
Examples:
  topline jobs run nightly
  topline jobs run nightly --now                   whether a tick is owed or not
  topline jobs run nightly --again                 the ticks that were given up

Ticks that another process is at are awaited. Exits 0 where all is done or nothing was owed, and 1
where a run was held by a broken law, or given up.")]
    Run {
        /// The job
        #[arg(value_name = "NAME")]
        name: String,
        /// Run it whether a tick is owed or not
        #[arg(long, conflicts_with = "again")]
        now: bool,
        /// Run the ticks again that were given up
        #[arg(long)]
        again: bool,
        /// How to print what was done
        #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true,
            default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// List the jobs: when they are due next, what became of the last tick, and how they stand
    List {
        /// How to print them
        #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true,
            default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// List what became of ticks, the newest first
    History {
        /// The job [default: all]
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Ticks to list of each job
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// How to print them
        #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true,
            default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Watch the jobs in a terminal until Ctrl-C
    Watch,
}
