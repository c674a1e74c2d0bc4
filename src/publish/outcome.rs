//! What became of the months of a metric: computed ones held against published ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use serde::Serialize;

use super::compute::{Computed, Target};
use super::restating::{Cause, Restated, Restating};
use super::run::Run;
use super::{Months, Unchanged};
use crate::engine::Session;
use crate::engine::published::PUBLISHED;
use crate::engine::published::basis::Observation;
use crate::engine::published::entry::{MonthState, TableState, WHOLE};
use crate::engine::published::scope::Scope;
use crate::engine::published::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{NewFile, Part, Table, TableVersion};
use crate::sources::table::widens;

/// What became of a month of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was published for the first time.
    New,
    /// Numbers of it changed.
    Restated,
    /// It was written again, and no number changed.
    Rewritten,
    /// No number changed.
    Unchanged,
    /// It is closed, and so many rows would have changed.
    Pending(u64),
    /// Not all of its periods have ended.
    Incomplete,
}

/// A metric that is to be computed.
pub(super) struct Looked {
    pub view: View,
    pub observation: Observation,
    /// The months.
    pub scope: Scope,
}

/// A metric as it was computed, and what is to be published of it.
pub(super) struct Found {
    pub view: View,
    pub table: Table,
    pub observation: Observation,
    /// The months that it was computed for.
    pub scope: Scope,
    /// What is published of it.
    pub before: Option<TableState>,
    pub outcomes: BTreeMap<String, Outcome>,
    /// The months that were computed.
    pub computed: BTreeMap<String, Computed>,
    /// The files of months that stay as they are.
    pub kept: Vec<Part>,
    /// The columns that its table has had; none where it is new.
    pub old_schema: SchemaRef,
    /// Whether its table gets other columns, or is made.
    pub has_new_columns: bool,
    /// Whether all months that are due were computed.
    pub is_whole: bool,
}

impl Found {
    /// Computes a metric in a session, and holds its months against those that are published.
    ///
    /// # Errors
    /// What the query gives, `Storage` where the warehouse cannot be read or written, `Argument` where the months that are
    /// asked for cannot be published.
    pub(super) async fn of(
        run: &mut Run<'_>,
        session: &Session,
        restated: &mut Restated,
        Looked { view, observation, scope }: Looked,
    ) -> Result<Self> {
        let before = run.state.tables.get(&view.metric).cloned();
        let table = run.engine.warehouse().table(PUBLISHED, &view.metric)?;
        let version = match &before {
            None => None,
            Some(before) => Some(table.at(before.version).await?.ok_or_else(|| gone(&view, before.version))?),
        };
        let has_new_columns = version.as_ref().is_none_or(|version| !has_columns(version, &view));
        if has_new_columns && before.is_some() && run.request.months != Months::Due {
            return Err(Error::new(ErrorKind::Argument, format!("the columns of metric \"{}\" changed", view.metric))
                .with_hint("publish it once without --month, --from and --to, so that all its months have them"));
        }
        if has_new_columns && let (Some(before), Some(version)) = (&before, &version) {
            require_closed_months_fit(run, &view, before, &version.schema)?;
        }
        let unchanged = if has_new_columns { Unchanged::IsRewritten } else { run.request.unchanged };
        let target = Target { view: &view, table: &table, known: before.as_ref(), run_id: &run.run_id, unchanged };
        let scope = match has_new_columns && before.is_some() {
            true => Scope::All("its columns changed".to_owned()),
            false => scope,
        };
        let mut done = Vec::new();
        let written = target.compute(session, (&scope, run.current), &mut done).await;
        let files = done.iter().flat_map(|month| month.files.iter().cloned()).collect();
        run.written.push((view.metric.clone(), table.clone(), files));
        written?;
        let old_schema =
            version.as_ref().map_or_else(|| Arc::new(Schema::empty()), |version| Arc::clone(&version.schema));
        let parts = version.as_ref().map(|version| version.parts()).transpose()?.unwrap_or_default();
        let computed = done.into_iter().map(|month| (month.month.clone(), month)).collect();
        let is_whole = run.request.months == Months::Due || !view.has_months();
        let (outcomes, kept) = (BTreeMap::new(), Vec::new());
        let mut found = Self {
            view,
            table,
            observation,
            scope,
            before,
            outcomes,
            computed,
            kept,
            old_schema,
            has_new_columns,
            is_whole,
        };
        found.judge(run, restated, &parts).await?;
        found.kept = parts.into_iter().filter(|part| !found.is_replaced(&found.view.month_of(part))).collect();
        Ok(found)
    }

    /// Settles what becomes of each month that was asked for.
    async fn judge(&mut self, run: &Run<'_>, restated: &mut Restated, parts: &[Part]) -> Result<()> {
        let published = self.before.iter().flat_map(|before| before.months.keys().cloned());
        let months: BTreeSet<String> =
            published.filter(|month| self.scope.has(month)).chain(self.computed.keys().cloned()).collect();
        for month in months {
            let outcome = self.outcome(run, restated, &month, parts).await?;
            self.outcomes.insert(month, outcome);
        }
        Ok(())
    }

    async fn outcome(&self, run: &Run<'_>, restated: &mut Restated, month: &str, parts: &[Part]) -> Result<Outcome> {
        let known = self.before.as_ref().and_then(|before| before.months.get(month)).cloned();
        let computed = self.computed.get(month);
        // A month that has not ended at this instant was published at a later one, and stays.
        if month != WHOLE && month >= run.current.to_string().as_str() {
            return Ok(Outcome::Unchanged);
        }
        if computed.is_some_and(|computed| !computed.is_complete) {
            return Ok(if known.is_some() { Outcome::Unchanged } else { Outcome::Incomplete });
        }
        let Some(known) = known else { return Ok(Outcome::New) };
        let is_same = computed.is_some_and(|computed| computed.digest == known.digest && computed.rows == known.rows);
        let same = if computed.is_some() && self.is_rewriting(run) { Outcome::Rewritten } else { Outcome::Unchanged };
        if is_same {
            return Ok(same);
        }
        let old = parts_of(parts, &self.view, month);
        let new: Vec<Part> =
            computed.iter().flat_map(|computed| computed.files.iter().cloned().map(Part::from)).collect();
        let is_closed = run.state.closed.contains_key(month);
        let cause = self.cause(run, month).await?;
        let restating = Restating { view: &self.view, table: &self.table, old_schema: &self.old_schema, cause };
        let rows = restating.compare(run, restated, month, (&old, &new)).await?;
        Ok(match (rows, is_closed) {
            (0, _) => same,
            (rows, true) => Outcome::Pending(rows),
            (_, false) => Outcome::Restated,
        })
    }

    fn is_rewriting(&self, run: &Run<'_>) -> bool {
        self.has_new_columns || run.request.unchanged == Unchanged::IsRewritten
    }

    async fn cause(&self, run: &Run<'_>, month: &str) -> Result<Cause> {
        let before = self.before.as_ref().and_then(|before| before.basis(month));
        Cause::of(run.engine.warehouse(), before, &self.observation).await
    }

    fn is_replaced(&self, month: &str) -> bool {
        matches!(self.outcomes.get(month), Some(Outcome::New | Outcome::Restated | Outcome::Rewritten))
    }

    /// Returns the new files, those that are to be published first, then the others.
    pub(super) fn new_files(&self) -> (Vec<NewFile>, Vec<NewFile>) {
        let (mut published, mut others) = (Vec::new(), Vec::new());
        for computed in self.computed.values() {
            let files = if self.is_replaced(&computed.month) { &mut published } else { &mut others };
            files.extend(computed.files.iter().cloned());
        }
        (published, others)
    }

    /// Returns whether its table gets another version.
    pub(super) fn has_new_rows(&self) -> bool {
        self.has_new_columns || self.outcomes.keys().any(|month| self.is_replaced(month))
    }

    /// Returns whether there is something to record: rows, or that they are the same although what they are computed of is
    /// not. That time went by is nothing to record.
    pub(super) fn is_news(&self) -> bool {
        let now = &self.observation.basis;
        let covered = self.before.as_ref().and_then(|before| before.covered.as_ref());
        let is_other = covered.is_none_or(|covered| {
            (&covered.inputs, &covered.sql, &covered.settings) != (&now.inputs, &now.sql, &now.settings)
        });
        self.has_new_rows() || self.is_whole && is_other
    }

    /// Returns the months of an outcome.
    pub(super) fn months(&self, is_one: impl Fn(Outcome) -> bool) -> Vec<String> {
        self.outcomes.iter().filter(|(_, outcome)| is_one(**outcome)).map(|(month, _)| month.clone()).collect()
    }

    /// Returns the rows of closed months that would change.
    pub(super) fn pending(&self) -> impl Iterator<Item = (&String, u64)> {
        self.outcomes.iter().filter_map(|(month, outcome)| match outcome {
            Outcome::Pending(rows) => Some((month, *rows)),
            _ => None,
        })
    }

    /// Returns the state of the table at a version, visible from an entry on.
    pub(super) async fn state(&self, session: &Session, version: u64, entry: u64) -> Result<TableState> {
        let now = &self.observation.basis;
        let mut months = BTreeMap::new();
        if let Some(before) = &self.before {
            for (month, state) in &before.months {
                let basis = before.basis(month);
                // Nothing that changed touches a month that was right and is not computed.
                let is_right = self.is_whole && !self.scope.has(month) && basis == before.covered.as_ref();
                let basis = basis.filter(|_| !is_right).unwrap_or(now).clone();
                months.insert(month.clone(), (state.clone(), basis));
            }
        }
        for (month, outcome) in &self.outcomes {
            match (outcome, self.computed.get(month)) {
                (Outcome::Restated, None) => {
                    months.remove(month);
                }
                (Outcome::New | Outcome::Restated | Outcome::Rewritten, Some(computed)) => {
                    let (digest, rows) = (computed.digest.clone(), computed.rows);
                    months.insert(month.clone(), (MonthState { digest, rows, basis: 0, entry }, now.clone()));
                }
                (Outcome::Unchanged, Some(computed)) if computed.is_complete => {
                    if let Some((_, basis)) = months.get_mut(month) {
                        *basis = now.clone();
                    }
                }
                (Outcome::Pending(_), _) if self.has_new_columns => {
                    let parts = parts_of(&self.kept, &self.view, month);
                    let digest = super::verification::digest(session, &self.view, &self.table, &parts).await?;
                    if let Some((state, _)) = months.get_mut(month) {
                        state.digest = digest.text(&self.view.schema);
                    }
                }
                _ => {}
            }
        }
        let covered = if self.is_whole {
            Some(now.clone())
        } else {
            self.before.as_ref().and_then(|before| before.covered.clone())
        };
        Ok(TableState::of(version, covered, months))
    }
}

/// Returns whether a version has the columns that the view has now.
fn has_columns(version: &Arc<TableVersion>, view: &View) -> bool {
    let columns = view.table_columns().schema;
    let names = |schema: &arrow::datatypes::Schema| -> Vec<(String, String)> {
        let plain = |kind: &arrow::datatypes::DataType| kind.to_string().replace("Utf8View", "Utf8");
        schema.fields().iter().map(|field| (field.name().clone(), plain(field.data_type()))).collect()
    };
    names(&version.schema) == names(&columns)
}

/// Refuses columns in which the rows of closed months cannot be read, which stay as they are.
fn require_closed_months_fit(run: &Run<'_>, view: &View, before: &TableState, old: &Schema) -> Result<()> {
    let Some(month) = before.months.keys().find(|month| run.state.closed.contains_key(*month)) else { return Ok(()) };
    let new = view.table_columns().schema;
    let mut problems = Vec::new();
    for field in new.fields() {
        let (name, kind) = (field.name(), field.data_type());
        match old.field_with_name(name) {
            Ok(known) if !widens(known.data_type(), kind) => {
                problems.push(format!("column \"{name}\" was {} and is {kind}", known.data_type()));
            }
            Err(_) if Some(name.as_str()) == view.month_column() => {
                problems.push(format!("its rows had no column \"{name}\" by which they are divided"));
            }
            _ => {}
        }
    }
    let summary = format!("metric \"{}\" cannot be published: month {month} is closed, and does not fit", view.metric);
    match Error::list(ErrorKind::Model, &summary, problems) {
        Some(error) => Err(error.with_hint("give the column another name, or reopen the closed months first")),
        None => Ok(()),
    }
}

fn gone(view: &View, version: u64) -> Error {
    Error::new(ErrorKind::Storage, format!("version {version} of table \"{PUBLISHED}.{}\" is gone", view.metric))
        .with_hint("restore the warehouse from a backup: the ledger names it")
}

/// Returns the files of a month of a table.
pub(super) fn parts_of(parts: &[Part], view: &View, month: &str) -> Vec<Part> {
    parts.iter().filter(|part| view.month_of(part) == month).cloned().collect()
}
