//! The rows of a view under two engines, held against each other key by key.
//!
//! Both sides arrive in the order of the key and are walked through side by side, so that memory is that of two sorts
//! and a batch of each. Start at [`compare`].

mod changes;
mod side;

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::Schema;

use super::Engine;
use super::session::Session;
use crate::catalog::TableId;
use crate::error::{Error, ErrorKind, Result};
pub use changes::Changes;
use side::{Column, Order, Side};

/// How far two doubles are apart that count as the same: sums of doubles depend on the order of their rows.
const TOLERANCE: f64 = 1e-9;

/// The most periods that are kept by name: more than a century of months.
const PERIODS_MAX: usize = 1_500;

/// How the rows of a view differ.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// Rows before.
    pub rows_before: u64,
    /// Rows after.
    pub rows_after: u64,
    /// Rows whose key is only there after.
    pub added: u64,
    /// Rows whose key is only there before.
    pub removed: u64,
    /// Rows of both whose values differ.
    pub changed: u64,
    /// Columns that are only there before.
    pub columns_removed: Vec<String>,
    /// Columns that are only there after.
    pub columns_added: Vec<String>,
    /// What changed in each column that differs, by name.
    pub columns: BTreeMap<String, ColumnDifference>,
    /// The periods of rows that differ.
    pub periods: BTreeSet<String>,
    /// The first values that differ, in the order of the key.
    pub first: Vec<Cell>,
}

impl Difference {
    /// Returns whether nothing differs.
    pub fn is_none(&self) -> bool {
        self.added + self.removed + self.changed == 0
            && self.columns_added.is_empty()
            && self.columns_removed.is_empty()
    }
}

/// How a column differs, rows that are only on one side included, whose missing number is 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnDifference {
    /// Rows in which it differs.
    pub rows: u64,
    /// Sum of after - before; `None` where it holds no numbers.
    pub sum: Option<f64>,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The key of its row: columns and values, where NULL is `None`.
    pub key: Vec<(String, Option<String>)>,
    /// Whether the row is on one side only.
    pub change: Change,
    /// The column; empty where the whole row came or went.
    pub column: String,
    /// The value before.
    pub before: Option<String>,
    /// The value after.
    pub after: Option<String>,
    /// After - before, of numbers.
    pub difference: Option<f64>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is only there after.
    Added,
    /// It is only there before.
    Removed,
    /// It is on both sides, with other values.
    Changed,
}

impl Change {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// A view as it is compared.
struct View {
    key: Vec<String>,
    period: Option<String>,
    sql: String,
}

/// Compares the rows of a view of two engines, both of which have it, and keeps the first cells that differ.
///
/// # Errors
/// `Model` where the view has no key, or not the same one on both sides, and whatever running the queries gives.
pub async fn compare(before: &Engine, after: &Engine, id: &TableId, cells_max: usize) -> Result<Difference> {
    let (of_before, of_after) = (before.table(id).await?, after.table(id).await?);
    let names = |schema: &Schema| -> Vec<String> { schema.fields().iter().map(|field| field.name().clone()).collect() };
    let (names_before, names_after) = (names(&of_before.schema), names(&of_after.schema));
    let key = if of_after.key.is_empty() { of_before.key } else { of_after.key };
    if key.is_empty() || key.iter().any(|name| !names_before.contains(name) || !names_after.contains(name)) {
        return Err(Error::new(ErrorKind::Model, format!("view \"{id}\" has no key that both sides have"))
            .with_hint("name the columns that tell its rows apart as key in its sidecar"));
    }
    let without = |names: &[String], others: &[String]| -> Vec<String> {
        names.iter().filter(|name| !others.contains(name)).cloned().collect()
    };
    let (columns_removed, columns_added) = (without(&names_before, &names_after), without(&names_after, &names_before));
    let is_value = |name: &&String| names_after.contains(name) && !key.contains(name);
    let values: Vec<&String> = names_before.iter().filter(is_value).collect();
    let period = after.models().get(id).and_then(|model| model.sidecar.period.clone());
    let view = View { sql: sql(id, &key, &values), period, key };
    let mut difference = Difference { columns_removed, columns_added, ..Difference::default() };
    walk(&before.session(), &after.session(), &view, cells_max, &mut difference).await?;
    Ok(difference)
}

fn sql(id: &TableId, key: &[String], values: &[&String]) -> String {
    let quoted = |name: &String| format!("\"{name}\"");
    let columns: Vec<String> = key.iter().chain(values.iter().copied()).map(quoted).collect();
    let order: Vec<String> = key.iter().map(|name| format!("{} nulls first", quoted(name))).collect();
    format!("select {} from {id} order by {}", columns.join(", "), order.join(", "))
}

async fn walk(
    before: &Session,
    after: &Session,
    view: &View,
    cells_max: usize,
    difference: &mut Difference,
) -> Result<()> {
    let (rows_before, rows_after) = tokio::try_join!(before.query(&view.sql), after.query(&view.sql))?;
    let columns = Column::common(&rows_before.schema(), &rows_after.schema(), view.key.len());
    let mut before = Side::start(rows_before, &columns, view.key.len()).await?;
    let mut after = Side::start(rows_after, &columns, view.key.len()).await?;
    let mut record = Record { view, columns: &columns, cells_max, difference };
    loop {
        match Side::order(&before, &after) {
            Order::Ended => break,
            Order::Same => {
                if !before.is_like(&after) {
                    record.changed(&before, &after)?;
                }
                before.advance().await?;
                after.advance().await?;
            }
            Order::OnlyBefore => {
                record.one_sided(&before, Change::Removed)?;
                before.advance().await?;
            }
            Order::OnlyAfter => {
                record.one_sided(&after, Change::Added)?;
                after.advance().await?;
            }
        }
    }
    (difference.rows_before, difference.rows_after) = (before.rows_seen(), after.rows_seen());
    Ok(())
}

/// Takes down what differs.
struct Record<'walk> {
    view: &'walk View,
    columns: &'walk [Column],
    cells_max: usize,
    difference: &'walk mut Difference,
}

impl Record<'_> {
    fn changed(&mut self, before: &Side, after: &Side) -> Result<()> {
        let mut is_changed = false;
        for (place, column) in self.columns.iter().enumerate().skip(self.view.key.len()) {
            let (old, new) = (before.text(place)?, after.text(place)?);
            let Some(change) = change_of(column, old.as_ref(), new.as_ref()) else { continue };
            is_changed = true;
            self.count(&column.name, change);
            self.keep(before, Change::Changed, &column.name, (old, new), change)?;
        }
        if is_changed {
            self.difference.changed += 1;
            self.keep_period(before)?;
        }
        Ok(())
    }

    fn one_sided(&mut self, side: &Side, change: Change) -> Result<()> {
        for (place, column) in self.columns.iter().enumerate().skip(self.view.key.len()) {
            let Some(text) = side.text(place)? else { continue };
            let sign = if change == Change::Added { 1.0 } else { -1.0 };
            self.count(&column.name, column.is_number.then(|| sign * number(Some(&text))));
        }
        match change {
            Change::Added => self.difference.added += 1,
            _ => self.difference.removed += 1,
        }
        self.keep(side, change, "", (None, None), None)?;
        self.keep_period(side)
    }

    fn count(&mut self, column: &str, change: Option<f64>) {
        let of_column = self.difference.columns.entry(column.to_owned()).or_default();
        of_column.rows += 1;
        if let Some(change) = change {
            *of_column.sum.get_or_insert(0.0) += change;
        }
    }

    fn keep(
        &mut self,
        side: &Side,
        change: Change,
        column: &str,
        (before, after): (Option<String>, Option<String>),
        difference: Option<f64>,
    ) -> Result<()> {
        if self.difference.first.len() < self.cells_max {
            let mut key = Vec::new();
            for (place, name) in self.view.key.iter().enumerate() {
                key.push((name.clone(), side.text(place)?));
            }
            let column = column.to_owned();
            self.difference.first.push(Cell { key, change, column, before, after, difference });
        }
        Ok(())
    }

    fn keep_period(&mut self, side: &Side) -> Result<()> {
        let is_period = |column: &Column| Some(&column.name) == self.view.period.as_ref();
        if let Some(place) = self.columns.iter().position(is_period)
            && self.difference.periods.len() < PERIODS_MAX
            && let Some(period) = side.text(place)?
        {
            self.difference.periods.insert(period);
        }
        Ok(())
    }
}

/// Returns after - before, which has a value of numbers only; `None` where two values count as the same.
fn change_of(column: &Column, old: Option<&String>, new: Option<&String>) -> Option<Option<f64>> {
    let change = column.is_number.then(|| number(new) - number(old));
    // Nothing is near to infinity, of which each share is infinite.
    let is_near = change.filter(|change| change.is_finite()).is_some_and(|change| {
        old.is_some() == new.is_some() && change.abs() <= TOLERANCE * number(old).abs().max(number(new).abs())
    });
    if old == new || column.is_double && is_near { None } else { Some(change) }
}

/// Returns the number in a text; 0 where there is none.
fn number(text: Option<&String>) -> f64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn doubles_are_the_same_by_their_first_digits_and_nothing_is_near_to_infinity() {
        let schema = Schema::new(vec![Field::new("ratio", DataType::Float64, true)]);
        let column = Column::common(&schema, &schema, 0).remove(0);
        let is_same = |old: f64, new: f64| change_of(&column, Some(&old.to_string()), Some(&new.to_string())).is_none();
        assert!(is_same(1.0, 1.0 + 1e-12) && is_same(f64::INFINITY, f64::INFINITY) && is_same(f64::NAN, f64::NAN));
        let others = [5.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        for (place, old) in others.iter().enumerate() {
            for new in others.iter().skip(place + 1) {
                assert!(!is_same(*old, *new) && !is_same(*new, *old), "{old} and {new}");
            }
        }
        assert!(change_of(&column, Some(&"0.0".to_owned()), None).is_some(), "no number is not 0");
    }
}
