//! What may be asked for on the command line.

mod access;
mod jobs;
mod publishing;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::output::format::Format;
use crate::domain::month::Month;
pub(super) use access::{AccessArguments, RightsArguments, TokenArguments, TokenCommand, UserArguments, UserCommand};
pub(super) use jobs::{JobsArguments, JobsCommand};
pub(super) use publishing::{CloseArguments, ExportArguments, MaterializeArguments, VacuumArguments, VerifyArguments};

/// The revenue warehouse in one binary: CRM, billing and campaign Parquet in, trusted RevOps metrics out.
///
/// Without a configuration it works on a sample that it brings along.
#[derive(Debug, Parser)]
#[command(name = "topline", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  topline report                                   the month's figures
  topline query \"select month, nrr from nrr\"       any question in SQL
  topline explain nrr --month 2026-09              which accounts made a number
  topline check                                    whether sources, models and figures are right
  topline materialize                              publish the months that have ended
  topline serve                                    for BI tools, over Flight SQL

The configuration is --config FILE, else ./topline.toml, else the sample.
TOPLINE_<SECTION>_<KEY> overrides a key, TOPLINE_LOG=info says more of what happens, TOPLINE_LOG_FORMAT=json in JSON.
Exit codes: 0 done, 1 something to mend, 2 a fault of topline.")]
pub(super) struct Arguments {
    /// Configuration file [default: ./topline.toml, else the sample]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// When to colour the output; auto is on a terminal without NO_COLOR
    #[arg(long, value_name = "auto|always|never", global = true, value_enum, hide_possible_values = true,
        default_value_t = ColorWhen::Auto)]
    pub color: ColorWhen,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// When to colour the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the figures of a month with their trend
    Report(ReportArguments),
    /// Run SQL and write its rows
    Query(QueryArguments),
    /// List tables and views
    Tables(TablesArguments),
    /// Describe a table or view: what a row is, and every column
    Describe(DescribeArguments),
    /// List the records that a number is made of
    Explain(ExplainArguments),
    /// Compare the metrics of two configurations or model folders
    Diff(DiffArguments),
    /// Publish months of metrics as tables that do not move
    Materialize(MaterializeArguments),
    /// Close a month: its published numbers stay as they are
    Close(CloseArguments),
    /// Open a closed month again
    Reopen(CloseArguments),
    /// Hold published months against what was recorded, and compute them again
    Verify(VerifyArguments),
    /// Run, list and watch jobs: what is published when
    Jobs(JobsArguments),
    /// Write a metric, a table or the rows of a query into a file
    Export(ExportArguments),
    /// List or take away the files of the warehouse that nobody can ask for any more
    Vacuum(VacuumArguments),
    /// Print the physical plan of a query
    ExplainPlan(ExplainPlanArguments),
    /// Check configuration, sources, models and the laws of views, and list every problem
    Check(CheckArguments),
    /// Write the tables of a synthetic company
    Sample(SampleArguments),
    /// Serve Flight SQL until Ctrl-C or SIGTERM
    Serve(ServeArguments),
    /// Add, list and remove the users of servers
    User(UserArguments),
    /// Make, list and remove tokens by which programs log in
    Token(TokenArguments),
    /// Show what a user of servers sees, and why
    Access(AccessArguments),
    /// Print the completions of a shell
    Completion(CompletionArguments),
}

/// Text for people, JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TextFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A table for people, JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline report
  topline report --month 2026-09
  topline report --format json | jq '.figures[] | {name, value}'")]
pub(super) struct ReportArguments {
    /// Month such as 2026-10 [default: the last one that has ended]
    #[arg(long, value_name = "MONTH")]
    pub month: Option<Month>,
    /// How to print it
    #[arg(long, value_name = "text|json", value_enum, hide_possible_values = true, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline query \"select month, nrr, grr from nrr order by month\"
  topline query \"set topline.attribution.lookback_days = 30; select * from cac\"
  topline query -f cohorts.sql --output cohorts.parquet
  echo \"select * from meta.metrics\" | topline query - --format ndjson

Names without a schema are those of metrics. Before the query, settings of this call may be set.

Formats:
  table    as wide as the terminal, the first rows only; the default on a terminal
  csv      header always, NULL is an empty field and an empty text \"\"; the default otherwise
  json     one array of objects; decimals are numbers with all their digits,
           so read them as decimals to keep them
  ndjson   the same objects, one a line
  parquet  zstd
  arrow    Arrow IPC: the file format into a file, the stream format to standard output

A file is written under another name and renamed at its end: it is whole, or not there.")]
pub(super) struct QueryArguments {
    /// The SQL; - reads it from standard input
    #[arg(value_name = "SQL", required_unless_present = "file", conflicts_with = "file")]
    pub sql: Option<String>,
    /// File that holds the SQL; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Format of the rows [default: by the file's extension, else table on a terminal, else csv]
    #[arg(long, value_enum, hide_possible_values = true)]
    pub format: Option<Format>,
    /// File to write the rows to
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Run it as this user of servers would
    #[arg(long = "as", value_name = "USER")]
    pub user: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline tables
  topline tables --schema metrics --format json")]
pub(super) struct TablesArguments {
    /// Only those of this schema
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Option<String>,
    /// How to print them
    #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline describe nrr
  topline describe crm.opportunities --format json")]
pub(super) struct DescribeArguments {
    /// SCHEMA.NAME, or NAME of schema metrics
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How to print it
    #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
}

/// A table for people, rows for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RowFormat {
    /// For people.
    Table,
    /// One JSON array.
    Json,
    /// Comma-separated values.
    Csv,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline explain nrr --month 2026-09
  topline explain nrr.churn --month 2026-09 --where \"segment = 'enterprise'\"
  topline explain cac_by_channel --month 2026-09 --where \"channel = 'events'\"
  topline explain mrr_movements.expansion --month 2026-09 --format csv

A row for each source record, the largest part first. The parts of a sum are its amounts; those of
a ratio are numerator / sum of denominators, which add up to it, and effect is the ratio less what
it would be without the record. Known are metrics that are sums or ratios of sums.

In SQL: select * from explain_metric('nrr', '2026-09', 'segment = ''enterprise''')
by dimension: select * from metric_by('nrr', 'segment')
dimensions: select metric, dimensions from meta.metrics")]
pub(super) struct ExplainArguments {
    /// A metric, or VIEW.COLUMN
    #[arg(value_name = "METRIC")]
    pub metric: String,
    /// Month such as 2026-09, or a day of it; of a weekly view a day of the week
    #[arg(long, value_name = "MONTH")]
    pub month: String,
    /// Only records of which this is true: a condition on dimensions
    #[arg(long = "where", value_name = "CONDITION")]
    pub filter: Option<String>,
    /// Rows to show [default: 20 in a table, else all]
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<u32>,
    /// How to print them
    #[arg(long, value_name = "table|json|csv", value_enum, hide_possible_values = true,
        default_value_t = RowFormat::Table)]
    pub format: RowFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline diff --against ../before/topline.toml
  topline diff --against new_models cac cac_by_channel
  topline diff --against new_models --format json | jq '.metrics[] | select(.changed > 0)'

Before is the configuration of this call. After is what --against names: another configuration, or
a folder of models that takes the place of the configured one. Both are read as of the same instant.
Rows are matched by the key of the view; doubles that are within 1e-9 of each other are the same.
Exits 0 whether anything differs or not, as a report does, and 1 where something is wrong.")]
pub(super) struct DiffArguments {
    /// A configuration file, or a folder of models
    #[arg(long, value_name = "FILE|DIR")]
    pub against: PathBuf,
    /// Views of schema metrics [default: all]
    #[arg(value_name = "METRIC")]
    pub metrics: Vec<String>,
    /// Differences to show for each metric
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: u32,
    /// How to print it
    #[arg(long, value_name = "text|json", value_enum, hide_possible_values = true, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline explain-plan \"select * from cac_by_channel where model = 'linear'\"")]
pub(super) struct ExplainPlanArguments {
    /// The SQL; - reads it from standard input
    #[arg(value_name = "SQL")]
    pub sql: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline check
  topline check cac nrr                            the laws of these views alone
  topline check --records                          every number against the records that it is made of, too
  topline check --targets                          what is off target, and whose it is
  topline check --config production.toml --format json
  topline check --format json | jq '.laws[] | select(.state != \"kept\")'

Exits 1 where there is an error, 0 where there are warnings at most. What is off target is no error.")]
pub(super) struct CheckArguments {
    /// Check the laws of these views alone: SCHEMA.NAME, or NAME of schema metrics
    #[arg(value_name = "VIEW")]
    pub views: Vec<String>,
    /// Print instead what is off target, with owner and action plan, and the metrics that nobody answers for
    #[arg(long, conflicts_with_all = ["views", "records"])]
    pub targets: bool,
    /// Hold every number against the records that it is made of too, as `topline explain` shows them
    #[arg(long)]
    pub records: bool,
    /// How to print what was found
    #[arg(long, value_name = "text|json", value_enum, hide_possible_values = true, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline sample --out company
  topline sample --accounts 100000 --months 36 --seed 11 --out big
  topline report --config company/topline.toml

The same options give the same bytes. The folder must not hold such tables already.")]
pub(super) struct SampleArguments {
    /// Accounts in the CRM, 1 to 10000000
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub accounts: u64,
    /// Months of history up to October 2026, 1 to 240
    #[arg(long, value_name = "M", default_value_t = 30)]
    pub months: u32,
    /// What makes one company differ from another
    #[arg(long, value_name = "S", default_value_t = 7)]
    pub seed: u64,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline serve
  topline serve --listen 127.0.0.1:0      any free port; it is printed
  TOPLINE_HTTP_ADDRESS=127.0.0.1:9090 topline serve           with health and metrics
  TOPLINE_TRACES_ENDPOINT=http://127.0.0.1:4318 topline serve  calls are told to a collector")]
pub(super) struct ServeArguments {
    /// Address and port [default: that of the configuration, else 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline completion bash > ~/.local/share/bash-completion/completions/topline
  topline completion zsh > ~/.zfunc/_topline")]
pub(super) struct CompletionArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
