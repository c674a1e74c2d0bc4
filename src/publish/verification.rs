//! Whether what is published is what was published, and what the metric's SQL gives on the files that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::AsArray;
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
use crate::engine::published::entry::{Basis, State, TableState, WHOLE};
use crate::engine::published::scope::Scope;
use crate::engine::published::view::View;
use crate::engine::published::{INPUTS, MONTH, PUBLISHED, RUN_ID};
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
/// A month that should be published and is not is different.
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
    let wanted = if metrics.is_empty() { Vec::new() } else { metrics_of(engine, metrics, &entry.state)? };
    let tables: Vec<_> =
        entry.state.tables.iter().filter(|(metric, _)| wanted.is_empty() || wanted.contains(*metric)).collect();
    let mut findings = Vec::new();
    for (place, (metric, _)) in tables.iter().enumerate() {
        progress(Step::Computing(metric, place, tables.len()));
        findings.extend(of_metric(engine, metric, &entry.state, month).await?);
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
    /// The month that is asked for; `None` is all.
    wanted: Option<Month>,
    /// Closed months that wait for what would change of them.
    pending: BTreeSet<&'a str>,
}

/// A month as computing it again gives it.
#[derive(Default)]
struct Again {
    digest: Digest,
    /// Whether a row is of a period that has not ended.
    is_open: bool,
}

async fn of_metric(engine: &Engine, metric: &str, state: &State, wanted: Option<Month>) -> Result<Vec<Finding>> {
    let waits = state.pending.iter().filter(|(_, metrics)| metrics.contains_key(metric));
    let pending = waits.map(|(month, _)| month.as_str()).collect();
    let Some(state) = state.tables.get(metric) else { return Ok(Vec::new()) };
    let months = state.months.keys().filter(|known| wanted.is_none_or(|month| **known == month.to_string()));
    let months: Vec<String> = months.cloned().collect();
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
    let published = Published { engine, view, table, state, parts, wanted, pending };
    let mut verdicts: BTreeMap<String, Verdict> = BTreeMap::new();
    let session = engine.session();
    // What all months were last computed of says which months there should be, be none of those there are of it.
    let mut sound: BTreeMap<&Basis, Vec<String>> = state.covered.iter().map(|covered| (covered, Vec::new())).collect();
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
        let parts = parts_of(&self.parts, month);
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

    /// Returns what is wrong with the documents that say what months were computed of; `None` where they are there.
    async fn fault_of_documents(&self, basis: &Basis) -> Option<String> {
        for hash in [&basis.inputs, &basis.sql, &basis.settings] {
            match self.engine.warehouse().kept(INPUTS, hash).await {
                Ok(Some(_)) => {}
                Ok(None) => return Some(format!("document \"{INPUTS}/{hash}.json\" of the warehouse is gone")),
                Err(error) => return Some(error.to_string()),
            }
        }
        None
    }

    /// Computes months again of what they were computed of, and where that is what all were last computed of, those too
    /// that are not published.
    async fn again(&self, basis: &Basis, months: Vec<String>) -> Result<Vec<(String, Verdict)>> {
        let all = |verdict: Verdict| months.iter().map(|month| (month.clone(), verdict.clone())).collect();
        let kept = |why: String| all(Verdict::Kept(why));
        let lake = self.engine.warehouse();
        if let Some(fault) = self.fault_of_documents(basis).await {
            return Ok(all(Verdict::Different(fault)));
        }
        // The documents are there and whole: what cannot be made of them is of another release.
        let of_another = |error: Error| kept(format!("it was computed by another release: {error}"));
        let conditions = Conditions::recorded(lake, basis).await;
        let settings = match conditions.and_then(|conditions| conditions.at(basis.as_of_micros)) {
            Ok(settings) => settings,
            Err(error) => return Ok(of_another(error)),
        };
        let session = self.engine.session().with_settings(settings).at_one_instant();
        let now = Observation::of(self.engine, &session, &self.view.metric).await?;
        if now.basis.sql != basis.sql {
            return Ok(kept("its SQL changed since".to_owned()));
        }
        if now.basis.settings != basis.settings {
            return Ok(kept("what is decided about its metrics changed since".to_owned()));
        }
        if now.basis.inputs != basis.inputs {
            return Ok(match recorded_files(lake, basis).await {
                Ok(files) => kept(format!("files changed since: {}", files_between(&files, &now.files))),
                Err(error) => of_another(error),
            });
        }
        self.in_session(&session, basis, months).await
    }

    /// Computes months again in the session that they were computed in.
    async fn in_session(
        &self,
        session: &Session,
        basis: &Basis,
        months: Vec<String>,
    ) -> Result<Vec<(String, Verdict)>> {
        let calendar = session.settings().calendar();
        let current = Month::of_day(calendar.month(basis.as_of_micros));
        let is_of_all = self.state.covered.as_ref() == Some(basis);
        let is_missing = |month: Month| !self.state.months.contains_key(&month.to_string());
        let scope = match (is_of_all && self.view.has_months(), self.wanted) {
            (true, None) => Scope::All("verified".to_owned()),
            (true, Some(month)) if month < current && is_missing(month) => Scope::Ranges(vec![(month, month)]),
            _ if months.is_empty() => return Ok(Vec::new()),
            _ => range_of(&months),
        };
        let mut computed = match self.computed(session, &scope, current).await {
            Ok(computed) => computed,
            // Nothing that is asked of the warehouse makes it otherwise.
            Err(error) if matches!(error.kind(), ErrorKind::Model | ErrorKind::Query) => {
                let verdict = Verdict::Different(format!("it cannot be computed: {error}"));
                return Ok(months.into_iter().map(|month| (month, verdict.clone())).collect());
            }
            Err(error) => return Err(error),
        };
        let mut verdicts = Vec::new();
        for month in months {
            let digest = computed.remove(&month).unwrap_or_default().digest.text(&self.view.schema);
            let is_same = self.state.months.get(&month).is_some_and(|recorded| recorded.digest == digest);
            let fault = if is_same { None } else { self.difference(session, &month, current).await? };
            verdicts.push((month, fault.map_or(Verdict::Same, Verdict::Different)));
        }
        computed.retain(|month, again| {
            let is_known = self.state.months.contains_key(month) || self.pending.contains(month.as_str());
            is_of_all && !is_known && !again.is_open
        });
        let missing = computed.into_iter().map(|(month, again)| {
            let rows = counted(again.digest.rows(), "row");
            (month, Verdict::Different(format!("it is not published, and computing it gives {rows}")))
        });
        Ok(verdicts.into_iter().chain(missing).collect())
    }

    /// Returns the months of a scope that have rows.
    async fn computed(&self, session: &Session, scope: &Scope, current: Month) -> Result<BTreeMap<String, Again>> {
        let mut computed: BTreeMap<String, Again> = BTreeMap::new();
        let mut rows = session.all_rows(&self.view.sql(scope, current)).await?;
        while let Some(batch) = rows.try_next().await? {
            for (month, rows) in by_month(&self.view, &batch)? {
                let again = computed.entry(month).or_default();
                if let Some(column) = self.view.complete_column() {
                    let flags = rows.column_by_name(column).and_then(|flags| flags.as_boolean_opt());
                    again.is_open |= flags.is_none_or(|flags| flags.true_count() < flags.len());
                }
                let rows = converted(&compute::of_metric(&rows, &self.view)?, &self.view.schema)?;
                again.digest.add(&rows)?;
            }
        }
        Ok(computed)
    }

    /// Returns how a month differs from what computing it gives; `None` where it does so by the last digits of doubles.
    async fn difference(&self, session: &Session, month: &str, current: Month) -> Result<Option<String>> {
        let columns = self.view.columns();
        let range = range_of(&[month.to_owned()]);
        let parts = parts_of(&self.parts, month);
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
