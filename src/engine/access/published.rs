//! Which published metrics a role may read that reads only some rows: those that have the columns by which rows are told
//! apart, which are then filtered by them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::logical_expr::Expr;

use super::sight::{RowFilter, Sight};
use crate::catalog::TableId;
use crate::engine::lineage::{self, EdgeKind};
use crate::engine::state::Shared;
use crate::error::Result;
use crate::metrics::SCHEMA;

/// The columns of contract tables that the values of a view's column are made of, by view and column.
type Values = BTreeMap<(TableId, String), BTreeSet<(TableId, String)>>;

/// Returns the published metrics that a role may read, with the conditions on their rows; nothing where the role has all
/// rows with their values, and needs none.
///
/// # Errors
/// `Model` where a view does not plan.
pub(super) async fn filters(whole: &Arc<Shared>, sight: &Sight) -> Result<BTreeMap<String, Vec<Expr>>> {
    if !sight.changes_any_rows() || !sight.sees_schema(crate::engine::published::PUBLISHED) {
        return Ok(BTreeMap::new());
    }
    let mut values = Values::new();
    for edge in lineage::edges(whole).await? {
        if let (EdgeKind::Value, Some(column), Some(source)) = (edge.kind, edge.column, edge.source_column) {
            values.entry((edge.table, column)).or_default().insert((edge.source, source));
        }
    }
    let metrics = whole.models.iter().filter(|model| model.id.schema == SCHEMA).map(|model| &model.id);
    let allowed = metrics.filter_map(|metric| Some((metric.name.clone(), conditions(whole, sight, metric, &values)?)));
    Ok(allowed.collect())
}

/// Returns the conditions on the published rows of a metric; `None` where they cannot be told apart.
fn conditions(whole: &Shared, sight: &Sight, metric: &TableId, values: &Values) -> Option<Vec<Expr>> {
    let mut conditions = Vec::new();
    for table in whole.models.closure([metric.clone()]) {
        // A mask of the metric's own column is a mask of the published one.
        if sight.masks.contains_key(&table) && table != *metric {
            return None;
        }
        for filter in sight.filters.get(&table).into_iter().flatten() {
            if table != *metric && !has_columns(metric, &table, filter, values) {
                return None;
            }
            conditions.push(filter.condition.clone());
        }
    }
    Some(conditions)
}

/// Returns whether a metric has the columns of a filter: of the same names, and made of nothing else.
fn has_columns(metric: &TableId, table: &TableId, filter: &RowFilter, values: &Values) -> bool {
    filter.columns.iter().all(|column| {
        let of_metric = values.get(&(metric.clone(), column.clone()));
        of_metric.is_some_and(|sources| *sources == BTreeSet::from([(table.clone(), column.clone())]))
    })
}
