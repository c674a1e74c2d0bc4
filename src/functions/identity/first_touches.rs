//! The first touch of every account, in one pass over the touches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{TryStreamExt, stream};

use super::operator::{Built, build_resolver, clues_of};
use super::resolver::Columns;
use crate::functions::operator::{Operator, chosen, chunks};
use crate::functions::settings::instant_type;

/// Bytes of a first touch in memory, its id included.
const FIRST_BYTES: usize = 64;

/// Returns the columns that come out.
pub fn first_touch_columns() -> Vec<Field> {
    vec![
        Field::new("live_account_id", DataType::Utf8View, false),
        Field::new("channel", DataType::Utf8View, false),
        Field::new("first_touch_at", instant_type(), false),
    ]
}

/// The columns of touches that it reads besides those of identity.
pub const TOUCH_COLUMNS: [&str; 3] = ["touch_id", "channel", "touched_at"];

/// Finds the earliest touch of each live account, the smallest id where instants are equal.
///
/// Its first child are touches; the others are accounts, contacts and leads.
#[derive(Debug)]
pub struct FirstTouches {
    schema: SchemaRef,
}

impl FirstTouches {
    /// Returns the operator whose rows have these columns of [`first_touch_columns`].
    pub fn new(names: &[String]) -> Self {
        Self { schema: chosen(&first_touch_columns(), names) }
    }
}

impl Operator for FirstTouches {
    fn name(&self) -> &'static str {
        "FirstTouchesExec"
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
            let built = Arc::new(build_resolver(children[1..].to_vec(), Arc::clone(&context)).await?);
            let touches = &children[0];
            let reservation = MemoryConsumer::new("first touches").register(context.memory_pool());
            let partitions = touches.output_partitioning().partition_count();
            reservation.try_grow(partitions * built.resolver.accounts().len() * FIRST_BYTES)?;
            let tasks: Vec<_> = (0..partitions)
                .map(|partition| {
                    let rows = touches.execute(partition, Arc::clone(&context))?;
                    Ok(SpawnedTask::spawn(first_of(rows, Arc::clone(&built))))
                })
                .collect::<Result<_>>()?;
            let mut all = Firsts::new(built.resolver.accounts().len());
            for task in tasks {
                let firsts = task.join().await.map_err(|cause| DataFusionError::Execution(cause.to_string()))??;
                all.merge(firsts);
            }
            let batch = all.batch(built.resolver.accounts().ids(), &schema)?;
            let batches = chunks(&batch, context.session_config().batch_size())?;
            Ok::<_, DataFusionError>(stream::iter(batches.into_iter().map(move |batch| {
                let _held = &reservation;
                Ok(batch)
            })))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// The first touch found so far.
#[derive(Debug)]
struct First {
    touched_at: i64,
    touch_id: Box<str>,
    channel: u32,
}

/// The first touch of each account, by the account's row.
#[derive(Debug)]
struct Firsts {
    by_account: Vec<Option<First>>,
    channels: Vec<Box<str>>,
}

impl Firsts {
    fn new(accounts: usize) -> Self {
        Self { by_account: std::iter::repeat_with(|| None).take(accounts).collect(), channels: Vec::new() }
    }

    /// Returns the number of a channel; there are few, so they are looked through.
    fn channel(&mut self, name: &str) -> u32 {
        let known = self.channels.iter().position(|other| **other == *name);
        let place = known.unwrap_or_else(|| {
            self.channels.push(name.into());
            self.channels.len() - 1
        });
        place as u32
    }

    fn offer(&mut self, account: u32, touched_at: i64, touch_id: &str, channel: &str) {
        let known = self.by_account[account as usize].as_ref();
        if known.is_some_and(|first| (first.touched_at, &*first.touch_id) <= (touched_at, touch_id)) {
            return;
        }
        let channel = self.channel(channel);
        self.by_account[account as usize] = Some(First { touched_at, touch_id: touch_id.into(), channel });
    }

    fn merge(&mut self, other: Self) {
        for (account, first) in (0..).zip(other.by_account) {
            if let Some(first) = first {
                self.offer(account, first.touched_at, &first.touch_id, &other.channels[first.channel as usize]);
            }
        }
    }

    fn batch(&self, ids: &StringViewArray, schema: &SchemaRef) -> Result<RecordBatch> {
        let found = || (0..).zip(&self.by_account).filter_map(|(account, first)| Some((account, first.as_ref()?)));
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                Ok(match field.name().as_str() {
                    "live_account_id" => {
                        take(ids, &UInt32Array::from_iter_values(found().map(|(account, _)| account)), None)?
                    }
                    "channel" => {
                        let names = StringViewArray::from_iter_values(&self.channels);
                        take(&names, &UInt32Array::from_iter_values(found().map(|(_, first)| first.channel)), None)?
                    }
                    _ => {
                        let instants = found().map(|(_, first)| first.touched_at);
                        Arc::new(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC")) as ArrayRef
                    }
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(found().count()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }
}

async fn first_of(mut touches: SendableRecordBatchStream, built: Arc<Built>) -> Result<Firsts> {
    let mut firsts = Firsts::new(built.resolver.accounts().len());
    while let Some(batch) = touches.try_next().await? {
        let columns = Columns(&batch);
        let (ids, channels) = (columns.texts("touch_id")?, columns.texts("channel")?);
        let missing = || DataFusionError::Internal("first touches need an instant".into());
        let touched_at = batch.column_by_name("touched_at").ok_or_else(missing)?;
        let touched_at = touched_at.as_primitive::<TimestampMicrosecondType>();
        let clues = clues_of(&batch)?;
        for row in 0..batch.num_rows() {
            if let Some(account) = built.resolver.account(clues.of_row(row)) {
                let channel = if channels.is_valid(row) { channels.value(row) } else { "" };
                firsts.offer(account, touched_at.value(row), ids.value(row), channel);
            }
        }
    }
    Ok(firsts)
}
