//! `topline query`: SQL in, rows out, a batch at a time.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use futures::TryStreamExt;

use crate::cli::arguments::QueryArguments;
use crate::cli::output::format::Format;
use crate::cli::output::numbers::grouped;
use crate::cli::output::progress::Spinner;
use crate::cli::output::rows::{RowWriter, Target};
use crate::cli::output::table::Preview;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Config;
use crate::domain::names::counted;
use crate::engine::{Outcome, QueryStream};
use crate::error::{Error, ErrorKind, Result};

/// The most that is read of a text of SQL: one byte more than the engine takes, so that it says what is wrong.
const SQL_READ_BYTES_MAX: u64 = (1 << 20) + 1;

/// Runs a query and writes its rows.
///
/// # Errors
/// `Argument` where the format or the SQL's file is wrong, and whatever running the query and writing its rows gives.
pub(in crate::cli) async fn run(
    config: Config,
    arguments: QueryArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let target = target(&arguments, terminal)?;
    let sql = match (&arguments.sql, &arguments.file) {
        (Some(sql), _) if sql != "-" => sql.clone(),
        (_, Some(file)) if file != Path::new("-") => read_file(file)?,
        _ => read_stdin()?,
    };
    // Rows that run over the screen are sign enough.
    let is_seen = target.file.is_none() && target.format != Format::Table && terminal.out.is_terminal;
    let spinner = if is_seen { Spinner::hidden() } else { Spinner::start(terminal, "running") };
    let engine = super::open(config).await?;
    let engine = match &arguments.user {
        Some(name) => engine.as_user(&super::access::caller(&engine, name)?).await?,
        None => engine,
    };
    let rows = match engine.session().run(&sql).await? {
        Outcome::Rows(rows) => rows,
        Outcome::Written(rows) => {
            drop(spinner);
            let said = if rows == 0 { "done".to_owned() } else { format!("{} written", counted(rows, "row")) };
            terminal.note(&said);
            return Ok(Ending::Done);
        }
        Outcome::Set => {
            terminal.note("note: the settings are right, and lost with this call; put a query behind them");
            return Ok(Ending::Done);
        }
    };
    if target.format == Format::Table {
        write_table(rows, &target, terminal, spinner).await?;
    } else {
        write_rows(rows, target, terminal, &spinner).await?;
    }
    Ok(Ending::Done)
}

/// Reads SQL from standard input.
///
/// # Errors
/// `Argument` where it cannot be read.
pub(super) fn read_stdin() -> Result<String> {
    read(io::stdin().lock(), "standard input")
}

fn read_file(path: &Path) -> Result<String> {
    let name = format!("SQL file \"{}\"", path.display());
    let file = File::open(path)
        .map_err(|cause| Error::new(ErrorKind::Argument, format!("{name} cannot be read")).with_source(cause))?;
    read(file, &name)
}

fn read(from: impl Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    from.take(SQL_READ_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|cause| Error::new(ErrorKind::Argument, format!("{name} cannot be read")).with_source(cause))?;
    String::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::Argument, format!("{name}: expected text in UTF-8, found other bytes")))
}

fn target(arguments: &QueryArguments, terminal: &Terminal) -> Result<Target> {
    let format = match (arguments.format, &arguments.output) {
        (Some(format), _) => format,
        (None, Some(file)) => Format::of_file(file)?,
        (None, None) if terminal.out.is_terminal => Format::Table,
        (None, None) => Format::Csv,
    };
    if format.is_binary() && arguments.output.is_none() && terminal.out.is_terminal {
        return Err(Error::new(ErrorKind::Argument, format!("a terminal cannot show {}", format.name()))
            .with_hint("name a file with --output FILE, or pipe it into a program"));
    }
    Ok(Target { format, file: arguments.output.clone() })
}

/// Writes rows in a format that is no table, a batch at a time.
///
/// # Errors
/// Those of the query and of the destination.
pub(super) async fn write_rows(
    mut rows: QueryStream,
    target: Target,
    terminal: &Terminal,
    spinner: &Spinner,
) -> Result<(), Stop> {
    let destination = target.open(&terminal.unfinished)?;
    // A query that fails at once leaves standard output empty, and not with a header.
    let mut next = rows.try_next().await?;
    let mut writer = RowWriter::start(target, destination, rows.schema())?;
    while let Some(batch) = next {
        writer.write(&batch)?;
        spinner.say(rows_so_far(&rows));
        next = rows.try_next().await?;
    }
    writer.finish()
}

async fn write_table(
    mut rows: QueryStream,
    target: &Target,
    terminal: &Terminal,
    spinner: Spinner,
) -> Result<(), Stop> {
    let mut preview = Preview::new(rows.schema());
    while !preview.is_full()
        && let Some(batch) = rows.try_next().await?
    {
        preview
            .add(&batch)
            .map_err(|cause| Error::new(ErrorKind::Query, "a value cannot be shown").with_source(cause))?;
        spinner.say(rows_so_far(&rows));
    }
    if target.file.is_some() {
        let mut text = preview.render(None, crate::cli::output::style::Style::Plain);
        text.push_str(&rest(&count(rows).await?, &preview));
        return target.write_text(&text, &terminal.unfinished);
    }
    drop(spinner);
    terminal.print(&preview.render(terminal.width(), terminal.out.style))?;
    let rest = rest(&count(rows).await?, &preview);
    terminal.print(&rest)
}

/// Runs a query to its end, and returns how many rows it has.
async fn count(mut rows: QueryStream) -> Result<u64> {
    while rows.try_next().await?.is_some() {}
    Ok(rows.statistics().rows)
}

fn rest(rows: &u64, preview: &Preview) -> String {
    let shown = preview.len() as u64;
    match rows.saturating_sub(shown) {
        0 if *rows == 1 => "1 row\n".to_owned(),
        0 => format!("{} rows\n", grouped(*rows as f64, 0)),
        more => format!("… {} more rows, --format csv shows all\n", grouped(more as f64, 0)),
    }
}

fn rows_so_far(rows: &QueryStream) -> String {
    format!("{} rows", grouped(rows.statistics().rows as f64, 0))
}
