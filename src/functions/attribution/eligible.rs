//! The touches that some conversion of their account can see, with the number of that account.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};

use super::conversions::{Conversions, Inputs, SharedConversions};
use crate::functions::operator::{Operator, compact};

/// The column with the number of the account.
pub const ACCOUNT: &str = "account";

/// What is read beside touches and conversions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// Leads, because a model asks for the milestone LC.
    pub leads: bool,
    /// Contact roles, because only touches by contacts with one count.
    pub roles: bool,
}

/// Filters its first child, identified touches, by its second, conversions; then come leads and contact roles, each
/// where it is read.
#[derive(Debug)]
pub struct EligibleTouches {
    schema: SchemaRef,
    conversions: SharedConversions,
    lookback_micros: i64,
    beside: Beside,
}

impl EligibleTouches {
    /// Returns the operator over touches of this schema, whose `live_account_id` becomes a number.
    pub fn new(touches: &Schema, conversions: SharedConversions, lookback_micros: i64, beside: Beside) -> Self {
        let account = Arc::new(Field::new(ACCOUNT, DataType::UInt32, false));
        let others = touches.fields().iter().filter(|field| field.name() != "live_account_id").cloned();
        let schema = Arc::new(Schema::new(std::iter::once(account).chain(others).collect::<Vec<_>>()));
        Self { schema, conversions, lookback_micros, beside }
    }
}

impl Operator for EligibleTouches {
    fn name(&self) -> &'static str {
        "EligibleTouchesExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn streamed_child(&self) -> Option<usize> {
        Some(0)
    }

    fn execute(
        &self,
        children: &[Arc<dyn ExecutionPlan>],
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let touches = Arc::clone(&children[0]);
        let mut others = children[2..].iter().cloned();
        let leads = if self.beside.leads { others.next() } else { None };
        let roles = if self.beside.roles { others.next() } else { None };
        let inputs = Inputs { conversions: Arc::clone(&children[1]), leads, roles };
        let (cell, schema, lookback) = (Arc::clone(&self.conversions), self.schema(), self.lookback_micros);
        let output = Arc::clone(&schema);
        let rows = stream::once(async move {
            cell.get_or_try_init(|| Conversions::read(&inputs, lookback, &context)).await?;
            let touches = touches.execute(partition, context)?;
            Ok::<_, DataFusionError>(touches.map(move |batch| match cell.get() {
                Some((conversions, _)) => eligible(&batch?, conversions, &output),
                None => datafusion::common::internal_err!("conversions are read before they are there"),
            }))
        })
        .try_flatten()
        .try_filter(|batch| futures::future::ready(batch.num_rows() > 0));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn eligible(touches: &RecordBatch, conversions: &Conversions, schema: &SchemaRef) -> Result<RecordBatch> {
    let missing = || DataFusionError::Internal("eligible touches need an account and an instant".into());
    let ids = touches.column_by_name("live_account_id").ok_or_else(missing)?.as_string_view();
    let touched_at = touches.column_by_name("touched_at").ok_or_else(missing)?;
    let touched_at = touched_at.as_primitive::<TimestampMicrosecondType>().values();
    let (mut rows, mut accounts) = (Vec::new(), Vec::new());
    for row in (0..touches.num_rows()).filter(|row| ids.is_valid(*row)) {
        if let Some(account) = conversions.account_of_touch(ids.value(row), touched_at[row]) {
            rows.push(row as u32);
            accounts.push(account);
        }
    }
    let rows = UInt32Array::from(rows);
    let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(accounts))];
    for field in schema.fields().iter().skip(1) {
        let column = touches.column_by_name(field.name()).ok_or_else(missing)?;
        columns.push(take(column, &rows, None)?);
    }
    compact(&RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Cuts touches that arrive ordered by account into batches in which every account is whole.
#[derive(Debug, Default)]
pub(super) struct WholeAccounts {
    /// Touches of the account that may go on in the next batch.
    open: Vec<RecordBatch>,
}

impl WholeAccounts {
    /// Takes in a batch and returns the accounts that end within it.
    pub(super) fn take_in(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        let numbers = accounts(batch);
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return Ok(Vec::new()) };
        let first_end = numbers.partition_point(|number| number <= first);
        let last_start = numbers.partition_point(|number| number < last);
        let mut from = 0;
        if self.open.first().is_some_and(|open| accounts(open).first() == Some(first)) {
            self.open.push(batch.slice(0, first_end));
            from = first_end;
            if first == last {
                return Ok(Vec::new());
            }
        }
        let mut whole = Vec::from_iter(self.finish()?);
        if from < last_start {
            whole.push(batch.slice(from, last_start - from));
        }
        self.open.push(batch.slice(last_start, batch.num_rows() - last_start));
        Ok(whole)
    }

    /// Returns the last account.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        let open = std::mem::take(&mut self.open);
        match open.as_slice() {
            [] => Ok(None),
            [whole] => Ok(Some(whole.clone())),
            [first, ..] => Ok(Some(concat_batches(&first.schema(), &open)?)),
        }
    }
}

/// Returns the account numbers of a batch of touches.
fn accounts(batch: &RecordBatch) -> &[u32] {
    batch.column(0).as_primitive::<UInt32Type>().values()
}

/// Returns each account of a batch with its rows.
pub(super) fn rows_by_account(batch: &RecordBatch) -> impl Iterator<Item = (u32, Range<usize>)> {
    let mut end = 0;
    accounts(batch).chunk_by(|one, other| one == other).map(move |rows| {
        end += rows.len();
        (rows[0], end - rows.len()..end)
    })
}

/// The columns of eligible touches that a path is made of.
#[derive(Debug)]
pub(super) struct TouchColumns<'a> {
    /// The instants, in microseconds.
    pub(super) touched_at: &'a [i64],
    /// The channels, where they are asked for or a model reads them.
    pub(super) channels: Option<&'a StringViewArray>,
    /// The campaigns, where they are asked for.
    pub(super) campaigns: Option<&'a StringViewArray>,
    ids: &'a StringViewArray,
    people: Option<&'a StringViewArray>,
}

impl<'a> TouchColumns<'a> {
    pub(super) fn of(touches: &'a RecordBatch) -> Result<Self> {
        let missing = || DataFusionError::Internal("eligible touches need an instant and an id".into());
        let texts = |name| touches.column_by_name(name).map(|column| column.as_string_view());
        let touched_at = touches.column_by_name("touched_at").ok_or_else(missing)?;
        Ok(Self {
            touched_at: touched_at.as_primitive::<TimestampMicrosecondType>().values(),
            channels: texts("channel"),
            campaigns: texts("campaign_id"),
            ids: texts("touch_id").ok_or_else(missing)?,
            people: texts("person_id"),
        })
    }

    /// Returns rows, which are in the order of instants, in the order of instant and id.
    pub(super) fn in_order(&self, rows: Range<usize>) -> Vec<u32> {
        let has_ties = self.touched_at[rows.clone()].windows(2).any(|pair| pair[0] >= pair[1]);
        let mut order: Vec<u32> = (rows.start as u32..rows.end as u32).collect();
        if has_ties {
            order.sort_by_key(|row| (self.touched_at[*row as usize], self.ids.value(*row as usize)));
        }
        order
    }

    pub(super) fn is_direct(&self, row: u32) -> bool {
        let row = row as usize;
        self.channels.is_some_and(|channels| channels.is_valid(row) && channels.value(row) == "direct")
    }

    pub(super) fn person(&self, row: u32) -> Option<&'a str> {
        let row = row as usize;
        self.people.filter(|people| people.is_valid(row)).map(|people| people.value(row))
    }
}
