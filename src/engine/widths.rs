//! Rows that are wide: a join and an `unnest` copy the values of a row for each that they make, a batch at once and beside
//! all accounts of memory. Texts that many rows share are not copied there, but by what is made of them: batches that mean
//! much more than they hold are cut before that.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, OffsetSizeTrait};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{CastExpr, Column, TryCastExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec, SymmetricHashJoinExec,
};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, replace_children_if_necessary,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::functions::growth::check_process;

/// Bytes of rows that a batch may become from which the memory of the process is looked at.
const LOOKED_AT: usize = 64 << 20;

/// The most bytes that the texts of a batch may mean where they are written out.
const MEANT_BYTES_MAX: usize = 64 << 20;

/// Looks at the rows of joins before they are copied, and cuts batches before their texts are.
#[derive(Debug)]
pub(super) struct BoundedWidths {
    memory: usize,
}

impl BoundedWidths {
    /// Returns it for queries with so much memory, in bytes.
    pub(super) fn new(memory: usize) -> Self {
        Self { memory }
    }
}

impl PhysicalOptimizerRule for BoundedWidths {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, options: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = options.execution.batch_size.get().saturating_mul(options.execution.target_partitions);
        let widths = Bound::Widths { rows, memory: self.memory };
        plan.transform_up(|node| {
            let (is_join, copies_texts) = (is_join(&node), copies_texts(&node)?);
            if !is_join && !copies_texts {
                return Ok(Transformed::no(node));
            }
            let bounded = node.children().into_iter().map(|input| {
                let schema = input.schema();
                let has = |is: fn(&DataType) -> bool| schema.fields().iter().any(|field| is(field.data_type()));
                let mut bounded = Arc::clone(input);
                if is_join && has(is_copied) {
                    bounded = Arc::new(BoundedExec { input: bounded, bound: widths });
                }
                if copies_texts && has(is_shared) {
                    bounded = Arc::new(BoundedExec { input: bounded, bound: Bound::Texts });
                }
                bounded
            });
            let bounded = bounded.collect();
            Ok(Transformed::yes(replace_children_if_necessary(node, bounded)?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "bounded_widths"
    }

    fn schema_check(&self) -> bool {
        KEEPS_THE_SCHEMA
    }
}

/// The engine may check that the rule does not change the columns.
const KEEPS_THE_SCHEMA: bool = true;

/// Returns whether a node makes several rows of one.
fn is_join(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<HashJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<SymmetricHashJoinExec>()
        || node.is::<PiecewiseMergeJoinExec>()
        || node.is::<UnnestExec>()
}

/// Returns whether a node writes out texts that rows share: to keep or compare them, or to make something of them.
fn copies_texts(node: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    if node.is::<AggregateExec>() || node.is::<SortExec>() {
        return Ok(true);
    }
    let inputs: Vec<_> = node.children().into_iter().map(|input| input.schema()).collect();
    let is_text = |part: &Arc<dyn PhysicalExpr>| {
        part.is::<Column>() && inputs.iter().any(|input| part.data_type(input).is_ok_and(|kind| is_shared(&kind)))
    };
    let mut copies = false;
    node.apply_expressions(&mut |expression| {
        expression.apply(|part| {
            let makes = part.is::<CastExpr>() || part.is::<TryCastExpr>() || part.is::<ScalarFunctionExpr>();
            copies |= makes && part.exists(|inner| Ok(is_text(inner)))?;
            Ok(if copies { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(copies)
}

/// Returns whether rows of a type can share their values.
fn is_shared(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8View | DataType::BinaryView | DataType::Dictionary(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| is_shared(field.data_type())),
        _ => false,
    }
}

/// Returns whether values of a type have any length, and are copied with their row.
fn is_copied(kind: &DataType) -> bool {
    match kind {
        DataType::Struct(fields) => fields.iter().any(|field| is_copied(field.data_type())),
        DataType::Utf8View | DataType::BinaryView | DataType::Dictionary(..) => false,
        kind => !kind.is_primitive() && !matches!(kind, DataType::Boolean | DataType::Null),
    }
}

/// What is bounded.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// The bytes of so many rows as wide as the widest, in a process whose queries have so much memory.
    Widths { rows: usize, memory: usize },
    /// What the texts of a batch mean.
    Texts,
}

impl Bound {
    /// Returns a batch, in parts where it is too large.
    fn parts_of(self, batch: RecordBatch) -> Result<VecDeque<RecordBatch>> {
        match self {
            Self::Widths { rows, memory } => {
                let widest: usize = batch.columns().iter().map(|column| widest(column)).sum();
                let bytes = widest.saturating_mul(rows);
                if bytes > LOOKED_AT {
                    check_process("a join of rows with long values", bytes as f64, memory)?;
                }
                Ok(VecDeque::from([batch]))
            }
            Self::Texts => Ok(cut(batch)),
        }
    }
}

/// Returns the parts of a batch, none of which means too much, but for a single row.
fn cut(batch: RecordBatch) -> VecDeque<RecordBatch> {
    let (mut open, mut parts) = (VecDeque::from([batch]), VecDeque::new());
    while let Some(batch) = open.pop_front() {
        let (rows, meant) = (batch.num_rows(), batch.columns().iter().map(|column| meant(column)).sum::<usize>());
        if rows <= 1 || meant <= MEANT_BYTES_MAX {
            parts.push_back(batch);
            continue;
        }
        let first = rows / 2;
        open.push_front(batch.slice(first, rows - first));
        open.push_front(batch.slice(0, first));
    }
    parts
}

/// Returns the bytes of all texts that rows can share, each wherever it is named.
fn meant(values: &dyn Array) -> usize {
    let count = |lengths: &mut dyn Iterator<Item = u32>| -> usize { lengths.map(|length| length as usize).sum() };
    match values.data_type() {
        DataType::Utf8View => count(&mut values.as_string_view().lengths()),
        DataType::BinaryView => count(&mut values.as_binary_view().lengths()),
        DataType::Dictionary(..) => {
            let words = values.as_any_dictionary().values();
            let longest = match words.data_type() {
                DataType::Utf8View => words.as_string_view().lengths().max().unwrap_or(0) as usize,
                _ => widest(words),
            };
            values.len().saturating_mul(longest)
        }
        DataType::Struct(_) => values.as_struct().columns().iter().map(|column| meant(column)).sum(),
        _ => 0,
    }
}

/// Returns the bytes of the largest value, as it is copied.
fn widest(values: &dyn Array) -> usize {
    match values.data_type() {
        DataType::Utf8 => longest(values.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => longest(values.as_string::<i64>().value_offsets()),
        DataType::Binary => longest(values.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => longest(values.as_binary::<i64>().value_offsets()),
        DataType::FixedSizeBinary(bytes) => usize::try_from(*bytes).unwrap_or(0),
        DataType::FixedSizeList(_, count) => {
            usize::try_from(*count).unwrap_or(0).saturating_mul(widest(values.as_fixed_size_list().values()))
        }
        DataType::Map(..) => {
            let map = values.as_map();
            longest(map.value_offsets()).saturating_mul(widest(map.entries()))
        }
        DataType::Struct(_) => values.as_struct().columns().iter().map(|column| widest(column)).sum(),
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            longest(list.value_offsets()).saturating_mul(widest(list.values()))
        }
        DataType::LargeList(_) => {
            let list = values.as_list::<i64>();
            longest(list.value_offsets()).saturating_mul(widest(list.values()))
        }
        // A number, or what names a text.
        kind => kind.primitive_width().unwrap_or(NAME_BYTES),
    }
}

fn longest<O: OffsetSizeTrait>(offsets: &[O]) -> usize {
    offsets.windows(2).map(|pair| pair[1].as_usize() - pair[0].as_usize()).max().unwrap_or(0)
}

/// Bytes of what names a text that rows share.
const NAME_BYTES: usize = 16;

/// Hands on rows within a bound.
#[derive(Debug)]
pub(super) struct BoundedExec {
    input: Arc<dyn ExecutionPlan>,
    bound: Bound,
}

impl DisplayAs for BoundedExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        match self.bound {
            Bound::Widths { .. } => write!(f, "BoundedExec: widths"),
            Bound::Texts => write!(f, "BoundedExec: texts"),
        }
    }
}

impl ExecutionPlan for BoundedExec {
    fn name(&self) -> &str {
        "BoundedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![IN_THE_ORDER_OF_THE_INPUT]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self { input, bound: self.bound }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let bound = self.bound;
        let rows = self.input.execute(partition, context)?;
        let rows = rows
            .map(move |batch| bound.parts_of(batch?).map(|parts| stream::iter(parts).map(Ok::<_, DataFusionError>)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), rows.try_flatten())))
    }
}

/// Rows come out as they came in.
const IN_THE_ORDER_OF_THE_INPUT: bool = true;
