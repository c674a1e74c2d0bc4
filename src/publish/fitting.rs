//! Whether what is published fits the columns and the division that a metric has now.

use std::collections::BTreeSet;

use arrow::array::Array;
use arrow::datatypes::{DataType, Schema};
use futures::TryStreamExt;

use super::run::Run;
use crate::engine::published::entry::TableState;
use crate::engine::published::view::{View, month_of};
use crate::engine::published::{MONTH, RUN_ID};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Part, Table, TableVersion};
use crate::sources::table::widens;

/// What a metric's table is divided by changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Division {
    /// Nothing.
    AsBefore,
    /// Months that another column holds.
    ByAnotherColumn,
    /// It was published whole and has months now, or the other way round.
    WholeAndMonths,
}

impl Division {
    /// Returns what changed since a version.
    pub(super) fn since(version: &TableVersion, view: &View) -> Self {
        let (before, now) = (&version.partitioned_by, view.table_columns().partitioned_by);
        match (before == &now, before.is_empty() || now.is_empty()) {
            (true, _) => Self::AsBefore,
            (false, true) => Self::WholeAndMonths,
            (false, false) => Self::ByAnotherColumn,
        }
    }
}

/// Returns whether a version has the columns that the view has now, and is divided by the same.
pub(super) fn has_columns(version: &TableVersion, view: &View) -> bool {
    let columns = view.table_columns();
    let names = |schema: &Schema| -> Vec<(String, String)> {
        let plain = |kind: &DataType| kind.to_string().replace("Utf8View", "Utf8");
        schema.fields().iter().map(|field| (field.name().clone(), plain(field.data_type()))).collect()
    };
    names(&version.schema) == names(&columns.schema) && version.partitioned_by == columns.partitioned_by
}

/// Refuses columns that would take something from closed months, which stay as they are: one that is gone although they
/// have values in it, one of a type that does not hold these, and files that are divided otherwise.
///
/// # Errors
/// `Model` with every such column, `Storage` where files cannot be read.
pub(super) async fn require_closed_months_fit(
    run: &Run<'_>,
    (view, table): (&View, &Table),
    before: &TableState,
    version: &TableVersion,
) -> Result<()> {
    let is_closed = |month: &String| run.state.closed.contains_key(month);
    let Some(month) = before.months.keys().find(|month| is_closed(month)) else { return Ok(()) };
    let new = view.table_columns().schema;
    let mut problems = Vec::new();
    for field in new.fields() {
        let (name, kind) = (field.name(), field.data_type());
        if let Ok(known) = version.schema.field_with_name(name)
            && !widens(known.data_type(), kind)
        {
            problems.push(format!("column \"{name}\" was {} and is {kind}", known.data_type()));
        }
    }
    let parts: Vec<Part> = version.parts()?.into_iter().filter(|part| is_closed(&month_of(part))).collect();
    let is_gone = |name: &str| name != MONTH && name != RUN_ID && new.field_with_name(name).is_err();
    let names = version.schema.fields().iter().map(|field| field.name());
    let gone: Vec<String> = names.filter(|name| is_gone(name)).cloned().collect();
    let gone = with_values(run, table, version, (&parts, &gone)).await?;
    problems.extend(gone.iter().map(|name| format!("column \"{name}\" is gone")));
    if Division::since(version, view) != Division::AsBefore {
        problems.push("its rows are divided by another column".to_owned());
    }
    let summary = format!("metric \"{}\" cannot be published: month {month} is closed, and does not fit", view.metric);
    let error = match problems.as_slice() {
        [problem] => Some(Error::new(ErrorKind::Model, format!("{summary}: {problem}"))),
        _ => Error::list(ErrorKind::Model, &summary, problems),
    };
    match error {
        Some(error) => Err(error.with_hint(
            "keep what is published beside what is new, or reopen the closed months first: they are published anew then",
        )),
        None => Ok(()),
    }
}

/// Returns the columns in which files have values.
async fn with_values(
    run: &Run<'_>,
    table: &Table,
    version: &TableVersion,
    (parts, columns): (&[Part], &[String]),
) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    if columns.is_empty() {
        return Ok(found);
    }
    let mut rows = run.session.rows_in_order(table.reader_of(&version.schema, parts)?, columns, &[]).await?;
    while let Some(batch) = rows.try_next().await? {
        let values = columns.iter().zip(batch.columns());
        found.extend(values.filter(|(_, values)| values.null_count() < values.len()).map(|(name, _)| name.clone()));
    }
    Ok(found)
}

/// Refuses files that stay in a table although it is divided otherwise now.
///
/// # Errors
/// `Model` with their months.
pub(super) fn require_none_stays(division: Division, view: &View, kept: &[Part]) -> Result<()> {
    if division == Division::AsBefore || kept.is_empty() {
        return Ok(());
    }
    let months: BTreeSet<String> = kept.iter().map(month_of).collect();
    let months = months.into_iter().collect::<Vec<_>>().join(", ");
    let message = format!(
        "metric \"{}\" cannot be published: its rows are divided by another column, and {months} would stay as it is",
        view.metric
    );
    Err(Error::new(ErrorKind::Model, message).with_hint("publish it as of an instant at which these months have ended"))
}
