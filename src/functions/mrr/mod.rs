//! Recurring revenue by month (definitions, section 6): each entity's items summed over its months, in exact arithmetic.
//!
//! Amounts are cents, rates have 8 places, so sums have 10; each is rounded once, half away from zero.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Decimal128Array, StringViewArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use chrono::Datelike;
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};

use super::money::MONEY;
use super::operator::{Held, Operator, chosen, column, hold};
use super::settings::session_settings;
use crate::domain::calendar::date_of;

/// The columns of items that are read: whose they are, what they are worth, and the months at whose ends they count.
pub const ITEM_COLUMNS: [&str; 5] = ["entity_id", "currency", "amount", "first_month", "last_month"];

/// The columns of rates that are read.
pub const RATE_COLUMNS: [&str; 3] = ["currency", "rate", "month"];

/// A rate of 1.
const RATE_ONE: i128 = 100_000_000;

/// Months of a year.
const YEAR: i32 = 12;

const MOVEMENTS: [&str; 6] = ["none", "new", "reactivation", "churn", "expansion", "contraction"];

/// Returns the columns that come out: a row for each entity and month with MRR at its end, before it or a year before.
pub fn mrr_columns() -> Vec<Field> {
    let money = |name: &str| Field::new(name, MONEY, false);
    vec![
        Field::new("entity_id", DataType::Utf8View, false),
        Field::new("movement", DataType::Utf8View, false),
        money("opening"),
        money("change"),
        money("fx"),
        money("closing"),
        money("year_before"),
        money("year_before_now"),
        Field::new("month", DataType::Date32, false),
    ]
}

/// Sums items by entity and month. Its first child are items, the second the rates at the ends of months.
#[derive(Debug)]
pub struct MrrMonths {
    schema: SchemaRef,
}

impl MrrMonths {
    /// Returns the operator whose rows have these columns of [`mrr_columns`].
    pub fn new(names: &[String]) -> Self {
        Self { schema: chosen(&mrr_columns(), names) }
    }
}

impl Operator for MrrMonths {
    fn name(&self) -> &'static str {
        "MrrMonthsExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn streamed_child(&self) -> Option<usize> {
        None
    }

    fn execute(
        &self,
        children: &[Arc<dyn ExecutionPlan>],
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (children, schema) = (children.to_vec(), self.schema());
        let rows = stream::once(async move {
            let (items, rates) = futures::future::try_join(
                hold("recurring revenue", &children[0], &context),
                hold("recurring revenue", &children[1], &context),
            )
            .await?;
            let settings = session_settings(context.session_config().options());
            let last_day = settings.as_of().map_or(i32::MAX, |as_of| settings.calendar().day(as_of.saturating_sub(1)));
            let ledger = Ledger::new(items, &rates.batch, settings.text("reporting.currency"), month_index(last_day))?;
            let walk = Walk { ledger, next: 0, rows: context.session_config().batch_size(), schema };
            Ok::<_, DataFusionError>(stream::try_unfold(walk, |mut walk| async move {
                Ok(walk.batch()?.map(|batch| (batch, walk)))
            }))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// Returns the number of the month that a day is in: years x 12 + months.
fn month_index(day: i32) -> i32 {
    let date = date_of(day);
    date.year() * YEAR + date.month0() as i32
}

/// Returns the first day of a month.
fn first_day(index: i32) -> i32 {
    crate::domain::calendar::add_months(0, index - month_index(0))
}

/// One item, with its months as numbers, both included.
#[derive(Debug, Clone, Copy)]
struct Item {
    entity: u32,
    currency: u32,
    cents: i64,
    first: i32,
    last: i32,
}

/// Items in the order of their entities, and the rates of their currencies.
#[derive(Debug)]
struct Ledger {
    held: Held,
    items: Vec<Item>,
    /// By currency and month; a month without a rate has 0.
    rates: Vec<Rates>,
    last_month: i32,
}

/// The rates of one currency.
#[derive(Debug)]
enum Rates {
    One,
    ByMonth(HashMap<i32, i128>),
}

impl Rates {
    fn of(&self, month: i32) -> i128 {
        match self {
            Self::One => RATE_ONE,
            Self::ByMonth(rates) => rates.get(&month).copied().unwrap_or(0),
        }
    }
}

impl Ledger {
    fn new(held: Held, rates: &RecordBatch, reporting_currency: &str, last_month: i32) -> Result<Self> {
        let batch = &held.batch;
        let entities = column(batch, "entity_id")?.as_string_view();
        let currencies = column(batch, "currency")?.as_string_view();
        let amounts = column(batch, "amount")?.as_primitive::<Decimal128Type>();
        let firsts = column(batch, "first_month")?.as_primitive::<Date32Type>();
        let lasts = column(batch, "last_month")?.as_primitive::<Date32Type>();
        held.reservation.try_grow(batch.num_rows() * 2 * size_of::<Item>())?;
        let mut names: Vec<&str> = Vec::new();
        let mut items = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let currency = currencies.value(row);
            let place = names.iter().position(|name| *name == currency).unwrap_or_else(|| {
                names.push(currency);
                names.len() - 1
            });
            let Ok(cents) = i64::try_from(amounts.value(row)) else {
                return exec_err!("the monthly amount of a subscription item is out of range");
            };
            let last = month_index(lasts.value(row)).min(last_month);
            items.push(Item {
                entity: row as u32,
                currency: place as u32,
                cents,
                first: month_index(firsts.value(row)),
                last,
            });
        }
        items.retain(|item| item.first <= item.last && item.cents != 0);
        items.sort_by(|a, b| entities.value(a.entity as usize).cmp(entities.value(b.entity as usize)));
        let rates = names.iter().map(|name| rates_of(rates, name, reporting_currency)).collect::<Result<_>>()?;
        Ok(Self { items, rates, last_month, held })
    }

    fn entities(&self) -> Result<&StringViewArray> {
        Ok(column(&self.held.batch, "entity_id")?.as_string_view())
    }

    /// Returns where the items of the entity that starts at `from` end.
    fn end_of_entity(&self, from: usize) -> Result<usize> {
        let entities = self.entities()?;
        let name = entities.value(self.items[from].entity as usize);
        let others = self.items[from..].iter();
        Ok(from + others.take_while(|item| entities.value(item.entity as usize) == name).count())
    }
}

fn rates_of(rates: &RecordBatch, currency: &str, reporting_currency: &str) -> Result<Rates> {
    if currency == reporting_currency {
        return Ok(Rates::One);
    }
    let currencies = column(rates, "currency")?.as_string_view();
    let values = column(rates, "rate")?.as_primitive::<Decimal128Type>();
    let months = column(rates, "month")?.as_primitive::<Date32Type>();
    let of_currency = (0..rates.num_rows()).filter(|row| currencies.value(*row) == currency);
    Ok(Rates::ByMonth(of_currency.map(|row| (month_index(months.value(row)), values.value(row))).collect()))
}

/// Rounds a sum with 10 places to cents, half away from zero.
fn cents(sum: i128) -> i128 {
    (sum + sum.signum() * RATE_ONE / 2) / RATE_ONE
}

/// What one entity and month come to, in cents.
#[derive(Debug, Clone, Copy)]
struct MonthRow {
    entity: u32,
    movement: u32,
    opening: i128,
    change: i128,
    closing: i128,
    year_before: i128,
    year_before_now: i128,
    month: i32,
}

/// Walks over the entities and makes batches of their months.
struct Walk {
    ledger: Ledger,
    next: usize,
    rows: usize,
    schema: SchemaRef,
}

impl Walk {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = Vec::new();
        while self.next < self.ledger.items.len() && rows.len() < self.rows {
            let end = self.ledger.end_of_entity(self.next)?;
            months_of(&self.ledger.items[self.next..end], &self.ledger.rates, self.ledger.last_month, &mut rows);
            self.next = end;
        }
        if rows.is_empty() { Ok(None) } else { self.batch_of(&rows).map(Some) }
    }

    fn batch_of(&self, rows: &[MonthRow]) -> Result<RecordBatch> {
        let money = |amount: fn(&MonthRow) -> i128| -> Result<ArrayRef> {
            let cents = Decimal128Array::from_iter_values(rows.iter().map(amount));
            Ok(Arc::new(cents.with_precision_and_scale(18, 2)?))
        };
        let columns = self.schema.fields().iter().map(|field| match field.name().as_str() {
            "entity_id" => {
                let places = UInt32Array::from_iter_values(rows.iter().map(|row| row.entity));
                Ok(take(self.ledger.entities()?, &places, None)?)
            }
            "movement" => {
                let names = StringViewArray::from_iter_values(MOVEMENTS);
                Ok(take(&names, &UInt32Array::from_iter_values(rows.iter().map(|row| row.movement)), None)?)
            }
            "opening" => money(|row| row.opening),
            "change" => money(|row| row.change),
            "fx" => money(|row| row.closing - row.opening - row.change),
            "closing" => money(|row| row.closing),
            "year_before" => money(|row| row.year_before),
            "year_before_now" => money(|row| row.year_before_now),
            _ => Ok(Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| first_day(row.month)))) as ArrayRef),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// Adds the months of one entity.
fn months_of(items: &[Item], rates: &[Rates], last_month: i32, rows: &mut Vec<MonthRow>) {
    let Some(first) = items.iter().map(|item| item.first).min() else { return };
    let last_active = items.iter().map(|item| item.last).max().unwrap_or(first);
    let last = last_month.min(last_active + YEAR);
    let sum_at = |of_month: i32, rates_of: i32| -> i128 {
        let counting = items.iter().filter(|item| item.first <= of_month && of_month <= item.last);
        counting.map(|item| i128::from(item.cents) * rates[item.currency as usize].of(rates_of)).sum()
    };
    let mut was_active = false;
    for month in first..=last {
        let (opening, closing) = (cents(sum_at(month - 1, month - 1)), cents(sum_at(month, month)));
        let moved = cents(sum_at(month, month) - sum_at(month - 1, month));
        let change = if opening == 0 { closing } else { moved };
        let movement = match (opening > 0, closing > 0) {
            (false, false) => 0,
            (false, true) if was_active => 2,
            (false, true) => 1,
            (true, false) => 3,
            (true, true) if change > 0 => 4,
            (true, true) if change < 0 => 5,
            (true, true) => 0,
        };
        was_active |= closing > 0;
        let year_before = cents(sum_at(month - YEAR, month - YEAR));
        if opening > 0 || closing > 0 || year_before > 0 {
            let year_before_now = cents(sum_at(month - YEAR, month));
            let entity = items[0].entity;
            rows.push(MonthRow { entity, movement, opening, change, closing, year_before, year_before_now, month });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(currency: u32, cents: i64, first: i32, last: i32) -> Item {
        Item { entity: 0, currency, cents, first, last }
    }

    fn months(items: &[Item], rates: &[Rates], last_month: i32) -> Vec<(i32, &'static str, i128, i128, i128)> {
        let mut rows = Vec::new();
        months_of(items, rates, last_month, &mut rows);
        rows.iter()
            .map(|row| (row.month, MOVEMENTS[row.movement as usize], row.opening, row.change, row.closing))
            .collect()
    }

    #[test]
    fn every_movement_has_its_month() {
        let items = [item(0, 100, 1, 1), item(0, 150, 2, 2), item(0, 120, 3, 4), item(0, 90, 6, 6)];
        assert_eq!(
            months(&items, &[Rates::One], 7),
            [
                (1, "new", 0, 100, 100),
                (2, "expansion", 100, 50, 150),
                (3, "contraction", 150, -30, 120),
                (4, "none", 120, 0, 120),
                (5, "churn", 120, -120, 0),
                (6, "reactivation", 0, 90, 90),
                (7, "churn", 90, -90, 0),
            ]
        );
    }

    #[test]
    fn a_rate_alone_is_no_movement() {
        let rates = Rates::ByMonth([(1, RATE_ONE), (2, RATE_ONE * 11 / 10)].into());
        assert_eq!(months(&[item(0, 100, 1, 2)], &[rates], 2), [(1, "new", 0, 100, 100), (2, "none", 100, 0, 110)]);
    }

    #[test]
    fn an_amount_without_a_rate_is_nothing_until_there_is_one() {
        let rates = Rates::ByMonth([(2, RATE_ONE)].into());
        assert_eq!(months(&[item(0, 100, 1, 2)], &[rates], 2), [(2, "new", 0, 100, 100)]);
    }

    #[test]
    fn months_are_numbered_and_named_back() {
        for day in [-400, 0, 31, 20_000] {
            assert_eq!(first_day(month_index(day)), crate::domain::calendar::month_of(day));
        }
    }
}
