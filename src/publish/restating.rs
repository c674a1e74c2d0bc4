//! Which published numbers changed: a row for each in the table of restatements.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::run::Run;
use crate::domain::month::Month;
use crate::engine::comparison::{Cell, Changes};
use crate::engine::published::basis::{Observation, files_between, recorded_files};
use crate::engine::published::entry::Basis;
use crate::engine::published::view::View;
use crate::engine::published::{OWN_FOLDER, RESTATEMENTS, restatements};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{NewFile, Part, Table, TableWriter};

/// Restatements that are held in memory before they are written.
const CELLS_HELD_MAX: usize = 8_192;

/// Why numbers changed.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    reason: String,
    files: Option<String>,
}

impl Cause {
    /// Returns why numbers are others than those that were computed of something else: `late data`, or several reasons.
    /// Files of a table in which other records are merged than before came because of the merges.
    ///
    /// # Errors
    /// `Storage` where the warehouse cannot be read.
    pub(super) async fn of(run: &Run<'_>, before: Option<&Basis>, observation: &Observation) -> Result<Self> {
        let Some(before) = before else { return Ok(Self { reason: String::new(), files: None }) };
        let (now, mut reasons, mut files) = (&observation.basis, Vec::new(), None);
        if before.inputs != now.inputs {
            let (old, new) = (recorded_files(run.engine.warehouse(), before).await?, &observation.files);
            let known = run.state.merges.get(&before.inputs);
            let has_other_merges = |table: &String| {
                known.and_then(|known| known.get(table)).is_some_and(|known| run.merges.get(table) != Some(known))
            };
            let tables: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let (merged, late): (Vec<&String>, Vec<&String>) = tables
                .into_iter()
                .filter(|table| old.get(*table) != new.get(*table))
                .partition(|table| has_other_merges(table));
            reasons.extend((!late.is_empty()).then_some("late data"));
            reasons.extend((!merged.is_empty()).then_some("merge"));
            files = Some(files_between(&old, new));
        }
        reasons.extend((before.sql != now.sql).then_some("sql"));
        reasons.extend((before.settings != now.settings).then_some("setting"));
        reasons.extend((before.as_of_micros != now.as_of_micros).then_some("as_of"));
        if reasons.is_empty() {
            // The same numbers of the same things: only doubles of another processor, or a changed binary, come here.
            reasons.push("computed anew");
        }
        Ok(Self { reason: reasons.join(", "), files })
    }
}

/// The published numbers that changed, as far as a run has found any.
#[derive(Default)]
pub(super) struct Restated {
    writer: Option<TableWriter>,
    /// How many there are.
    pub cells: u64,
}

impl Restated {
    /// Returns the files that hold them, with how many they hold; `None` where there are none.
    ///
    /// # Errors
    /// `Storage` where they cannot be written.
    pub(super) async fn finish(self) -> Result<Option<(Vec<NewFile>, u64)>> {
        match self.writer {
            Some(writer) => writer.finish().await.map(Some),
            None => Ok(None),
        }
    }
}

/// A month that may have changed.
pub(super) struct Restating<'a> {
    pub view: &'a View,
    pub table: &'a Table,
    /// The columns that the published rows have.
    pub old_schema: &'a SchemaRef,
    pub cause: Cause,
}

impl Restating<'_> {
    /// Compares two versions of a month, and takes down what changed unless the month is closed.
    ///
    /// Returns how many rows changed.
    ///
    /// # Errors
    /// `Storage` where files cannot be read or written.
    pub(super) async fn compare(
        &self,
        run: &Run<'_>,
        restated: &mut Restated,
        month: &str,
        (old, new): (&[Part], &[Part]),
    ) -> Result<u64> {
        let is_closed = run.state.closed.contains_key(month);
        let mut changes = self.changes(run, is_closed, (old, new)).await?;
        let (mut rows, mut held) = (0, Vec::new());
        while let Some(found) = changes.next().await? {
            rows += 1;
            if is_closed {
                continue;
            }
            restated.cells += found.len() as u64;
            held.extend(found);
            if held.len() >= CELLS_HELD_MAX {
                self.write(run, restated, month, &held).await?;
                held.clear();
            }
        }
        if !held.is_empty() {
            self.write(run, restated, month, &held).await?;
        }
        Ok(rows)
    }

    /// Holds files against each other in the columns that both have; what a closed month lacks, it would get.
    async fn changes(&self, run: &Run<'_>, is_closed: bool, (old, new): (&[Part], &[Part])) -> Result<Changes> {
        let is_common = |name: &String| is_closed || self.old_schema.field_with_name(name).is_ok();
        let columns: Vec<String> = self.view.columns().into_iter().filter(is_common).collect();
        // Rows of two keys are told apart by all that they have.
        let key = if self.view.key.iter().all(is_common) { self.view.key.clone() } else { columns.clone() };
        let [of_old, of_new] = self.schemas(&self.view.table_columns().schema);
        let before = run.session.rows_in_order(self.table.reader_of(&of_old, old)?, &columns, &key).await?;
        let after = run.session.rows_in_order(self.table.reader_of(&of_new, new)?, &columns, &key).await?;
        Changes::start(before, after, key.len()).await
    }

    /// Returns the columns in which published rows and new ones are read: numbers in a type that holds both, others as
    /// they are.
    fn schemas(&self, new: &SchemaRef) -> [SchemaRef; 2] {
        let fields = new.fields().iter().map(|field| match self.old_schema.field_with_name(field.name()) {
            Ok(old) => match type_of_both(old.data_type(), field.data_type()) {
                Some(kind) => [old.clone().with_data_type(kind.clone()), field.as_ref().clone().with_data_type(kind)],
                None => [old.clone(), field.as_ref().clone()],
            },
            Err(_) => [field.as_ref().clone(), field.as_ref().clone()],
        });
        let (of_old, of_new): (Vec<_>, Vec<_>) = fields.map(|[old, new]| (old, new)).unzip();
        [of_old, of_new].map(|fields| Arc::new(Schema::new(fields)))
    }

    async fn write(&self, run: &Run<'_>, restated: &mut Restated, month: &str, cells: &[Cell]) -> Result<()> {
        let rows = self.rows(run, month, cells)?;
        if restated.writer.is_none() {
            let table = run.engine.warehouse().table(OWN_FOLDER, RESTATEMENTS)?;
            restated.writer = Some(table.writer(&restatements(), Vec::new()));
        }
        match &mut restated.writer {
            Some(writer) => writer.write(&rows).await,
            None => Ok(()),
        }
    }

    fn rows(&self, run: &Run<'_>, month: &str, cells: &[Cell]) -> Result<RecordBatch> {
        let count = cells.len();
        let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; count])) };
        let texts = |text: &dyn Fn(&Cell) -> Option<String>| -> ArrayRef {
            Arc::new(cells.iter().map(text).collect::<StringArray>())
        };
        let day = month.parse::<Month>().ok().map(Month::first_day);
        let columns: Vec<ArrayRef> = vec![
            same(&self.view.metric),
            texts(&|cell| Some(key_text(self.view, cell))),
            texts(&|cell| Some(cell.column.clone())),
            texts(&|cell| cell.before.clone()),
            texts(&|cell| cell.after.clone()),
            same(&self.cause.reason),
            texts(&|_| self.cause.files.clone()),
            same(&run.run_id),
            Arc::new(cells.iter().map(|cell| cell.difference).collect::<Float64Array>()),
            Arc::new(Date32Array::from(vec![day; count])),
            Arc::new(TimestampMicrosecondArray::from(vec![run.at_micros; count]).with_timezone("UTC")),
        ];
        RecordBatch::try_new(restatements(), columns)
            .map_err(|cause| Error::new(ErrorKind::Internal, "restatements cannot be written").with_source(cause))
    }
}

/// Returns the type in which numbers of two types are the same where their values are; `None` where there is none.
fn type_of_both(old: &DataType, new: &DataType) -> Option<DataType> {
    if old == new || !old.is_numeric() || !new.is_numeric() {
        return None;
    }
    if old.is_floating() || new.is_floating() {
        return Some(DataType::Float64);
    }
    // Digits before and after the point.
    let digits = |kind: &DataType| match kind {
        DataType::Int8 => Some((3, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::Decimal128(digits, places) => Some((i16::from(*digits) - i16::from(*places), *places)),
        _ => None,
    };
    let ((old_whole, old_places), (new_whole, new_places)) = (digits(old)?, digits(new)?);
    let places = old_places.max(new_places);
    let digits = u8::try_from(old_whole.max(new_whole) + i16::from(places)).ok()?;
    (digits <= DECIMAL128_MAX_PRECISION).then_some(DataType::Decimal128(digits, places))
}

/// Returns the key of a row without its month: `channel=email, model=linear`.
pub(super) fn key_text(view: &View, cell: &Cell) -> String {
    let others = cell.key.iter().filter(|(name, _)| Some(name.as_str()) != view.month_column());
    let texts = others.map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL")));
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_two_types_are_compared_in_one_that_rounds_neither() {
        let money = DataType::Decimal128(18, 2);
        assert_eq!(type_of_both(&money, &DataType::Int64), Some(DataType::Decimal128(21, 2)));
        assert_eq!(type_of_both(&DataType::Int32, &money), Some(money.clone()));
        assert_eq!(type_of_both(&money, &DataType::Decimal128(10, 4)), Some(DataType::Decimal128(20, 4)));
        assert_eq!(type_of_both(&money, &DataType::Float64), Some(DataType::Float64));
        assert_eq!(type_of_both(&DataType::Decimal128(38, 0), &money), None, "it would be too wide");
        assert_eq!(type_of_both(&money, &DataType::Utf8), None);
    }
}
