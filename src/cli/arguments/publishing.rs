//! What may be asked for of publishing.

use std::path::PathBuf;

use clap::Args;

use super::{ListFormat, TextFormat};
use crate::domain::month::Month;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline materialize                              all months that have ended, of all metrics
  topline materialize nrr mrr_movements --month 2026-09
  topline materialize --from 2026-01 --to 2026-06 --full
  topline query \"select month, nrr from published.nrr\"
  topline query \"select * from meta.restatements order by at desc limit 20\"

A month that was published is changed only where a number of it changed, and each such number is in
meta.restatements. All tables change at the same moment. Where a law of a metric is broken, the run
is held: nothing changes, meta.runs says which law, and the exit code is 1.")]
pub(in crate::cli) struct MaterializeArguments {
    /// Views of schema metrics [default: all whose tables there are]
    #[arg(value_name = "METRIC")]
    pub metrics: Vec<String>,
    /// This month alone, such as 2026-09
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "to"])]
    pub month: Option<Month>,
    /// Months from this one on
    #[arg(long, value_name = "MONTH", requires = "to")]
    pub from: Option<Month>,
    /// Months up to this one
    #[arg(long, value_name = "MONTH", requires = "from")]
    pub to: Option<Month>,
    /// All months that have ended, where files, SQL, settings or as_of changed: what is done without months
    #[arg(long, conflicts_with_all = ["month", "from", "to"])]
    pub due: bool,
    /// Compute and write months again that are as they should be
    #[arg(long)]
    pub full: bool,
    /// How to print what was done
    #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline close 2026-09 --reason \"board report of October\" --by ann
  topline reopen 2026-09 --reason \"credit note of customer 17\"
  topline query \"select month, metric, rows_pending from meta.published_months where is_closed\"

What would change of a closed month is pending, and is published by the first run after it was
opened again. Who, when and why is in meta.runs.")]
pub(in crate::cli) struct CloseArguments {
    /// Month such as 2026-09
    #[arg(value_name = "MONTH")]
    pub month: Month,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who decides it [default: the name of the user]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline verify
  topline verify nrr --month 2026-09
  topline verify --format json | jq '.months[] | select(.verdict == \"different\")'

The files of a month must hold what was recorded of them. Where the files and the SQL that it was
computed of are still the same, it is computed again, at the same instant and under the same
settings, and must come out the same. Exits 1 where a month differs.")]
pub(in crate::cli) struct VerifyArguments {
    /// Published metrics [default: all]
    #[arg(value_name = "METRIC")]
    pub metrics: Vec<String>,
    /// This month alone, such as 2026-09
    #[arg(long, value_name = "MONTH")]
    pub month: Option<Month>,
    /// How to print what was found
    #[arg(long, value_name = "text|json", value_enum, hide_possible_values = true, default_value_t = TextFormat::Text)]
    pub format: TextFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline export nrr --to nrr.parquet
  topline export published.nrr --to nrr.csv
  topline export \"select * from mrr where month = '2026-09-01'\" --to september.parquet
  topline export \"select * from as_of_version('nrr', 12)\" --to nrr_of_version_12.csv

The format is that of the file's extension: parquet, csv, json, ndjson or arrow. Rows are written as
they come, and the file is there once it is whole.")]
pub(in crate::cli) struct ExportArguments {
    /// A metric, SCHEMA.NAME, or a query
    #[arg(value_name = "METRIC|TABLE|SQL")]
    pub what: String,
    /// The file
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline vacuum
  topline vacuum --remove
  topline vacuum --older-than 30 --remove

Every version that the ledger names stays, so that as_of_version and as_of_time answer as before.
What goes are files of runs that died or gave way to others. Without --remove they are listed.")]
pub(in crate::cli) struct VacuumArguments {
    /// Only files that were last written so many days ago: longer than any run takes
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub older_than: u32,
    /// Take them away
    #[arg(long)]
    pub remove: bool,
    /// How to print them
    #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
}
