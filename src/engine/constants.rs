//! Constants that a plan would write out for each row: a text of a megabyte takes eight gigabytes in a batch.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{InListExpr, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;

use crate::error::{Error, ErrorKind};

/// The most bytes of all constants of a step together: 256 MB in a batch of 8,192 rows.
const BYTES_MAX: usize = 32 << 10;

/// A constant that does not count in a condition, in bytes: chains of them are common.
const SHORT: usize = 64;

/// Refuses plans that write out too much.
#[derive(Debug)]
pub(super) struct BoundedConstants;

impl PhysicalOptimizerRule for BoundedConstants {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _options: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.apply(|node| {
            // One row is as large as its text.
            if node.children().iter().any(|child| child.is::<PlaceholderRowExec>()) {
                return Ok(TreeNodeRecursion::Continue);
            }
            // Conditions look at constants without writing them out, so that only long ones count there.
            let least = if node.is::<ProjectionExec>() { 0 } else { SHORT };
            let mut bytes = 0;
            node.apply_expressions(&mut |expression| {
                bytes += bytes_of(expression, least)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            if bytes <= BYTES_MAX { Ok(TreeNodeRecursion::Continue) } else { Err(too_large(bytes)) }
        })?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "bounded_constants"
    }

    fn schema_check(&self) -> bool {
        KEEPS_THE_SCHEMA
    }
}

/// The engine may check that the rule does not change the columns.
const KEEPS_THE_SCHEMA: bool = true;

fn bytes_of(expression: &Arc<dyn PhysicalExpr>, least: usize) -> Result<usize> {
    let mut bytes = 0;
    expression.apply(|part| {
        if part.is::<InListExpr>() {
            // Looked up, and not written out.
            return Ok(TreeNodeRecursion::Jump);
        }
        let literal = part.downcast_ref::<Literal>().map_or(0, |literal| literal.value().size());
        let content = literal.saturating_sub(size_of::<ScalarValue>());
        bytes += if content > least { content } else { 0 };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(bytes)
}

fn too_large(bytes: usize) -> DataFusionError {
    let message = format!("the constants of a step have {bytes} bytes, more than the {BYTES_MAX} that are allowed");
    let error = Error::new(ErrorKind::Limit, message).with_hint("load long values into a table of schema sandbox");
    DataFusionError::External(Box::new(error))
}
