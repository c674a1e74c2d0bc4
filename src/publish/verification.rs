//! Whether what is published is what was published, and what the metric's SQL gives on the files that it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use futures::TryStreamExt;

use super::compute::by_month;
use super::digest::Digest;
use super::outcome::parts_of;
use super::restating::key_text;
use super::{Progress, Step, compute, metrics_of};
use crate::domain::month::Month;
use crate::domain::names::counted;
use crate::engine::comparison::Changes;
use crate::engine::published::basis::{Conditions, Observation, files_between, recorded_files};
use crate::engine::published::entry::{Basis, TableState, WHOLE};
use crate::engine::published::scope::Scope;
use crate::engine::published::view::View;
use crate::engine::published::{MONTH, PUBLISHED, RUN_ID};
use crate::engine::{Engine, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Part, Table, converted};

/// What was found of a published month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The metric.
    pub metric: String,
    /// The month: `2026-03`, or `all`.
    pub month: String,
    /// What was found.
    pub verdict: Verdict,
}

/// Whether a published month is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its rows are those that were published, and those that computing it again gives.
    Same,
    /// Its rows are those that were published; it cannot be computed again, and why.
    Kept(String),
    /// What is wrong.
    Different(String),
}

/// Holds published months against what was recorded of them, and computes them again where the files are still there.
///
/// # Errors
/// `NotFound` where a metric does not exist or nothing is published, `Storage` where the warehouse cannot be read.
pub async fn verify(
    engine: &Engine,
    metrics: &[String],
    month: Option<Month>,
    progress: Progress<'_>,
) -> Result<Vec<Finding>> {
    let Some(entry) = engine.newest_entry().await?.filter(|entry| !entry.state.tables.is_empty()) else {
        return Err(Error::new(ErrorKind::NotFound, "nothing is published").with_hint("topline materialize publishes"));
    };
    let wanted = if metrics.is_empty() { Vec::new() } else { metrics_of(engine, metrics)? };
    let tables: Vec<_> =
        entry.state.tables.iter().filter(|(metric, _)| wanted.is_empty() || wanted.contains(*metric)).collect();
    let mut findings = Vec::new();
    for (place, (metric, state)) in tables.iter().enumerate() {
        progress(Step::Computing(metric, place, tables.len()));
        let months = state.months.keys().filter(|known| month.is_none_or(|month| **known == month.to_string()));
        let months: Vec<String> = months.cloned().collect();
        if months.is_empty() {
            continue;
        }
        findings.extend(of_metric(engine, metric, state, months).await?);
    }
    if findings.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "nothing that was asked for is published")
            .with_hint("select metric, month from meta.published_months lists what is"));
    }
    Ok(findings)
}

/// A published metric.
struct Published<'a> {
    engine: &'a Engine,
    view: View,
    table: Table,
    state: &'a TableState,
    parts: Vec<Part>,
}

async fn of_metric(engine: &Engine, metric: &str, state: &TableState, months: Vec<String>) -> Result<Vec<Finding>> {
    let finding = |month: &str, verdict| Finding { metric: metric.to_owned(), month: month.to_owned(), verdict };
    let mut view = match View::of(engine, metric).await {
        Ok(view) => view,
        Err(error) => {
            let why = format!("the metric is not there any more: {error}");
            return Ok(months.iter().map(|month| finding(month, Verdict::Kept(why.clone()))).collect());
        }
    };
    let table = engine.warehouse().table(PUBLISHED, metric)?;
    let Some(version) = table.at(state.version).await? else {
        let gone = format!("version {} of its table is gone", state.version);
        return Ok(months.iter().map(|month| finding(month, Verdict::Different(gone.clone()))).collect());
    };
    // What was recorded is of the columns that the table had then.
    view.schema = columns_of(&version.schema);
    let parts = version.parts()?;
    let published = Published { engine, view, table, state, parts };
    let mut verdicts: BTreeMap<String, Verdict> = BTreeMap::new();
    let session = engine.session();
    let mut sound: BTreeMap<&Basis, Vec<String>> = BTreeMap::new();
    for month in months {
        match (published.fault_of_files(&session, &month).await?, state.basis(&month)) {
            (Some(fault), _) => {
                verdicts.insert(month, Verdict::Different(fault));
            }
            (None, Some(basis)) => sound.entry(basis).or_default().push(month),
            (None, None) => {
                verdicts.insert(month, Verdict::Different("the ledger does not say what it was computed of".into()));
            }
        }
    }
    for (basis, months) in sound {
        verdicts.extend(published.again(basis, months).await?);
    }
    Ok(verdicts.into_iter().map(|(month, verdict)| finding(&month, verdict)).collect())
}

impl Published<'_> {
    /// Returns what is wrong with the files of a month; `None` where they hold what was published.
    async fn fault_of_files(&self, session: &Session, month: &str) -> Result<Option<String>> {
        let Some(recorded) = self.state.months.get(month) else { return Ok(None) };
        let parts = parts_of(&self.parts, &self.view, month);
        Ok(match digest(session, &self.view, &self.table, &parts).await {
            Ok(digest) if digest.rows() != recorded.rows => {
                let found = counted(digest.rows(), "row");
                Some(format!("its files hold {found}, and {} were published", recorded.rows))
            }
            Ok(digest) if digest.clone().text(&self.view.schema) != recorded.digest => {
                Some("its files do not hold what was published".to_owned())
            }
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
            Err(error) => Some(format!("its files cannot be read: {error}")),
        })
    }

    /// Computes months again of what they were computed of.
    async fn again(&self, basis: &Basis, months: Vec<String>) -> Result<Vec<(String, Verdict)>> {
        let kept = |why: String| months.iter().map(|month| (month.clone(), Verdict::Kept(why.clone()))).collect();
        let lake = self.engine.warehouse();
        let settings = Conditions::recorded(lake, basis).await?.at(basis.as_of_micros)?;
        let session = self.engine.session().with_settings(settings).at_one_instant();
        let now = Observation::of(self.engine, &session, &self.view.metric).await?;
        if now.basis.sql != basis.sql {
            return Ok(kept("its SQL changed since".to_owned()));
        }
        if now.basis.settings != basis.settings {
            return Ok(kept("what is decided about its metrics changed since".to_owned()));
        }
        if now.basis.inputs != basis.inputs {
            let files = files_between(&recorded_files(lake, basis).await?, &now.files);
            return Ok(kept(format!("files changed since: {files}")));
        }
        let calendar = session.settings().calendar();
        let current = Month::of_day(calendar.month(basis.as_of_micros));
        let range = range_of(&months);
        let mut computed: BTreeMap<String, Digest> = BTreeMap::new();
        let mut rows = session.all_rows(&self.view.sql(&range, current)).await?;
        while let Some(batch) = rows.try_next().await? {
            for (month, rows) in by_month(&self.view, &batch)? {
                let rows = converted(&compute::of_metric(&rows, &self.view)?, &self.view.schema)?;
                computed.entry(month).or_default().add(&rows)?;
            }
        }
        let mut verdicts = Vec::new();
        for month in months {
            let digest = computed.remove(&month).unwrap_or_default().text(&self.view.schema);
            let is_same = self.state.months.get(&month).is_some_and(|recorded| recorded.digest == digest);
            let fault = if is_same { None } else { self.difference(&session, &month, current).await? };
            verdicts.push((month, fault.map_or(Verdict::Same, Verdict::Different)));
        }
        Ok(verdicts)
    }

    /// Returns how a month differs from what computing it gives; `None` where it does so by the last digits of doubles.
    async fn difference(&self, session: &Session, month: &str, current: Month) -> Result<Option<String>> {
        let columns = self.view.columns();
        let range = range_of(&[month.to_owned()]);
        let parts = parts_of(&self.parts, &self.view, month);
        let reader = self.table.reader_of(&self.view.table_columns().schema, &parts)?;
        let before = session.rows_in_order(reader, &columns, &self.view.key).await?;
        let after = session.all_rows(&self.view.sql_of(&columns, &range, current)).await?;
        let mut changes = Changes::start(before, after, self.view.key.len()).await?;
        let (mut rows, mut first) = (0, None);
        while let Some(cells) = changes.next().await? {
            rows += 1;
            first = first.or_else(|| cells.into_iter().next());
        }
        Ok(first.map(|cell| {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
            let (key, before, after) = (key_text(&self.view, &cell), shown(&cell.before), shown(&cell.after));
            let place = format!("{} {key}", cell.column);
            let found = counted(rows, "row");
            format!("{found} computed anew differ, the first: {} was {before}, is {after}", place.trim())
        }))
    }
}

/// Returns the months from the least to the greatest, or what is published whole.
fn range_of(months: &[String]) -> Scope {
    let parsed: Vec<Month> =
        months.iter().filter(|month| *month != WHOLE).filter_map(|month| month.parse().ok()).collect();
    match (parsed.iter().min(), parsed.iter().max()) {
        (Some(first), Some(last)) => Scope::Ranges(vec![(*first, *last)]),
        _ => Scope::All("verified".to_owned()),
    }
}

/// Returns the columns of a metric in a version of its table.
fn columns_of(table: &Schema) -> Arc<Schema> {
    let own = table.fields().iter().filter(|field| field.name() != MONTH && field.name() != RUN_ID);
    let plain = own.map(|field| match field.data_type() {
        DataType::Utf8View => Field::new(field.name(), DataType::Utf8, field.is_nullable()),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new(plain.collect::<Vec<_>>()))
}

/// Returns what the rows of files add up to.
///
/// # Errors
/// `Storage` where they cannot be read.
pub(super) async fn digest(session: &Session, view: &View, table: &Table, parts: &[Part]) -> Result<Digest> {
    let names: Vec<String> = view.schema.fields().iter().map(|field| field.name().clone()).collect();
    let reader = table.reader_of(&view.table_columns().schema, parts)?;
    let mut rows = session.rows_in_order(reader, &names, &[]).await?;
    let mut digest = Digest::default();
    while let Some(batch) = rows.try_next().await? {
        digest.add(&batch)?;
    }
    Ok(digest)
}
