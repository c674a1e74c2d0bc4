//! The frame of a native operator: an execution plan over children, of which one is streamed partition by partition.
//!
//! An operator says what it computes ([`Operator`]); [`OperatorExec`] makes it a node of DataFusion's plans.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties, collect,
};

/// What a native operator computes.
pub trait Operator: fmt::Debug + Send + Sync + 'static {
    /// Returns the name that plans show.
    fn name(&self) -> &'static str;

    /// Returns the schema of the rows that come out.
    fn schema(&self) -> SchemaRef;

    /// Returns what holds of all rows that come out: which columns are equal, and which have one value.
    fn equivalences(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(self.schema())
    }

    /// Returns the child whose partitions become partitions of the output; `None` is one partition.
    fn streamed_child(&self) -> Option<usize>;

    /// Returns how many partitions the output has.
    fn partitions(&self, children: &[Arc<dyn ExecutionPlan>]) -> usize {
        let streamed = self.streamed_child().and_then(|child| children.get(child));
        streamed.map_or(1, |child| child.output_partitioning().partition_count())
    }

    /// Returns the columns of the ordered child by which its rows are ordered; all rows with the same value of the first
    /// are in one partition. Empty where the order does not matter.
    fn input_order(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the child that [`Operator::input_order`] is asked of.
    fn ordered_child(&self) -> Option<usize> {
        self.streamed_child()
    }

    /// Returns the operator as it was before it ran; `None` where a run leaves nothing behind that another must not see.
    fn renewed(&self) -> Option<Arc<dyn Operator>> {
        None
    }

    /// Returns the rows of a partition.
    ///
    /// # Errors
    /// Whatever reading the children or the arithmetic gives.
    fn execute(
        &self,
        children: &[Arc<dyn ExecutionPlan>],
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream>;
}

/// A node of a plan that runs an [`Operator`].
#[derive(Debug)]
pub struct OperatorExec {
    operator: Arc<dyn Operator>,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl OperatorExec {
    /// Returns the node of an operator over its children.
    pub fn new(operator: Arc<dyn Operator>, children: Vec<Arc<dyn ExecutionPlan>>) -> Self {
        let partitions = operator.partitions(&children);
        let properties = PlanProperties::new(
            operator.equivalences(),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { operator, children, properties: Arc::new(properties) }
    }
}

impl OperatorExec {
    /// Calls `made_of` for each child with the order that the operator asks of it.
    fn per_child<T>(&self, made_of: impl Fn(Vec<PhysicalSortExpr>) -> T) -> Vec<T> {
        let ordered = self.operator.ordered_child();
        let order_of = |place: usize, child: &Arc<dyn ExecutionPlan>| {
            let names = if ordered == Some(place) { self.operator.input_order() } else { &[] };
            let column = |name: &&str| Some(Column::new(name, child.schema().index_of(name).ok()?));
            names.iter().filter_map(column).map(|column| PhysicalSortExpr::new_default(Arc::new(column))).collect()
        };
        self.children.iter().enumerate().map(|(place, child)| made_of(order_of(place, child))).collect()
    }
}

impl DisplayAs for OperatorExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let columns: Vec<_> = self.schema().fields().iter().map(|field| field.name().clone()).collect();
        write!(f, "{}: columns=[{}]", self.operator.name(), columns.join(", "))
    }
}

impl ExecutionPlan for OperatorExec {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(self.per_child(|order| match order.first() {
            Some(first) => Distribution::KeyPartitioned(vec![Arc::clone(&first.expr)]),
            None => Distribution::UnspecifiedDistribution,
        }))
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.per_child(|order| LexOrdering::new(order).map(OrderingRequirements::from))
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children.len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.children.iter().collect()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.len() != self.children.len() {
            return plan_err!(
                "{} takes {} inputs, found {}",
                self.operator.name(),
                self.children.len(),
                children.len()
            );
        }
        Ok(Arc::new(Self::new(Arc::clone(&self.operator), children)))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        match self.operator.renewed() {
            Some(operator) => Ok(Arc::new(Self::new(operator, self.children.clone()))),
            None => Ok(self),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.operator.execute(&self.children, partition, context)
    }
}

/// Returns the schema of the columns that are asked for, in the order of their names.
pub fn chosen(fields: &[Field], names: &[String]) -> SchemaRef {
    let chosen = names.iter().filter_map(|name| fields.iter().find(|field| field.name() == name).cloned());
    Arc::new(Schema::new(chosen.collect::<Vec<_>>()))
}

/// Returns a column that an operator reads.
///
/// # Errors
/// `Internal` where its input does not have it.
pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch
        .column_by_name(name)
        .ok_or_else(|| DataFusionError::Internal(format!("an operator reads a column \"{name}\" that is not there")))
}

/// Rows that an operator holds in memory as one batch, with their place in the memory pool.
#[derive(Debug)]
pub struct Held {
    /// The rows.
    pub batch: RecordBatch,
    /// What is reserved for them, and for what is built from them.
    pub reservation: MemoryReservation,
}

/// Reads a child whole.
///
/// # Errors
/// `ResourcesExhausted` where the memory of the query does not hold the rows.
pub async fn hold(name: &str, child: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<Held> {
    let batches = collect(Arc::clone(child), Arc::clone(context)).await?;
    let reservation = MemoryConsumer::new(name).register(context.memory_pool());
    let batch = compact(&concat_batches(&child.schema(), &batches)?)?;
    reservation.try_grow(batch.get_array_memory_size())?;
    Ok(Held { batch, reservation })
}

/// Returns a batch whose texts are its own: they do not keep the pages alive that they were read from.
///
/// # Errors
/// None but of Arrow's own.
pub fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let own = |column: &ArrayRef| match column.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()) as ArrayRef,
        None => Arc::clone(column),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), batch.columns().iter().map(own).collect(), &options)?)
}

/// Cuts a batch into batches of at most `rows` rows that share nothing, so that each counts for what it is.
///
/// # Errors
/// None but of Arrow's own.
pub fn chunks(batch: &RecordBatch, rows: usize) -> Result<Vec<RecordBatch>> {
    let count = batch.num_rows();
    // Rows without columns take no memory, however many they are.
    if count <= rows || batch.num_columns() == 0 {
        return Ok(vec![batch.clone()]);
    }
    let starts = (0..count).step_by(rows);
    starts
        .map(|start| {
            let end = count.min(start + rows);
            let places = UInt32Array::from_iter_values(start as u32..end as u32);
            compact(&take_record_batch(batch, &places)?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_only_counted_keep_their_number() {
        let options = RecordBatchOptions::new().with_row_count(Some(20_000));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options);
        let chunks = chunks(&batch.expect("a batch without columns"), 8192).expect("rows that are counted");
        assert_eq!(chunks.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
    }
}
