//! `topline report`: the figures of a month on one page.
//!
//! `figures` says which figures there are and asks the engine for them, `text` puts them on 80 columns. No figure is
//! computed here: each is a column of a metric view, save the last line of the channels, which adds up the others.

mod channels;
mod figures;
mod text;
mod values;

use arrow::record_batch::RecordBatch;
use serde::Serialize;

use crate::cli::arguments::{ReportArguments, TextFormat};
use crate::cli::output::json::document;
use crate::cli::output::progress::Spinner;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::settings::{AS_OF, Value};
use crate::domain::clock::Clock;
use crate::domain::month::Month;
use crate::engine::{Engine, Session};
use crate::error::{Error, ErrorKind, Result};
use channels::Channel;
use figures::Figure;

/// Months of a trend, the one reported included: a year shows what belongs to the season.
const TREND_MONTHS: i32 = 12;

/// A month's figures.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(serialize_with = "as_text")]
    month: Month,
    /// Whether the month has ended; the figures of one that has not still move.
    is_complete: bool,
    as_of: String,
    currency: String,
    timezone: String,
    cac_model: String,
    figures: Vec<Figure>,
    channels: Vec<Channel>,
    /// Views without rows, because tables that they need are missing.
    unavailable: Vec<Unavailable>,
}

/// A view without rows.
#[derive(Debug, Serialize)]
struct Unavailable {
    view: String,
    missing: Vec<String>,
}

fn as_text<S: serde::Serializer>(month: &Month, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(month)
}

/// Prints a month's figures.
///
/// # Errors
/// `Argument` where the month is outside the data, and whatever running the views gives.
pub(in crate::cli) async fn run(
    engine: &Engine,
    arguments: &ReportArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let spinner = Spinner::start(terminal, "computing the figures");
    let report = gather(engine, arguments.month).await?;
    drop(spinner);
    let text = match arguments.format {
        TextFormat::Text => text::page(&report, terminal.out.style),
        TextFormat::Json => document(&report)?,
    };
    terminal.print(&text)?;
    Ok(Ending::Done)
}

async fn gather(engine: &Engine, asked: Option<Month>) -> Result<Report> {
    let (session, as_of) = fixed_session(engine)?;
    let settings = session.settings();
    let calendar = settings.calendar();
    let month = asked.unwrap_or_else(|| Month::of_day(calendar.day(as_of)).plus(-1));
    let cac_model = settings.text("cac.model").to_owned();
    let mut queries = figures::queries(month);
    let panels = queries.len();
    queries.extend(channels::queries(month, &cac_model));
    let mut results = run_all(&session, queries).await?;
    let of_channels = results.split_off(panels);
    let figures = figures::figures(month, &results)?;
    if figures.iter().all(|figure| figure.is_outside) {
        check_month(&session, month).await?;
    }
    Ok(Report {
        month,
        is_complete: calendar.start_of_day(month.plus(1).first_day()) <= as_of,
        as_of: settings.get(AS_OF).map(ToString::to_string).unwrap_or_default(),
        currency: settings.text("reporting.currency").to_owned(),
        timezone: settings.text("reporting.timezone").to_owned(),
        channels: channels::channels(&of_channels)?,
        unavailable: unavailable(engine),
        cac_model,
        figures,
    })
}

/// Returns a session whose `as_of` is fixed, so that all figures of the page look at the same world, and that instant.
fn fixed_session(engine: &Engine) -> Result<(Session, i64)> {
    let mut session = engine.session();
    let as_of = session.settings().as_of().unwrap_or_else(|| Clock::System.now_micros());
    session.set(AS_OF, &Value::Instant(Some(as_of)).to_string())?;
    Ok((session, as_of))
}

/// Runs queries side by side, and returns the rows of each.
async fn run_all(session: &Session, queries: Vec<String>) -> Result<Vec<Vec<RecordBatch>>> {
    let run = |sql: String| {
        let session = session.clone();
        tokio::spawn(async move { session.query(&sql).await?.collect().await })
    };
    let running: Vec<_> = queries.into_iter().map(run).collect();
    let mut results = Vec::with_capacity(running.len());
    for result in running {
        let rows = result
            .await
            .map_err(|cause| Error::new(ErrorKind::Internal, "a figure failed inside topline").with_source(cause))?;
        results.push(rows?);
    }
    Ok(results)
}

/// Refuses a month that no view has, with those that there are; without any there is nothing to refuse.
async fn check_month(session: &Session, month: Month) -> Result<()> {
    let ranges = run_all(session, figures::range_queries()).await?;
    let mut first: Option<Month> = None;
    let mut last: Option<Month> = None;
    for batch in ranges.iter().flatten() {
        if let (Some(low), Some(high)) = (values::month(batch, 0, 0)?, values::month(batch, 1, 0)?) {
            first = Some(first.map_or(low, |first| first.min(low)));
            last = Some(last.map_or(high, |last| last.max(high)));
        }
    }
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Argument,
        format!("month {month} is outside the data, which goes from {first} to {last}"),
    )
    .with_hint(format!("the last one is --month {last}")))
}

fn unavailable(engine: &Engine) -> Vec<Unavailable> {
    let used = figures::views().chain(channels::VIEWS);
    let names: Vec<_> = used.collect();
    engine
        .metrics()
        .into_iter()
        .filter(|metric| names.contains(&metric.name.as_str()) && !metric.missing.is_empty())
        .map(|metric| Unavailable { view: metric.name, missing: metric.missing })
        .collect()
}
