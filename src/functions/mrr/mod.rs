//! Recurring revenue by month or week (definitions, section 6): each entity's items summed over its periods, in exact
//! arithmetic.
//!
//! Amounts are cents, rates have 8 places, so sums have 10; each is rounded once, half away from zero.

mod movements;
mod periods;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Decimal128Array, StringViewArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};

use self::movements::{MOVEMENTS, RATE_ONE, Row, Span, add_periods};
pub use self::periods::Period;
use self::periods::Periods;
use super::money::MONEY;
use super::operator::{Held, Operator, chosen, column, hold};
use super::settings::session_settings;

/// The columns of items that are read: whose they are, what they are worth, and the periods at whose ends they count.
pub const ITEM_COLUMNS: [&str; 5] = ["entity_id", "currency", "amount", "first_period", "last_period"];

/// Returns the columns of rates that are read.
pub fn rate_columns(period: Period) -> [&'static str; 3] {
    ["currency", "rate", period.column()]
}

/// Returns the columns that come out: a row for each entity and period with MRR at its end or before it, and, where
/// periods make a year, a year before.
pub fn mrr_columns(period: Period) -> Vec<Field> {
    let money = |name: &str| Field::new(name, MONEY, false);
    let mut columns = vec![
        Field::new("entity_id", DataType::Utf8View, false),
        Field::new("movement", DataType::Utf8View, false),
        money("opening"),
        money("change"),
        money("fx"),
        money("closing"),
        money("closing_at_first"),
    ];
    if period.per_year().is_some() {
        columns.extend([money("year_before"), money("year_before_now")]);
    }
    columns.extend([
        Field::new(format!("first_{}", period.column()), DataType::Date32, false),
        Field::new(period.column(), DataType::Date32, false),
    ]);
    columns
}

/// Sums items by entity and period. Its first child are items, the second the rates at the ends of periods.
#[derive(Debug)]
pub struct MrrPeriods {
    period: Period,
    schema: SchemaRef,
}

impl MrrPeriods {
    /// Returns the operator whose rows have these columns of [`mrr_columns`].
    pub fn new(period: Period, names: &[String]) -> Self {
        Self { period, schema: chosen(&mrr_columns(period), names) }
    }
}

impl Operator for MrrPeriods {
    fn name(&self) -> &'static str {
        "MrrPeriodsExec"
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
        let (children, schema, period) = (children.to_vec(), self.schema(), self.period);
        let rows = stream::once(async move {
            let (items, rates) = futures::future::try_join(
                hold("recurring revenue", &children[0], &context),
                hold("recurring revenue", &children[1], &context),
            )
            .await?;
            let settings = session_settings(context.session_config().options());
            let periods = Periods { period, calendar: settings.calendar() };
            let last_day = settings.as_of().map_or(i32::MAX, |as_of| periods.calendar.day(as_of.saturating_sub(1)));
            let ledger = Ledger::new(items, &rates.batch, periods, settings.text("reporting.currency"), last_day)?;
            let walk = Walk { ledger, next: 0, rows: context.session_config().batch_size(), schema };
            Ok::<_, DataFusionError>(stream::try_unfold(walk, |mut walk| async move {
                Ok(walk.batch()?.map(|batch| (batch, walk)))
            }))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// One item, with its first and last period as numbers.
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
    rates: Vec<Rates>,
    periods: Periods,
    span: Span,
}

/// The rates of one currency at the ends of periods; one without a rate has 0.
#[derive(Debug)]
enum Rates {
    One,
    ByPeriod(HashMap<i32, i128>),
}

impl Rates {
    fn of(&self, period: i32) -> i128 {
        match self {
            Self::One => RATE_ONE,
            Self::ByPeriod(rates) => rates.get(&period).copied().unwrap_or(0),
        }
    }
}

impl Ledger {
    fn new(held: Held, rates: &RecordBatch, periods: Periods, reporting_currency: &str, last_day: i32) -> Result<Self> {
        let span = Span { last: periods.index(last_day), per_year: periods.period.per_year() };
        let batch = &held.batch;
        let entities = column(batch, "entity_id")?.as_string_view();
        let currencies = column(batch, "currency")?.as_string_view();
        let amounts = column(batch, "amount")?.as_primitive::<Decimal128Type>();
        let firsts = column(batch, "first_period")?.as_primitive::<Date32Type>();
        let lasts = column(batch, "last_period")?.as_primitive::<Date32Type>();
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
            let last = periods.index(lasts.value(row)).min(span.last);
            items.push(Item {
                entity: row as u32,
                currency: place as u32,
                cents,
                first: periods.index(firsts.value(row)),
                last,
            });
        }
        items.retain(|item| item.first <= item.last && item.cents != 0);
        items.sort_by(|a, b| entities.value(a.entity as usize).cmp(entities.value(b.entity as usize)));
        let rates =
            names.iter().map(|name| rates_of(rates, name, periods, reporting_currency)).collect::<Result<_>>()?;
        Ok(Self { items, rates, periods, span, held })
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

fn rates_of(rates: &RecordBatch, currency: &str, periods: Periods, reporting_currency: &str) -> Result<Rates> {
    if currency == reporting_currency {
        return Ok(Rates::One);
    }
    let currencies = column(rates, "currency")?.as_string_view();
    let values = column(rates, "rate")?.as_primitive::<Decimal128Type>();
    let days = column(rates, periods.period.column())?.as_primitive::<Date32Type>();
    let of_currency = (0..rates.num_rows()).filter(|row| currencies.value(*row) == currency);
    Ok(Rates::ByPeriod(of_currency.map(|row| (periods.index(days.value(row)), values.value(row))).collect()))
}

/// Walks over the entities and makes batches of their periods.
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
            let Ledger { items, rates, span, .. } = &self.ledger;
            add_periods(&items[self.next..end], rates, *span, &mut rows);
            self.next = end;
        }
        if rows.is_empty() { Ok(None) } else { self.batch_of(&rows).map(Some) }
    }

    fn batch_of(&self, rows: &[Row]) -> Result<RecordBatch> {
        let money = |amount: fn(&Row) -> i128| -> Result<ArrayRef> {
            let cents = Decimal128Array::from_iter_values(rows.iter().map(amount));
            Ok(Arc::new(cents.with_precision_and_scale(18, 2)?))
        };
        let first_day = |period: fn(&Row) -> i32| -> ArrayRef {
            let days = rows.iter().map(|row| self.ledger.periods.first_day(period(row)));
            Arc::new(Date32Array::from_iter_values(days))
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
            "closing_at_first" => money(|row| row.closing_at_first),
            name if name == self.ledger.periods.period.column() => Ok(first_day(|row| row.period)),
            _ => Ok(first_day(|row| row.first)),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
