//! `topline sample`: the tables of a synthetic company.

use crate::cli::arguments::SampleArguments;
use crate::cli::output::numbers;
use crate::cli::output::progress;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::sample::{SampleOptions, write_sample};

/// Writes the tables, and says what was written.
///
/// # Errors
/// `Argument` where an option is out of bounds or the folder holds tables, `Storage` where a file cannot be written.
pub(in crate::cli) fn run(arguments: &SampleArguments, terminal: &Terminal) -> Result<Ending, Stop> {
    let options = SampleOptions { accounts: arguments.accounts, months: arguments.months, seed: arguments.seed };
    let bar = progress::bar(terminal, "the sample");
    let mut advance = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let summary = write_sample(&options, &arguments.out, &mut advance);
    bar.finish_and_clear();
    let summary = summary?;
    let rows: u64 = summary.tables.iter().map(|table| table.rows).sum();
    let bytes: u64 = summary.tables.iter().map(|table| table.bytes).sum();
    let config = arguments.out.join("topline.toml");
    terminal.print(&format!(
        "{} tables, {} rows, {}; to look at it:\ntopline report --config {}\n",
        summary.tables.len(),
        numbers::grouped(rows as f64, 0),
        numbers::bytes(bytes),
        config.display(),
    ))?;
    Ok(Ending::Done)
}
