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

/// The most bytes of all constants of a select together: 256 MB in a batch of 8,192 rows.
const BYTES_MAX: usize = 32 << 10;

/// Refuses plans that write out too much.
#[derive(Debug)]
pub(super) struct BoundedConstants;

impl PhysicalOptimizerRule for BoundedConstants {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _options: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.apply(|node| {
            let Some(select) = node.downcast_ref::<ProjectionExec>() else { return Ok(TreeNodeRecursion::Continue) };
            // One row is as large as its text.
            if select.input().is::<PlaceholderRowExec>() {
                return Ok(TreeNodeRecursion::Continue);
            }
            let bytes = select.expr().iter().map(|column| bytes_of(&column.expr)).sum::<Result<usize>>()?;
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

fn bytes_of(expression: &Arc<dyn PhysicalExpr>) -> Result<usize> {
    let mut bytes = 0;
    expression.apply(|part| {
        if part.is::<InListExpr>() {
            // Looked up, and not written out.
            return Ok(TreeNodeRecursion::Jump);
        }
        bytes += part.downcast_ref::<Literal>().map_or(0, |literal| ScalarValue::size(literal.value()));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(bytes)
}

fn too_large(bytes: usize) -> DataFusionError {
    let message = format!("the constants of a select have {bytes} bytes, more than the {BYTES_MAX} that are allowed");
    let error = Error::new(ErrorKind::Limit, message).with_hint("load long values into a table of schema sandbox");
    DataFusionError::External(Box::new(error))
}
