//! What the expressions of a plan may ask for: some take memory in one piece, of a size that stands in the query.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};

use super::faults;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::growth::check_type;

/// Aggregates that return all that they were given: one for each row takes the square of it.
const COLLECTIONS: [&str; 2] = ["array_agg", "string_agg"];

/// Aggregates with a number of centroids, and the place of it.
const SKETCHES: [(&str, usize); 2] = [("approx_percentile_cont", 2), ("approx_percentile_cont_with_weight", 3)];

/// The most centroids: a hundred times the usual number.
const CENTROIDS_MAX: i128 = 10_000;

/// Refuses a plan with an expression that asks for too much.
///
/// # Errors
/// `Limit`, `Refused`.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                check_one(part)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map(|_| ())
    .map_err(faults::of_query)
}

fn check_one(expression: &Expr) -> Result<(), DataFusionError> {
    match expression {
        Expr::Cast(cast) => check_type(cast.field.data_type()),
        Expr::TryCast(cast) => check_type(cast.field.data_type()),
        Expr::AggregateFunction(call) => check_sketch(call),
        Expr::WindowFunction(call) => check_window(call),
        _ => Ok(()),
    }
}

fn check_window(call: &WindowFunction) -> Result<(), DataFusionError> {
    let WindowFunctionDefinition::AggregateUDF(function) = &call.fun else { return Ok(()) };
    let name = function.name();
    if !COLLECTIONS.contains(&name) {
        return Ok(());
    }
    let message = format!("{name}() over a window is not allowed: it would return all rows for each of them");
    refused(ErrorKind::Refused, message, "group by the columns in a with, and join it")
}

fn check_sketch(call: &AggregateFunction) -> Result<(), DataFusionError> {
    let name = call.func.name();
    let Some((_, place)) = SKETCHES.into_iter().find(|(sketch, _)| *sketch == name) else { return Ok(()) };
    let is_small = match call.params.args.get(place) {
        None | Some(Expr::Placeholder(_)) => true,
        Some(Expr::Literal(number, _)) => centroids(number).is_some_and(|centroids| centroids <= CENTROIDS_MAX),
        Some(_) => false,
    };
    if is_small {
        return Ok(());
    }
    let message = format!("the centroids of {name}() are no number up to {CENTROIDS_MAX}");
    refused(ErrorKind::Limit, message, "leave them out, or name a smaller number")
}

fn centroids(number: &ScalarValue) -> Option<i128> {
    number.to_string().parse().ok()
}

fn refused(kind: ErrorKind, message: String, hint: &str) -> Result<(), DataFusionError> {
    Err(DataFusionError::External(Box::new(Error::new(kind, message).with_hint(hint))))
}
