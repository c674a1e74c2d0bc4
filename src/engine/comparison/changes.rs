//! Two versions of the same rows, cell by cell, a row at a time.

use super::side::{Column, Order, Side};
use super::{Cell, Change, change_of};
use crate::engine::QueryStream;
use crate::error::Result;

/// What differs between two streams of rows in the order of their key, which is in their first columns.
pub struct Changes {
    before: Side,
    after: Side,
    columns: Vec<Column>,
    keys: usize,
}

impl Changes {
    /// Starts at the first rows of two streams with the same columns.
    ///
    /// # Errors
    /// What the streams give, and `Query` where their types cannot be compared.
    pub async fn start(before: QueryStream, after: QueryStream, keys: usize) -> Result<Self> {
        let columns = Column::common(&before.schema(), &after.schema(), keys);
        let before = Side::start(before, &columns, keys).await?;
        let after = Side::start(after, &columns, keys).await?;
        Ok(Self { before, after, columns, keys })
    }

    /// Returns the cells of the next row that differs, at least one; `None` at the end.
    ///
    /// A row that is on one side only has a cell for each of its values.
    ///
    /// # Errors
    /// As [`Changes::start`].
    pub async fn next(&mut self) -> Result<Option<Vec<Cell>>> {
        loop {
            let cells = match Side::order(&self.before, &self.after) {
                Order::Ended => return Ok(None),
                Order::Same => {
                    let is_like = self.before.is_like(&self.after);
                    let cells = if is_like { Vec::new() } else { self.cells(Change::Changed)? };
                    self.before.advance().await?;
                    self.after.advance().await?;
                    cells
                }
                Order::OnlyBefore => {
                    let cells = self.cells(Change::Removed)?;
                    self.before.advance().await?;
                    cells
                }
                Order::OnlyAfter => {
                    let cells = self.cells(Change::Added)?;
                    self.after.advance().await?;
                    cells
                }
            };
            if !cells.is_empty() {
                return Ok(Some(cells));
            }
        }
    }

    fn cells(&self, change: Change) -> Result<Vec<Cell>> {
        let with_key = if change == Change::Added { &self.after } else { &self.before };
        let mut key = Vec::new();
        for (place, column) in self.columns.iter().enumerate().take(self.keys) {
            key.push((column.name.clone(), with_key.text(place)?));
        }
        let mut cells = Vec::new();
        for (place, column) in self.columns.iter().enumerate().skip(self.keys) {
            let before = if change == Change::Added { None } else { self.before.text(place)? };
            let after = if change == Change::Removed { None } else { self.after.text(place)? };
            if let Some(difference) = change_of(column, before.as_ref(), after.as_ref()) {
                cells.push(Cell { key: key.clone(), change, column: column.name.clone(), before, after, difference });
            }
        }
        if cells.is_empty() && change != Change::Changed {
            // A row without values came or went all the same.
            let (before, after, difference) = (None, None, None);
            cells.push(Cell { key, change, column: String::new(), before, after, difference });
        }
        Ok(cells)
    }
}
