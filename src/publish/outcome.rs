//! What became of the months of a metric: computed ones held against published ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use serde::Serialize;

use super::compute::{Computed, Target};
use super::digest::Digest;
use super::fitting::{Division, has_columns, require_closed_months_fit, require_none_stays};
use super::restating::{Cause, Restated, Restating};
use super::run::Run;
use super::{Months, Unchanged};
use crate::domain::month::Month;
use crate::engine::Session;
use crate::engine::published::PUBLISHED;
use crate::engine::published::basis::Observation;
use crate::engine::published::entry::{Basis, MonthState, TableState, WHOLE};
use crate::engine::published::scope::{Scope, merged, without};
use crate::engine::published::view::{View, month_of};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{NewFile, Part, Table};

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

/// Months with what they were computed of.
type StateOfMonths = BTreeMap<String, (MonthState, Basis)>;

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
    /// What its table is divided by, held against what it was.
    division: Division,
    /// The months that were computed, with those of earlier runs.
    looked: Vec<(Month, Month)>,
    /// Whether all months that are due were computed.
    pub is_whole: bool,
}

impl Found {
    /// Computes a metric in a session, and holds its months against those that are published.
    ///
    /// # Errors
    /// What the query gives, `Storage` where the warehouse cannot be read or written, `Model` where published months that
    /// stay do not fit its columns.
    pub(super) async fn of(
        run: &mut Run<'_>,
        session: &Session,
        restated: &mut Restated,
        Looked { view, observation, scope }: Looked,
    ) -> Result<Self> {
        let before = run.state.tables.get(&view.metric).cloned();
        run.look_at_merges(before.as_ref().and_then(TableState::last_basis), &observation).await?;
        let table = run.engine.warehouse().table(PUBLISHED, &view.metric)?;
        let version = match &before {
            None => None,
            Some(before) => Some(table.at(before.version).await?.ok_or_else(|| gone(&view, before.version))?),
        };
        let has_new_columns = version.as_ref().is_none_or(|version| !has_columns(version, &view));
        let division = version.as_ref().map_or(Division::AsBefore, |version| Division::since(version, &view));
        if has_new_columns && let (Some(before), Some(version)) = (&before, &version) {
            require_closed_months_fit(run, (&view, &table), before, version).await?;
        }
        let unchanged = if has_new_columns { Unchanged::IsRewritten } else { run.request.unchanged };
        let target = Target { view: &view, table: &table, known: before.as_ref(), run_id: &run.run_id, unchanged };
        // Months that were not asked for need the new columns, too.
        let is_remade = has_new_columns && before.is_some();
        let scope = if is_remade { Scope::All("its columns changed".to_owned()) } else { scope };
        let mut done = Vec::new();
        let written = target.compute(session, (&scope, run.current), &mut done).await;
        let files = done.iter().flat_map(|month| month.files.iter().cloned()).collect();
        run.written.push((view.metric.clone(), table.clone(), files));
        written?;
        let old_schema =
            version.as_ref().map_or_else(|| Arc::new(Schema::empty()), |version| Arc::clone(&version.schema));
        let parts = version.as_ref().map(|version| version.parts()).transpose()?.unwrap_or_default();
        let computed = done.into_iter().map(|month| (month.month.clone(), month)).collect();
        let is_whole = run.request.months == Months::Due || !view.has_months() || is_remade;
        let (outcomes, kept, looked) = (BTreeMap::new(), Vec::new(), Vec::new());
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
            division,
            looked,
            is_whole,
        };
        found.judge(run, restated, &parts).await?;
        found.kept = parts.into_iter().filter(|part| !found.is_replaced(&month_of(part))).collect();
        require_none_stays(division, &found.view, &found.kept)?;
        found.looked = found.looked_at(run.current);
        Ok(found)
    }

    /// Settles what becomes of each month that was asked for.
    async fn judge(&mut self, run: &Run<'_>, restated: &mut Restated, parts: &[Part]) -> Result<()> {
        if self.division == Division::WholeAndMonths {
            return self.judge_as_one(run, restated, parts).await;
        }
        let published = self.before.iter().flat_map(|before| before.months.keys().cloned());
        let months: BTreeSet<String> =
            published.filter(|month| self.scope.has(month)).chain(self.computed.keys().cloned()).collect();
        for month in months {
            let outcome = self.outcome(run, restated, &month, parts).await?;
            self.outcomes.insert(month, outcome);
        }
        Ok(())
    }

    /// Settles what becomes of a table of which all rows get other months: it is compared as one.
    async fn judge_as_one(&mut self, run: &Run<'_>, restated: &mut Restated, parts: &[Part]) -> Result<()> {
        let mut new: Vec<Part> = Vec::new();
        for computed in self.computed.values() {
            let outcome = if computed.is_complete { Outcome::New } else { Outcome::Incomplete };
            new.extend(computed.files.iter().cloned().map(Part::from));
            self.outcomes.insert(computed.month.clone(), outcome);
        }
        let published: Vec<String> = self.before.iter().flat_map(|before| before.months.keys().cloned()).collect();
        let rows = self.compare(run, restated, WHOLE, (parts, &new)).await?;
        let outcome = if rows > 0 { Outcome::Restated } else { Outcome::Rewritten };
        let has_ended = |month: &String| month == WHOLE || *month < run.current.to_string();
        self.outcomes.extend(published.into_iter().filter(has_ended).map(|month| (month, outcome)));
        Ok(())
    }

    async fn outcome(&self, run: &Run<'_>, restated: &mut Restated, month: &str, parts: &[Part]) -> Result<Outcome> {
        let known = self.before.as_ref().and_then(|before| before.months.get(month));
        let computed = self.computed.get(month);
        // A month that has not ended at this instant was published at a later one, and stays.
        if month != WHOLE && month >= run.current.to_string().as_str() {
            return Ok(Outcome::Unchanged);
        }
        if computed.is_some_and(|computed| !computed.is_complete) {
            return Ok(if known.is_some() { Outcome::Unchanged } else { Outcome::Incomplete });
        }
        if !self.before.as_ref().is_some_and(|before| before.is_published(month)) {
            return Ok(Outcome::New);
        }
        let is_closed = run.state.closed.contains_key(month);
        let is_same = match (known, computed) {
            (Some(known), Some(computed)) => computed.digest == known.digest && computed.rows == known.rows,
            (Some(known), None) => known.rows == 0,
            (None, _) => computed.is_none(),
        };
        // The files of a closed month stay, whatever is asked for.
        let is_rewritten = computed.is_some() && !is_closed && self.is_rewriting(run);
        let same = if is_rewritten { Outcome::Rewritten } else { Outcome::Unchanged };
        if is_same {
            return Ok(same);
        }
        let new: Vec<Part> =
            computed.iter().flat_map(|computed| computed.files.iter().cloned().map(Part::from)).collect();
        let rows = self.compare(run, restated, month, (&parts_of(parts, month), &new)).await?;
        Ok(match (rows, is_closed) {
            (0, _) => same,
            (rows, true) => Outcome::Pending(rows),
            (_, false) => Outcome::Restated,
        })
    }

    fn is_rewriting(&self, run: &Run<'_>) -> bool {
        self.has_new_columns || run.request.unchanged == Unchanged::IsRewritten
    }

    /// Returns how many rows of a month changed, and takes down which.
    async fn compare(
        &self,
        run: &Run<'_>,
        restated: &mut Restated,
        month: &str,
        files: (&[Part], &[Part]),
    ) -> Result<u64> {
        let before = self.before.as_ref().and_then(|before| before.basis(month).or_else(|| before.last_basis()));
        let cause = Cause::of(run, before, &self.observation).await?;
        let restating = Restating { view: &self.view, table: &self.table, old_schema: &self.old_schema, cause };
        restating.compare(run, restated, month, files).await
    }

    /// Returns the months that were computed and are whole, with those of earlier runs.
    fn looked_at(&self, current: Month) -> Vec<(Month, Month)> {
        if !self.view.has_months() {
            return Vec::new();
        }
        let mut looked = self.before.as_ref().map(TableState::looked).unwrap_or_default();
        match &self.scope {
            Scope::All(_) => looked.push((Month::FIRST, current.plus(-1))),
            Scope::Ranges(ranges) => looked.extend(ranges),
        }
        let open = self.months(|outcome| outcome == Outcome::Incomplete);
        without(merged(looked), open.iter().filter_map(|month| month.parse().ok()))
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
        let mut months = self.months_before();
        for (month, outcome) in &self.outcomes {
            match (outcome, self.computed.get(month)) {
                (Outcome::Restated | Outcome::Rewritten, None) => {
                    months.remove(month);
                }
                (Outcome::New | Outcome::Restated | Outcome::Rewritten, Some(computed)) => {
                    let (digest, rows) = (computed.digest.clone(), computed.rows);
                    months.insert(month.clone(), (MonthState { digest, rows, basis: 0, entry }, now.clone()));
                }
                (Outcome::Unchanged, computed) if computed.is_none_or(|computed| computed.is_complete) => {
                    let known = months.get_mut(month);
                    if let Some((_, basis)) = known.filter(|(state, _)| computed.is_some() || state.rows == 0) {
                        *basis = now.clone();
                    }
                }
                // What stays without rows is a month of its own from now on, computed of what it was.
                (Outcome::Pending(_), _) => {
                    let digest = Digest::default().text(&self.view.schema);
                    let basis = self.before.as_ref().and_then(TableState::last_basis).unwrap_or(now);
                    let empty = MonthState { digest, rows: 0, basis: 0, entry };
                    months.entry(month.clone()).or_insert_with(|| (empty, basis.clone()));
                }
                _ => {}
            }
        }
        if self.has_new_columns {
            self.digest_again(session, &mut months).await?;
        }
        let covered = if self.is_whole {
            Some(now.clone())
        } else {
            self.before.as_ref().and_then(|before| before.covered.clone())
        };
        Ok(TableState::of(version, covered, months, self.looked.clone()))
    }

    /// Returns the months as they were, with what they were computed of.
    fn months_before(&self) -> StateOfMonths {
        let mut months = BTreeMap::new();
        let Some(before) = &self.before else { return months };
        for (month, state) in &before.months {
            let Some(basis) = before.basis(month) else { continue };
            // Nothing that changed touches a month that was right and is not computed.
            let is_right = self.is_whole && !self.scope.has(month) && Some(basis) == before.covered.as_ref();
            let basis = if is_right { &self.observation.basis } else { basis };
            months.insert(month.clone(), (state.clone(), basis.clone()));
        }
        months
    }

    /// Takes down what months that stay add up to in new columns.
    async fn digest_again(&self, session: &Session, months: &mut StateOfMonths) -> Result<()> {
        for (month, (state, _)) in months.iter_mut().filter(|(month, _)| !self.is_replaced(month)) {
            let parts = parts_of(&self.kept, month);
            let digest = super::verification::digest(session, &self.view, &self.table, &parts).await?;
            state.digest = digest.text(&self.view.schema);
        }
        Ok(())
    }
}

fn gone(view: &View, version: u64) -> Error {
    Error::new(ErrorKind::Storage, format!("version {version} of table \"{PUBLISHED}.{}\" is gone", view.metric))
        .with_hint("restore the warehouse from a backup: the ledger names it")
}

/// Returns the files of a month of a table.
pub(super) fn parts_of(parts: &[Part], month: &str) -> Vec<Part> {
    parts.iter().filter(|part| month_of(part) == month).cloned().collect()
}
