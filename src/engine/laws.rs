//! The laws of views: what their rows keep, and which rows break it.
//!
//! A law is a query for the rows that break it. A sidecar brings its own; that the key of a view tells its rows apart,
//! and that a share lies within 0 and 1, holds without being said. Start at [`Engine::laws`].

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;

use super::result::Extent;
use super::unique_keys::Verdict;
use super::{Engine, Session, faults};
use crate::catalog::TableId;
use crate::config::CONTRACT_SCHEMAS;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::parts::Measure;
use crate::models::sidecar::{Check, ColumnKind, Severity};
use crate::models::{CheckReads, Model};

/// Rows that an outcome shows: enough to find the cause.
const EXAMPLES_MAX: usize = 5;

/// How far a share may be outside 0 and 1: what doubles lose on the way.
const SHARE_TOLERANCE: f64 = 1e-9;

/// A law of a view.
#[derive(Debug, Clone)]
pub struct Law {
    /// The view.
    pub view: TableId,
    /// The name, one for each law of a view.
    pub name: String,
    /// The law in words.
    pub description: String,
    /// How bad it is when it is broken.
    pub severity: Severity,
    /// The query for the rows that break it.
    sql: String,
    /// A query whose rows are all different where the law holds; cheaper than the other.
    unique: Option<String>,
}

/// Which laws there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LawScope {
    /// Those of the sidecars, and those that go without saying.
    Views,
    /// These, and that every number is what its records add up to: a query more for each column that is made of some.
    ViewsAndRecords,
}

/// What became of a law.
#[derive(Debug, Clone)]
pub struct LawOutcome {
    /// The law.
    pub law: Law,
    /// Whether it holds.
    pub state: LawState,
}

/// Whether a law holds.
#[derive(Debug, Clone)]
pub enum LawState {
    /// No row breaks it.
    Kept,
    /// Rows break it.
    Broken {
        /// How many.
        rows: u64,
        /// The first of them: `month = 2026-03-01, model = linear`.
        examples: Vec<String>,
    },
    /// Its query cannot be answered.
    Failed(Error),
}

impl LawOutcome {
    /// Returns whether a number is wrong, or cannot be told to be right.
    pub fn is_error(&self) -> bool {
        match self.state {
            LawState::Kept => false,
            LawState::Broken { .. } => self.law.severity == Severity::Error,
            LawState::Failed(_) => true,
        }
    }
}

impl Engine {
    /// Returns the laws of all views, view by view.
    ///
    /// A view that has no rows for want of a table keeps no law, and none that reads it can be kept.
    pub fn laws(&self, scope: LawScope) -> Vec<Law> {
        let (models, missing) = (self.models(), self.shared.missing_tables());
        let has_rows = |id: &TableId| {
            models.get(id).is_none_or(|model| !model.sidecar.needs.iter().any(|need| missing.contains(need)))
        };
        let mut laws = Vec::new();
        for model in models.iter().filter(|model| has_rows(&model.id)) {
            laws.extend(implied_laws(model));
            let checks = model.sidecar.checks.iter().zip(&model.check_reads);
            let can_be_kept = checks.filter(|(_, of)| models.closure(of.reads.iter().cloned()).iter().all(has_rows));
            laws.extend(can_be_kept.map(|(check, _)| declared_law(model, check)));
            if scope == LawScope::ViewsAndRecords {
                laws.extend(laws_of_records(model));
            }
        }
        laws
    }

    /// Returns the tables and views that laws read.
    pub fn reads_of_laws(&self, laws: &[Law]) -> BTreeSet<TableId> {
        let mut reads = BTreeSet::new();
        for law in laws {
            reads.insert(law.view.clone());
            if let Some(model) = self.models().get(&law.view) {
                let is_it = |(check, _): &(&Check, &CheckReads)| check.name == law.name;
                let of_law = model.sidecar.checks.iter().zip(&model.check_reads).filter(is_it);
                reads.extend(of_law.flat_map(|(_, of)| of.reads.iter().cloned()));
            }
        }
        reads
    }

    /// Tries laws one after the other, all at the same instant, and says each to `before` before it is tried.
    ///
    /// # Errors
    /// `Internal` where topline itself fails; a law whose query cannot be answered is an outcome.
    pub async fn check_laws(&self, laws: Vec<Law>, before: impl FnMut(&Law) + Send) -> Result<Vec<LawOutcome>> {
        self.session().at_one_instant().check_laws(laws, before).await
    }
}

impl Session {
    /// Tries laws one after the other, and says each to `before` before it is tried.
    ///
    /// # Errors
    /// As [`Engine::check_laws`].
    pub async fn check_laws(&self, laws: Vec<Law>, mut before: impl FnMut(&Law) + Send) -> Result<Vec<LawOutcome>> {
        let mut outcomes = Vec::with_capacity(laws.len());
        for law in laws {
            before(&law);
            let state = match broken_rows(self, &law).await {
                Ok((0, _)) => LawState::Kept,
                Ok((rows, examples)) => LawState::Broken { rows, examples },
                Err(error) if error.kind() == ErrorKind::Internal => return Err(error),
                Err(error) => LawState::Failed(error),
            };
            outcomes.push(LawOutcome { law, state });
        }
        Ok(outcomes)
    }
}

/// Returns the laws of a view that go without saying.
fn implied_laws(model: &Model) -> Vec<Law> {
    let view = &model.id;
    let of_contract = CONTRACT_SCHEMAS.contains(&view.schema.as_str());
    let implied = |name: &str, description: String, sql: String, unique: Option<String>| Law {
        view: view.clone(),
        name: name.to_owned(),
        description,
        severity: Severity::Error,
        sql,
        unique,
    };
    let mut laws = Vec::new();
    let key = &model.sidecar.key;
    // Keys of the contract are checked with the rows of the sources.
    if !key.is_empty() && !of_contract {
        let columns = quoted(key.iter());
        let table = name_of(view);
        laws.push(implied(
            "key_is_unique",
            format!("No two rows have the same {}.", key.join(", ")),
            format!(
                "select {columns}, count(*) as \"rows\" from {table} group by {columns} having count(*) > 1 \
                 order by {columns}"
            ),
            Some(format!("select {columns} from {table}")),
        ));
    }
    let shares: Vec<_> = model.sidecar.columns.iter().filter(|column| column.1 == ColumnKind::Share).collect();
    if !shares.is_empty() {
        let names = shares.iter().map(|column| &column.0);
        let is_outside = |name: &String| {
            format!("not (\"{name}\" >= -{SHARE_TOLERANCE:e} and \"{name}\" <= 1 + {SHARE_TOLERANCE:e})")
        };
        laws.push(implied(
            "shares_are_within_0_and_1",
            format!("Within 0 and 1 lie {}.", names.clone().cloned().collect::<Vec<_>>().join(", ")),
            format!(
                "select {} from {} where {}",
                quoted(key.iter().chain(names.clone().filter(|name| !key.contains(name)))),
                name_of(view),
                names.map(is_outside).collect::<Vec<_>>().join(" or ")
            ),
            None,
        ));
    }
    laws
}

/// Returns a law that the sidecar of a view brings.
fn declared_law(model: &Model, check: &Check) -> Law {
    Law {
        view: model.id.clone(),
        name: check.name.clone(),
        description: check.description.clone(),
        severity: check.severity,
        sql: check.sql.clone(),
        unique: None,
    }
}

/// Returns the laws that the numbers of a view are what their records add up to.
fn laws_of_records(model: &Model) -> Vec<Law> {
    let law = |measure: Measure<'_>| Law {
        view: model.id.clone(),
        name: format!("records_of_{}", measure.column),
        description: format!("The records of {} add up to it.", measure.column),
        severity: Severity::Error,
        sql: format!("select * from parts_law('{}')", measure.dotted()),
        unique: None,
    };
    Measure::of(model).into_iter().map(law).collect()
}

fn name_of(view: &TableId) -> String {
    format!("\"{}\".\"{}\"", view.schema, view.name)
}

fn quoted<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Returns how many rows break a law, and the first of them; they are counted as they come, and not held.
async fn broken_rows(session: &Session, law: &Law) -> Result<(u64, Vec<String>)> {
    if let Some(unique) = &law.unique
        && session.prepare(unique).await?.unique_rows().await? == Verdict::Unique
    {
        return Ok((0, Vec::new()));
    }
    let mut stream = session.prepare(&law.sql).await?.in_order()?.execute_up_to(Extent::default(), None).await?;
    let (mut rows, mut examples) = (0, Vec::new());
    while let Some(batch) = stream.try_next().await? {
        rows += batch.num_rows() as u64;
        let missing = EXAMPLES_MAX - examples.len();
        examples.extend(described(&batch.slice(0, batch.num_rows().min(missing)))?);
    }
    Ok((rows, examples))
}

/// Returns each row as a person reads it.
fn described(rows: &RecordBatch) -> Result<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let formats = rows
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|fault| faults::of_query(fault.into()))?;
    let names: Vec<&String> = rows.schema_ref().fields().iter().map(|field| field.name()).collect();
    let described = |row: usize| {
        let values = names.iter().zip(&formats).map(|(name, format)| format!("{name} = {}", format.value(row)));
        values.collect::<Vec<_>>().join(", ")
    };
    Ok((0..rows.num_rows()).map(described).collect())
}
