//! Which published metrics a role may read that reads only some rows: those whose key has the columns by which rows are told
//! apart, and which keep them apart; they are filtered by them then.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::logical_expr::{Expr, LogicalPlan};

use super::apart::keeps_apart;
use super::sight::{RowFilter, Sight};
use crate::catalog::TableId;
use crate::engine::state::Shared;
use crate::error::Result;
use crate::metrics::SCHEMA;
use crate::models::Model;

/// Returns the published metrics that a role may read, with the conditions on their rows; nothing where the role has all
/// rows with their values, and needs none.
///
/// # Errors
/// `Model` where a view does not plan.
pub(super) async fn filters(whole: &Arc<Shared>, sight: &Sight) -> Result<BTreeMap<String, Vec<Expr>>> {
    if !sight.changes_any_rows() || !sight.sees_schema(crate::engine::published::PUBLISHED) {
        return Ok(BTreeMap::new());
    }
    let mut allowed = BTreeMap::new();
    for metric in whole.models.iter().filter(|model| model.id.schema == SCHEMA) {
        let view = whole.provider(&metric.id).await?;
        let plan = view.get_logical_plan();
        if let Some(conditions) = conditions(whole, sight, metric, plan.as_deref()) {
            allowed.insert(metric.id.name.clone(), conditions);
        }
    }
    Ok(allowed)
}

/// Returns the conditions on the published rows of a metric; `None` where they cannot be told apart.
fn conditions(whole: &Shared, sight: &Sight, metric: &Model, plan: Option<&LogicalPlan>) -> Option<Vec<Expr>> {
    let has = |table: &TableId, filter: &RowFilter| {
        let is_of_key = filter.columns.iter().all(|column| metric.sidecar.key.contains(column));
        // A condition without columns lets all rows through, or none.
        let keeps_apart = || plan.is_some_and(|plan| keeps_apart(whole, plan, table, &filter.columns));
        is_of_key && (filter.columns.is_empty() || keeps_apart())
    };
    let mut conditions = Vec::new();
    for table in whole.models.closure([metric.id.clone()]) {
        // A mask of the metric's own column is a mask of the published one.
        if sight.masks.contains_key(&table) && table != metric.id {
            return None;
        }
        for filter in sight.filters.get(&table).into_iter().flatten() {
            if table != metric.id && !has(&table, filter) {
                return None;
            }
            conditions.push(filter.condition.clone());
        }
    }
    Some(conditions)
}
