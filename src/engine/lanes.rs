//! Which queries are small, by their plans: those that read little and cannot make much of it.

use std::sync::Arc;

use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ExecutionPlan, StatisticsArgs, StatisticsContext};

use super::admission::Lane;

/// The most rows that a small query reads: some dozens of milliseconds of one core.
const ROWS_MAX: f64 = 300_000.0;

/// Returns where a plan is to run.
pub(super) fn lane_of(plan: &Arc<dyn ExecutionPlan>) -> Lane {
    if rows_of(plan) <= ROWS_MAX { Lane::Quick } else { Lane::Heavy }
}

/// Returns the rows that a plan reads, those counted that a join tries; without an end where it does not say.
fn rows_of(plan: &Arc<dyn ExecutionPlan>) -> f64 {
    let children = plan.children();
    if children.is_empty() {
        // A row of nothing; what the engine says of itself, and kill.
        if plan.is::<PlaceholderRowExec>() || plan.is::<StreamingTableExec>() {
            return 1.0;
        }
        let known = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::default());
        let rows = known.ok().and_then(|known| known.num_rows.get_value().copied());
        return rows.map_or(f64::INFINITY, |rows| rows as f64);
    }
    if plan.is::<RecursiveQueryExec>() || plan.is::<UnnestExec>() {
        return f64::INFINITY;
    }
    let rows = children.into_iter().map(rows_of);
    if plan.is::<CrossJoinExec>() || plan.is::<NestedLoopJoinExec>() {
        rows.fold(1.0, |product, rows| product * rows.max(1.0))
    } else {
        rows.sum()
    }
}
