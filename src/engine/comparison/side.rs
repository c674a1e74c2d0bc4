//! One side of a comparison: rows in the order of their key, one at a time.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;

use crate::engine::result::QueryStream;
use crate::error::{Error, ErrorKind, Result};

/// The order in which both sides arrive.
const BY_KEY: SortOptions = SortOptions { descending: false, nulls_first: true };

/// A column that both sides have.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type in which both are compared.
    kind: DataType,
    pub(super) is_number: bool,
    pub(super) is_double: bool,
}

impl Column {
    /// Returns the columns of two sides, which have the same names; where types differ, values are compared as texts.
    pub(super) fn common(before: &Schema, after: &Schema, keys: usize) -> Vec<Self> {
        let fields = before.fields().iter().zip(after.fields()).enumerate();
        fields
            .map(|(place, (before, after))| {
                let is_same = before.data_type() == after.data_type();
                // A key in two types has the order of the side that comes first, and so is turned into its type.
                let kind = if is_same || place < keys { before.data_type().clone() } else { DataType::Utf8 };
                let is_double = |kind: &DataType| kind.is_floating();
                Self {
                    name: before.name().clone(),
                    kind,
                    is_number: before.data_type().is_numeric() && after.data_type().is_numeric(),
                    is_double: is_double(before.data_type()) || is_double(after.data_type()),
                }
            })
            .collect()
    }
}

/// How the rows at which two sides stand follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// They have the same key.
    Same,
    /// The one before has the smaller key, or the other side has ended.
    OnlyBefore,
    /// The one after has the smaller key, or the other side has ended.
    OnlyAfter,
    /// Both sides have ended.
    Ended,
}

/// One side.
pub(super) struct Side {
    rows: QueryStream,
    kinds: Vec<DataType>,
    keys: usize,
    to_key: RowConverter,
    to_row: RowConverter,
    batch: Option<Encoded>,
    place: usize,
    seen: u64,
}

/// A batch, and its rows as bytes that compare as the rows do.
struct Encoded {
    columns: Vec<ArrayRef>,
    keys: Rows,
    whole: Rows,
}

impl Side {
    /// Starts at the first row.
    pub(super) async fn start(rows: QueryStream, columns: &[Column], keys: usize) -> Result<Self> {
        let kinds: Vec<DataType> = columns.iter().map(|column| column.kind.clone()).collect();
        let fields = |kinds: &[DataType]| {
            kinds.iter().map(|kind| SortField::new_with_options(kind.clone(), BY_KEY)).collect::<Vec<_>>()
        };
        let mut side = Self {
            rows,
            to_key: RowConverter::new(fields(&kinds[..keys])).map_err(fault)?,
            to_row: RowConverter::new(fields(&kinds)).map_err(fault)?,
            kinds,
            keys,
            batch: None,
            place: 0,
            seen: 0,
        };
        side.next_batch().await?;
        Ok(side)
    }

    /// Goes to the next row.
    pub(super) async fn advance(&mut self) -> Result<()> {
        self.place += 1;
        self.seen += 1;
        if self.batch.as_ref().is_some_and(|batch| self.place >= batch.keys.num_rows()) {
            self.next_batch().await?;
        }
        Ok(())
    }

    /// Returns how many rows were left behind.
    pub(super) fn rows_seen(&self) -> u64 {
        self.seen
    }

    /// Returns how the rows at which two sides stand follow each other.
    pub(super) fn order(before: &Self, after: &Self) -> Order {
        match (&before.batch, &after.batch) {
            (None, None) => Order::Ended,
            (Some(_), None) => Order::OnlyBefore,
            (None, Some(_)) => Order::OnlyAfter,
            (Some(one), Some(other)) => match one.keys.row(before.place).cmp(&other.keys.row(after.place)) {
                Ordering::Equal => Order::Same,
                Ordering::Less => Order::OnlyBefore,
                Ordering::Greater => Order::OnlyAfter,
            },
        }
    }

    /// Returns whether two sides stand at rows that are the same to the last bit.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (&self.batch, &other.batch) {
            (Some(one), Some(other_batch)) => one.whole.row(self.place) == other_batch.whole.row(other.place),
            _ => false,
        }
    }

    /// Returns a value of the row as text.
    pub(super) fn text(&self, column: usize) -> Result<Option<String>> {
        let Some(array) = self.batch.as_ref().map(|batch| &batch.columns[column]) else { return Ok(None) };
        if array.is_null(self.place) {
            return Ok(None);
        }
        let options = FormatOptions::default();
        let text = ArrayFormatter::try_new(array.as_ref(), &options)
            .and_then(|formatter| formatter.value(self.place).try_to_string());
        text.map(Some).map_err(fault)
    }

    async fn next_batch(&mut self) -> Result<()> {
        self.batch = None;
        self.place = 0;
        while let Some(batch) = self.rows.try_next().await? {
            if batch.num_rows() == 0 {
                continue;
            }
            let columns: Vec<ArrayRef> = batch
                .columns()
                .iter()
                .zip(&self.kinds)
                .map(|(column, kind)| cast(column, kind))
                .collect::<Result<_, _>>()
                .map_err(fault)?;
            let keys = self.to_key.convert_columns(&columns[..self.keys]).map_err(fault)?;
            let whole = self.to_row.convert_columns(&columns).map_err(fault)?;
            self.batch = Some(Encoded { columns, keys, whole });
            return Ok(());
        }
        Ok(())
    }
}

fn fault(cause: ArrowError) -> Error {
    Error::new(ErrorKind::Query, "a value cannot be compared").with_source(cause)
}
