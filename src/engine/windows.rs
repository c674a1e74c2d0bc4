//! Windows within the limits of memory: the engine's operators hold rows, and make a value for each, beside all accounts.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, replace_children_if_necessary,
};
use futures::StreamExt;

use crate::functions::growth::check_process;

/// Bytes of rows from which the memory of the process is looked at.
const LOOKED_AT: usize = 64 << 20;

/// Bytes of a value that is no text and no list.
const NUMBER_BYTES: usize = 16;

/// Counts the rows of windows before these hold them.
#[derive(Debug)]
pub(super) struct CountedWindows {
    memory: usize,
}

impl CountedWindows {
    /// Returns it for queries with so much memory, in bytes.
    pub(super) fn new(memory: usize) -> Self {
        Self { memory }
    }
}

impl PhysicalOptimizerRule for CountedWindows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _options: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let (rows, made) = if let Some(window) = node.downcast_ref::<WindowAggExec>() {
                (Rows::All, window.window_expr())
            } else if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
                (Rows::OfABatch, window.window_expr())
            } else {
                return Ok(Transformed::no(node));
            };
            let made = Made::of(made)?;
            let counted = node.children().into_iter().map(|input| {
                let counted = CountedExec { input: Arc::clone(input), rows, made, memory: self.memory };
                Arc::new(counted) as Arc<dyn ExecutionPlan>
            });
            let counted = counted.collect();
            Ok(Transformed::yes(replace_children_if_necessary(node, counted)?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "counted_windows"
    }

    fn schema_check(&self) -> bool {
        KEEPS_THE_SCHEMA
    }
}

/// The engine may check that the rule does not change the columns.
const KEEPS_THE_SCHEMA: bool = true;

/// The rows that a window holds at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// All, as they came and put together.
    All,
    /// Those of its frames, of which those of a batch are a measure.
    OfABatch,
}

/// The columns that a window makes: each value of a text may be the longest that there is.
#[derive(Debug, Clone, Copy)]
struct Made {
    numbers: usize,
    texts: usize,
}

impl Made {
    fn of(expressions: &[Arc<dyn WindowExpr>]) -> Result<Self> {
        let mut made = Self { numbers: 0, texts: 0 };
        for expression in expressions {
            if is_long(expression.field()?.data_type()) {
                made.texts += 1;
            } else {
                made.numbers += 1;
            }
        }
        Ok(made)
    }
}

/// Returns whether values of a type have any length.
fn is_long(kind: &DataType) -> bool {
    !kind.is_primitive() && !matches!(kind, DataType::Boolean | DataType::Null)
}

/// Hands on rows and reserves memory for what becomes of them.
#[derive(Debug)]
struct CountedExec {
    input: Arc<dyn ExecutionPlan>,
    rows: Rows,
    made: Made,
    memory: usize,
}

impl DisplayAs for CountedExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "CountedExec: rows={:?}", self.rows)
    }
}

impl ExecutionPlan for CountedExec {
    fn name(&self) -> &str {
        "CountedExec"
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
        Ok(Arc::new(Self { input, rows: self.rows, made: self.made, memory: self.memory }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new("window").register(context.memory_pool());
        let (memory, mut passed) = (self.memory, 0);
        let mut held = Held { reservation, rows: self.rows, made: self.made, count: 0, bytes: 0, longest: 0 };
        let rows = self.input.execute(partition, context)?;
        let rows = rows.map(move |batch| {
            let batch = batch?;
            held.take_in(&batch)?;
            passed += held.bytes;
            if held.rows == Rows::OfABatch && passed > LOOKED_AT {
                // How many of them its frames hold is not known here.
                check_process("a window", held.bytes as f64, memory)?;
            }
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), rows)))
    }
}

/// Rows come out as they came in.
const IN_THE_ORDER_OF_THE_INPUT: bool = true;

/// What a window holds, which stays reserved as long as its input is open.
struct Held {
    reservation: MemoryReservation,
    rows: Rows,
    made: Made,
    count: usize,
    bytes: usize,
    longest: usize,
}

impl Held {
    fn take_in(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.rows == Rows::OfABatch {
            (self.count, self.bytes) = (0, 0);
        }
        self.count += batch.num_rows();
        for column in batch.columns() {
            self.bytes += size(column)?;
            if self.made.texts > 0 {
                self.longest = self.longest.max(longest(column)?);
            }
        }
        let made = self.count * (self.made.numbers * NUMBER_BYTES + self.made.texts * self.longest);
        let copies = if self.rows == Rows::All { 2 } else { 1 };
        self.reservation.try_resize(copies * self.bytes + made)
    }
}

/// Returns the bytes of all values.
fn size(values: &dyn Array) -> Result<usize> {
    let behind_views: u64 = match values.data_type() {
        DataType::Utf8View => values.as_string_view().lengths().map(u64::from).sum(),
        DataType::BinaryView => values.as_binary_view().lengths().map(u64::from).sum(),
        _ => 0,
    };
    Ok(values.to_data().get_slice_memory_size()? + usize::try_from(behind_views).unwrap_or(usize::MAX))
}

/// Returns the bytes of the longest text; of lists and structs, of all together.
fn longest(values: &dyn Array) -> Result<usize> {
    match values.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary => {
            let lengths = cast(&length(values)?, &DataType::Int64)?;
            let longest = arrow::compute::max(lengths.as_primitive::<Int64Type>()).unwrap_or(0);
            Ok(usize::try_from(longest).unwrap_or(0))
        }
        kind if is_long(kind) => Ok(values.to_data().get_slice_memory_size()?),
        _ => Ok(0),
    }
}
