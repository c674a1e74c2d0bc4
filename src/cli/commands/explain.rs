//! `topline explain`: the source records that a number is made of, and that they add up to it.

use arrow::array::{Array, ArrayRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;

use super::query::write_rows;
use crate::cli::arguments::{ExplainArguments, RowFormat};
use crate::cli::output::format::Format;
use crate::cli::output::numbers::grouped;
use crate::cli::output::progress::Spinner;
use crate::cli::output::rows::Target;
use crate::cli::output::table::Preview;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::domain::names::counted;
use crate::engine::{Engine, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::parts::{Filter, Measure, day_of};

/// Rows of a table where nothing else is said: a screen.
const ROWS_SHOWN: u32 = 20;

/// Lists the records of a number.
///
/// # Errors
/// `Argument` with everything that is wrong with metric, period and condition, `NotFound` where the view has no such
/// period, and whatever running the queries gives.
pub(in crate::cli) async fn run(
    engine: &Engine,
    arguments: &ExplainArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let session = engine.session();
    let call = call(arguments);
    // Says what is wrong with the arguments, all at once.
    session.prepare(&format!("select * from {call}")).await?;
    let fault = |problem: String| Error::new(ErrorKind::Argument, problem);
    let measure = Measure::find(engine.models(), &arguments.metric).map_err(fault)?;
    let day = day_of(&arguments.month).map_err(fault)?;
    let filter = measure.filter(arguments.filter.as_deref()).map_err(|problems| fault(problems.join("; ")))?;
    let period = period(&session, &measure, &day).await?;
    let format = match arguments.format {
        RowFormat::Table => return table(&session, arguments, &measure, &filter, &period, terminal).await,
        RowFormat::Json => Format::Json,
        RowFormat::Csv => Format::Csv,
    };
    let rows = session.query(&listing(&call, "*", arguments.limit)).await?;
    write_rows(rows, Target { format, file: None }, terminal, &Spinner::hidden()).await?;
    Ok(Ending::Done)
}

fn call(arguments: &ExplainArguments) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let filter = arguments.filter.as_deref().map_or("null".to_owned(), quoted);
    format!("explain_metric({}, {}, {filter})", quoted(&arguments.metric), quoted(&arguments.month))
}

fn listing(call: &str, columns: &str, limit: Option<u32>) -> String {
    let limit = limit.map_or_else(String::new, |limit| format!(" limit {limit}"));
    format!(
        "select {columns} from {call} \
         order by abs(part) desc nulls last, abs(effect) desc nulls last, \
         abs(numerator) desc nulls last, table_name, source_key{limit}"
    )
}

/// Returns the first day of the period, which the view has.
async fn period(session: &Session, measure: &Measure<'_>, day: &str) -> Result<String> {
    let found = one_row(session, &measure.periods_sql(day)).await?;
    let [Some(period), first, last] = found.as_slice() else {
        return Err(Error::new(ErrorKind::Internal, "a view does not tell its periods"));
    };
    let view = &measure.model.id;
    match (first, last) {
        (Some(first), Some(last)) if first <= period && period <= last => Ok(period.clone()),
        (Some(first), Some(last)) => {
            Err(Error::new(ErrorKind::NotFound, format!("view \"{view}\" has no {} {period}", measure.period))
                .with_hint(format!("it goes from {first} to {last}")))
        }
        _ => Err(Error::new(ErrorKind::NotFound, format!("view \"{view}\" has no rows"))
            .with_hint("select metric, missing from meta.metrics says which tables are missing")),
    }
}

async fn table(
    session: &Session,
    arguments: &ExplainArguments,
    measure: &Measure<'_>,
    filter: &Filter,
    period: &str,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let call = call(arguments);
    let columns = match measure.is_ratio() {
        true => "table_name, source_key, label, part, numerator, denominator, effect",
        false => "table_name, source_key, label, part",
    };
    let limit = arguments.limit.unwrap_or(ROWS_SHOWN);
    let mut rows = session.query(&listing(&call, columns, Some(limit))).await?;
    let mut preview = Preview::new(rows.schema());
    while let Some(batch) = rows.try_next().await? {
        preview
            .add(&batch)
            .map_err(|cause| Error::new(ErrorKind::Query, "a value cannot be shown").with_source(cause))?;
    }
    // Not the sum of the parts, whose last digit depends on the order in which they are added.
    let whole = match measure.is_ratio() {
        true => "cast(sum(numerator) as double) / nullif(cast(sum(denominator) as double), 0)",
        false => "sum(part)",
    };
    let sums = "sum(numerator) as numerator, sum(denominator) as denominator";
    let sums = format!("count(*) as records, {whole} as whole, {sums}");
    let sums = one_row(session, &format!("select {sums} from {call}")).await?;
    let style = terminal.out.style;
    let mut text = style.strong(&format!("{} {period}", measure.dotted()));
    if let Some(entry) = &measure.model.sidecar.metric {
        text.push_str(&format!("  {}", entry.label));
    }
    text.push('\n');
    for condition in conditions(session, arguments, measure, filter).await? {
        text.push_str(&format!("where {condition}\n"));
    }
    text.push('\n');
    text.push_str(&preview.render(terminal.width(), style));
    text.push_str(&total(measure, &sums, preview.len()));
    text.push_str(&proof(session, measure, filter, period, &sums).await?);
    terminal.print(&text)?;
    Ok(Ending::Done)
}

/// Returns what the records are narrowed down to, in words of SQL.
async fn conditions(
    session: &Session,
    arguments: &ExplainArguments,
    measure: &Measure<'_>,
    filter: &Filter,
) -> Result<Vec<String>> {
    let mut conditions: Vec<String> = arguments.filter.clone().into_iter().collect();
    for (column, value) in measure.chosen(filter) {
        let value = one_row(session, &format!("select {value}")).await?;
        let value = value.into_iter().flatten().next().unwrap_or_default();
        conditions.push(format!("{column} = '{value}'"));
    }
    Ok(conditions)
}

/// Returns the line below the rows: how many there are, and what all of them add up to.
fn total(measure: &Measure<'_>, sums: &[Option<String>], shown: usize) -> String {
    let sum = |place: usize| sums.get(place).cloned().flatten().unwrap_or_else(|| "0".to_owned());
    let count: u64 = sum(0).parse().unwrap_or(u64::MAX);
    let records = counted(count, "record");
    let shown = if (shown as u64) < count { format!(", {} shown", grouped(shown as f64, 0)) } else { String::new() };
    if measure.is_ratio() {
        let value = sums.get(1).cloned().flatten().unwrap_or_else(|| "NULL".to_owned());
        format!("total of {records}{shown}: {} / {} = {value}\n", sum(2), sum(3))
    } else {
        format!("total of {records}{shown}: {}\n", sum(2))
    }
}

/// Returns what the view itself shows, where it has one number for the records.
async fn proof(
    session: &Session,
    measure: &Measure<'_>,
    filter: &Filter,
    period: &str,
    sums: &[Option<String>],
) -> Result<String> {
    let Some(sql) = measure.shown_sql(period, filter) else { return Ok(String::new()) };
    let shown = one_row(session, &sql).await?;
    let rows = shown.first().cloned().flatten();
    if measure.is_ratio() && rows.as_deref() != Some("1") {
        return Ok(String::new());
    }
    let value = shown.get(1).cloned().flatten();
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<f64>().ok());
    let parts = if measure.is_ratio() { &sums[1] } else { &sums[2] };
    let (of_view, of_parts) = (number(value.as_ref()), number(parts.as_ref()));
    let is_same = match (of_view, of_parts) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
        // A sum of nothing is 0 in a view, and a ratio without records NULL.
        (one, other) => one.unwrap_or(0.0) == other.unwrap_or(0.0),
    };
    let view = format!("{} of {}", measure.column, measure.model.id);
    let value = value.unwrap_or_else(|| "NULL".to_owned());
    Ok(match is_same {
        true => format!("which is {view}\n"),
        false => format!("which is not {view}, {value}: the metric's parts are wrong\n"),
    })
}

/// Returns the values of the one row of a query as texts.
async fn one_row(session: &Session, sql: &str) -> Result<Vec<Option<String>>> {
    let rows = session.query(sql).await?.collect().await?;
    let options = FormatOptions::default();
    let text = |column: &ArrayRef| -> Result<Option<String>> {
        if column.is_null(0) {
            return Ok(None);
        }
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options);
        let text = formatter.and_then(|formatter| formatter.value(0).try_to_string());
        text.map(Some).map_err(|cause| Error::new(ErrorKind::Query, "a value has no text").with_source(cause))
    };
    match rows.iter().find(|batch| batch.num_rows() > 0) {
        Some(batch) => batch.columns().iter().map(text).collect(),
        None => Err(Error::new(ErrorKind::Internal, "a query for one row gave none")),
    }
}
