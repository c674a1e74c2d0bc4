//! Credit: one account after the other, every touch of every conversion gets its weight and its cents.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::AsArray;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, stream};

use super::conversions::{Conversions, SharedConversions};
use super::eligible::{ACCOUNT, TouchColumns, WholeAccounts, rows_by_account};
use super::output::Output;
pub use super::output::{Grain, credit_columns};
use super::weights::{Model, Path, for_each_share};
use crate::functions::money::cents_of_share;
use crate::functions::operator::Operator;

/// What credit is computed for.
#[derive(Debug, Clone)]
pub struct CreditOptions {
    /// The models, in the order in which they come out.
    pub models: Vec<Model>,
    /// The lookback, both ends included.
    pub lookback_micros: i64,
    /// The half life of `time_decay`.
    pub half_life_micros: f64,
    /// A row for each touch, or sums.
    pub grain: Grain,
}

/// Computes credit from its child: eligible touches, in each partition whole accounts ordered by account and instant.
#[derive(Debug)]
pub struct CreditOperator {
    schema: SchemaRef,
    conversions: SharedConversions,
    options: CreditOptions,
    progress: Arc<Progress>,
}

/// What the partitions of a run know of each other: which accounts had a touch, and how many partitions are done.
#[derive(Debug, Default)]
struct Progress {
    done: AtomicUsize,
    seen: Mutex<Vec<bool>>,
}

impl CreditOperator {
    /// Returns the operator whose rows have the columns of `schema`, a part of [`credit_columns`].
    pub fn new(schema: SchemaRef, conversions: SharedConversions, options: CreditOptions) -> Self {
        Self { schema, conversions, options, progress: Arc::default() }
    }
}

impl Operator for CreditOperator {
    fn name(&self) -> &'static str {
        "CreditExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn streamed_child(&self) -> Option<usize> {
        Some(0)
    }

    fn input_order(&self) -> &'static [&'static str] {
        &[ACCOUNT, "touched_at"]
    }

    fn renewed(&self) -> Option<Arc<dyn Operator>> {
        // How many partitions are done is counted for one run. The conversions stay: no run changes them.
        Some(Arc::new(Self::new(self.schema(), Arc::clone(&self.conversions), self.options.clone())))
    }

    fn execute(
        &self,
        children: &[Arc<dyn ExecutionPlan>],
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batch_size = context.session_config().batch_size();
        let run = Run {
            touches: children[0].execute(partition, context)?,
            conversions: Arc::clone(&self.conversions),
            options: self.options.clone(),
            progress: Arc::clone(&self.progress),
            partitions: children[0].output_partitioning().partition_count(),
            output: Output::new(self.schema(), self.options.grain, batch_size),
            accounts: WholeAccounts::default(),
            seen: Vec::new(),
            without_touch: Vec::new(),
            ready: VecDeque::new(),
            is_done: false,
        };
        let rows = stream::try_unfold(run, |mut run| async move { Ok(run.next().await?.map(|batch| (batch, run))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// One partition at work.
struct Run {
    touches: SendableRecordBatchStream,
    conversions: SharedConversions,
    options: CreditOptions,
    progress: Arc<Progress>,
    partitions: usize,
    output: Output,
    accounts: WholeAccounts,
    seen: Vec<u32>,
    without_touch: Vec<u32>,
    ready: VecDeque<RecordBatch>,
    is_done: bool,
}

impl Run {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if self.is_done {
                return Ok(None);
            }
            let batch = self.touches.next().await.transpose()?;
            let shared = Arc::clone(&self.conversions);
            let Some((conversions, _)) = shared.get() else {
                return datafusion::common::internal_err!("credit is computed before conversions are there");
            };
            match batch {
                Some(batch) => {
                    for whole in self.accounts.take_in(&batch)? {
                        self.credit_accounts(&whole, conversions)?;
                    }
                }
                None => self.finish(conversions)?,
            }
        }
    }

    /// Credits what is left; the last partition also credits the conversions of accounts without a touch.
    fn finish(&mut self, conversions: &Conversions) -> Result<()> {
        if let Some(last) = self.accounts.finish()? {
            self.credit_accounts(&last, conversions)?;
        }
        let mut without_touch = std::mem::take(&mut self.without_touch);
        {
            let mut seen = self.progress.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            seen.resize(conversions.accounts(), false);
            for account in &self.seen {
                seen[*account as usize] = true;
            }
            if self.progress.done.fetch_add(1, Ordering::AcqRel) + 1 == self.partitions {
                without_touch.extend(conversions.rows_without(&seen));
            }
        }
        self.output.add_without_touch(&without_touch, &self.options.models, conversions)?;
        self.ready.extend(self.output.finish(&self.options.models, conversions)?);
        self.is_done = true;
        Ok(())
    }

    /// Credits the accounts of a batch, each of which is there whole.
    fn credit_accounts(&mut self, touches: &RecordBatch, conversions: &Conversions) -> Result<()> {
        let columns = TouchColumns::of(touches)?;
        for (account, rows) in rows_by_account(touches) {
            self.credit_account(account, &columns.in_order(rows), &columns, conversions)?;
        }
        self.ready.extend(self.output.end_batch(touches, conversions)?);
        Ok(())
    }

    fn credit_account(
        &mut self,
        account: u32,
        order: &[u32],
        columns: &TouchColumns,
        conversions: &Conversions,
    ) -> Result<()> {
        self.seen.push(account);
        let closed_at = conversions.instants("closed_at")?;
        // A model that asks for no milestone is computed without the instants of milestones.
        let created_at = conversions.instants("created_at").ok();
        let opportunities = conversions.column("opportunity_id")?.as_string_view();
        let (mut rows, mut instants) = (Vec::new(), Vec::new());
        for conversion in conversions.rows_of(account) {
            let closing = closed_at.value(conversion);
            let opening = closing.saturating_sub(self.options.lookback_micros);
            let from = order.partition_point(|row| columns.touched_at[*row as usize] < opening);
            let to = order.partition_point(|row| columns.touched_at[*row as usize] <= closing);
            rows.clear();
            rows.extend(order[from..to].iter().copied().filter(|row| {
                !conversions.has_roles() || conversions.has_role(opportunities.value(conversion), columns.person(*row))
            }));
            if rows.is_empty() {
                self.without_touch.push(conversion as u32);
                continue;
            }
            instants.clear();
            instants.extend(rows.iter().map(|row| columns.touched_at[*row as usize]));
            let position_at = |instant: i64| instants.partition_point(|at| *at <= instant);
            let path = Path {
                touched_at: &instants,
                last_non_direct: rows.iter().rposition(|row| !columns.is_direct(*row)).map_or(0, |index| index + 1),
                lead_created: conversions.lead_created_at(conversion).map_or(0, position_at),
                opportunity_created: created_at.map_or(0, |created_at| position_at(created_at.value(conversion))),
                half_life_micros: self.options.half_life_micros,
            };
            self.output.begin(conversion, &rows, columns, conversions)?;
            let value = conversions.values[conversion];
            for model in &self.options.models {
                for_each_share(*model, &path, |share| {
                    let cents = cents_of_share(value, share.up_to) - cents_of_share(value, share.before);
                    self.output.add(*model, &rows, share, cents);
                });
            }
        }
        Ok(())
    }
}
