//! Touches with the number of their account, for work that goes through all touches of one account after the other.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::operator::{Built, build_resolver, clues_of};
use super::resolver::Resolver;
use crate::functions::operator::{Operator, column, compact};

/// The live accounts behind the numbers; filled before the first touch comes out.
#[derive(Debug, Clone, Default)]
pub struct NumberedAccounts(Arc<OnceCell<Built>>);

impl NumberedAccounts {
    /// Returns the id of the account with a number.
    ///
    /// # Errors
    /// `Internal` before a touch came out.
    pub fn id(&self, number: u32) -> Result<&str> {
        match self.0.get() {
            Some(built) => Ok(built.resolver.accounts().ids().value(number as usize)),
            None => internal_err!("accounts are named before they are read"),
        }
    }
}

/// Lets touches of its first child pass that belong to a live account; the other children are accounts, contacts and
/// leads.
#[derive(Debug)]
pub struct NumberedTouches {
    schema: SchemaRef,
    accounts: NumberedAccounts,
}

impl NumberedTouches {
    /// Returns the operator whose first column is the number of the account under the name `account`; the others are
    /// `columns` of touches of this schema.
    pub fn new(touches: &Schema, account: &str, columns: &[&str], accounts: NumberedAccounts) -> Self {
        let others = touches.fields().iter().filter(|field| columns.contains(&field.name().as_str())).cloned();
        let account = Arc::new(Field::new(account, DataType::UInt32, false));
        Self { schema: Arc::new(Schema::new(std::iter::once(account).chain(others).collect::<Vec<_>>())), accounts }
    }
}

impl Operator for NumberedTouches {
    fn name(&self) -> &'static str {
        "NumberedTouchesExec"
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
        let (children, schema, NumberedAccounts(cell)) = (children.to_vec(), self.schema(), self.accounts.clone());
        let output = Arc::clone(&schema);
        let rows = stream::once(async move {
            cell.get_or_try_init(|| build_resolver(children[1..].to_vec(), Arc::clone(&context))).await?;
            let touches = children[0].execute(partition, context)?;
            Ok::<_, DataFusionError>(touches.map(move |batch| match cell.get() {
                Some(built) => numbered(&batch?, &built.resolver, &output),
                None => internal_err!("accounts are numbered before they are read"),
            }))
        })
        .try_flatten()
        .try_filter(|batch| futures::future::ready(batch.num_rows() > 0));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn numbered(touches: &RecordBatch, resolver: &Resolver, schema: &SchemaRef) -> Result<RecordBatch> {
    let clues = clues_of(touches)?;
    let (mut rows, mut accounts) = (Vec::new(), Vec::new());
    for row in 0..touches.num_rows() {
        if let Some(account) = resolver.account(clues.of_row(row)) {
            rows.push(row as u32);
            accounts.push(account);
        }
    }
    let rows = UInt32Array::from(rows);
    let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(accounts))];
    for field in schema.fields().iter().skip(1) {
        columns.push(take(column(touches, field.name())?, &rows, None)?);
    }
    compact(&RecordBatch::try_new(Arc::clone(schema), columns)?)
}
