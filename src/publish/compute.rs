//! The rows of a metric, month by month, into files.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{Date32Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;

use super::Unchanged;
use super::digest::Digest;
use crate::domain::month::Month;
use crate::engine::published::RUN_ID;
use crate::engine::published::entry::{TableState, WHOLE};
use crate::engine::published::scope::Scope;
use crate::engine::published::view::View;
use crate::engine::{QueryStream, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{NewFile, Table, TableWriter, converted};

/// Bytes of a month that are held in memory before they are written: a month that is smaller and did not change costs
/// no file.
const HELD_BYTES_MAX: usize = 16 << 20;

/// A month as it was computed.
#[derive(Debug, Clone)]
pub(super) struct Computed {
    /// The month: `2026-03`, or [`WHOLE`].
    pub month: String,
    /// What its rows add up to.
    pub digest: String,
    /// Its rows.
    pub rows: u64,
    /// Whether all of its rows are of periods that have ended.
    pub is_complete: bool,
    /// Its files; none where its rows are the published ones.
    pub files: Vec<NewFile>,
}

/// Where rows go to.
pub(super) struct Target<'a> {
    /// The metric.
    pub view: &'a View,
    /// Its table.
    pub table: &'a Table,
    /// What is published of it.
    pub known: Option<&'a TableState>,
    /// The run.
    pub run_id: &'a str,
    /// What becomes of months that did not change.
    pub unchanged: Unchanged,
}

impl Target<'_> {
    /// Computes months and writes them; see [`Target::write`].
    ///
    /// # Errors
    /// As [`Target::write`].
    pub(super) async fn compute(
        &self,
        session: &Session,
        (scope, current): (&Scope, Month),
        done: &mut Vec<Computed>,
    ) -> Result<()> {
        if scope.is_nothing() {
            return Ok(());
        }
        // A query of all months comes upon a row without one by itself.
        if matches!(scope, Scope::Ranges(_))
            && let Some(sql) = self.view.sql_without_month()
            && session.all_rows(&sql).await?.try_next().await?.is_some_and(|rows| rows.num_rows() > 0)
        {
            return Err(without_month(self.view));
        }
        self.write(session.all_rows(&self.view.sql(scope, current)).await?, done).await
    }

    /// Writes the months of a query, whose rows come month by month; each that is whole goes to `done`, an error's too.
    ///
    /// # Errors
    /// What the query gives, `Model` where a row has no month, `Storage` where files cannot be written.
    async fn write(&self, mut rows: QueryStream, done: &mut Vec<Computed>) -> Result<()> {
        let columns = self.view.table_columns();
        let mut open: Option<Open> = None;
        while let Some(batch) = rows.try_next().await? {
            for (month, slice) in by_month(self.view, &batch)? {
                if open.as_ref().is_some_and(|open| open.month != month)
                    && let Some(ended) = open.take()
                {
                    done.push(ended.close(self).await?);
                }
                let of_month = open.get_or_insert_with(|| Open::new(month));
                of_month.add(self, &slice, &columns.schema).await?;
            }
        }
        if !self.view.has_months() {
            open.get_or_insert_with(|| Open::new(WHOLE.to_owned()));
        }
        if let Some(ended) = open {
            done.push(ended.close(self).await?);
        }
        Ok(())
    }

    fn writer(&self) -> TableWriter {
        let columns = self.view.table_columns();
        self.table.writer(&columns.schema, columns.partitioned_by)
    }
}

/// Divides rows, which come month by month.
///
/// # Errors
/// `Model` where a row has no month.
pub(super) fn by_month(view: &View, rows: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
    let Some(column) = view.month_column() else { return Ok(vec![(WHOLE.to_owned(), rows.clone())]) };
    let days = rows.column_by_name(column).and_then(|days| days.as_primitive_opt::<Date32Type>());
    let days = days.filter(|days| days.null_count() == 0).ok_or_else(|| without_month(view))?;
    let mut parts = Vec::new();
    let mut from = 0;
    while from < days.len() {
        let day = days.value(from);
        let count = days.values()[from..].iter().take_while(|other| **other == day).count();
        parts.push((Month::of_day(day).to_string(), rows.slice(from, count)));
        from += count;
    }
    Ok(parts)
}

fn without_month(view: &View) -> Error {
    Error::new(ErrorKind::Model, format!("view \"metrics.{}\" has a row without a month", view.metric))
        .with_hint("its period must not be NULL where it is published")
}

/// A month of which there may be more rows.
struct Open {
    month: String,
    digest: Digest,
    is_complete: bool,
    held: Vec<RecordBatch>,
    held_bytes: usize,
    writer: Option<TableWriter>,
}

impl Open {
    fn new(month: String) -> Self {
        let (digest, held) = (Digest::default(), Vec::new());
        Self { month, digest, is_complete: true, held, held_bytes: 0, writer: None }
    }

    async fn add(&mut self, target: &Target<'_>, rows: &RecordBatch, columns: &SchemaRef) -> Result<()> {
        let run: ArrayRef = Arc::new(StringArray::from(vec![target.run_id; rows.num_rows()]));
        let rows = with_column(rows, RUN_ID, run)?;
        let rows = converted(&rows, columns)?;
        self.digest.add(&of_metric(&rows, target.view)?)?;
        if let Some(column) = target.view.complete_column() {
            let flags = rows.column_by_name(column).and_then(|flags| flags.as_boolean_opt());
            self.is_complete &= flags.is_some_and(|flags| flags.true_count() == flags.len());
        }
        self.held_bytes += rows.get_array_memory_size();
        self.held.push(rows);
        if self.held_bytes > HELD_BYTES_MAX { self.flush(target).await } else { Ok(()) }
    }

    async fn flush(&mut self, target: &Target<'_>) -> Result<()> {
        let writer = self.writer.get_or_insert_with(|| target.writer());
        for rows in self.held.drain(..) {
            writer.write(&rows).await?;
        }
        self.held_bytes = 0;
        Ok(())
    }

    /// Finishes the month; what was written of one that is not to be published goes with its writer.
    async fn close(mut self, target: &Target<'_>) -> Result<Computed> {
        let rows = self.digest.rows();
        let digest = self.digest.clone().text(&target.view.schema);
        let known = target.known.and_then(|known| known.months.get(&self.month));
        let is_same = known.is_some_and(|known| known.digest == digest && known.rows == rows);
        let mut files = Vec::new();
        if self.is_complete && !(is_same && target.unchanged == Unchanged::IsKept) {
            self.flush(target).await?;
            if let Some(writer) = self.writer.take() {
                (files, _) = writer.finish().await?;
            }
        }
        Ok(Computed { month: self.month, digest, rows, is_complete: self.is_complete, files })
    }
}

/// Returns rows with the columns of the metric alone, which is what a digest is of.
///
/// # Errors
/// `Internal` where they do not have them.
pub(super) fn of_metric(rows: &RecordBatch, view: &View) -> Result<RecordBatch> {
    let places: std::result::Result<Vec<usize>, _> =
        view.schema.fields().iter().map(|field| rows.schema_ref().index_of(field.name())).collect();
    places
        .and_then(|places| rows.project(&places))
        .map_err(|cause| Error::new(ErrorKind::Internal, "rows do not have the metric's columns").with_source(cause))
}

fn with_column(rows: &RecordBatch, name: &str, column: ArrayRef) -> Result<RecordBatch> {
    let own = rows.schema_ref().fields().iter().map(|field| field.name().as_str()).zip(rows.columns().iter().cloned());
    RecordBatch::try_from_iter(own.chain([(name, column)]))
        .map_err(|cause| Error::new(ErrorKind::Internal, "a column cannot be added").with_source(cause))
}
