//! Which views keep rows apart: each row of such a view is made of rows of a table that have the same values in some
//! columns as it has itself. So a condition on these columns keeps from the view what it keeps from the table.
//!
//! What is not known to keep them apart does not: an operator, a function over a column, a window over all rows, two readings
//! of the table that are joined. Start at [`keeps_apart`].

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinType};
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan, Window};

use crate::catalog::TableId;
use crate::engine::lineage::known_id;
use crate::engine::state::Shared;

/// The places in the rows of a plan that carry the values of each column, by the columns' order.
type Places = Vec<BTreeSet<usize>>;

/// What the rows of a plan have of the table.
#[derive(Debug)]
enum Rows {
    /// Nothing: the plan does not read it.
    Without,
    /// Each is made of rows with the same values in the columns, which it carries in these places.
    Apart(Places),
}

/// Returns whether each row of a view's plan is made of rows of a table that have the same values in the columns, which the
/// view has under the same names.
pub(super) fn keeps_apart(whole: &Shared, view: &LogicalPlan, table: &TableId, columns: &BTreeSet<String>) -> bool {
    let Some(Rows::Apart(places)) = (Reading { whole, table, columns }).rows(view) else { return false };
    columns.iter().zip(places).all(|(column, places)| {
        let place = view.schema().index_of_column_by_name(None, column);
        place.is_some_and(|place| places.contains(&place))
    })
}

/// How a table is read by a plan.
struct Reading<'reading> {
    whole: &'reading Shared,
    table: &'reading TableId,
    columns: &'reading BTreeSet<String>,
}

impl Reading<'_> {
    /// Returns what the rows of a plan have of the table; `None` where rows of different values may come together in one.
    fn rows(&self, plan: &LogicalPlan) -> Option<Rows> {
        if !self.asks_others_alone(plan) {
            return None;
        }
        match plan {
            LogicalPlan::SubqueryAlias(node) if known_id(&node.alias).as_ref() == Some(self.table) => {
                self.begin(&node.schema)
            }
            LogicalPlan::TableScan(node) => match known_id(&node.table_name)? {
                id if id == *self.table && node.fetch.is_none() => self.begin(&node.projected_schema),
                id => self.is_of_others(&id).then_some(Rows::Without),
            },
            LogicalPlan::Projection(node) => match self.rows(&node.input)? {
                Rows::Without => Some(Rows::Without),
                Rows::Apart(places) => carried(&places, &node.expr, node.input.schema()),
            },
            LogicalPlan::Aggregate(node) => match self.rows(&node.input)? {
                Rows::Without => Some(Rows::Without),
                // The columns of a group are the first of its row; those of a grouping set are none that carry a value.
                Rows::Apart(places) => carried(&places, &node.group_expr, node.input.schema()),
            },
            LogicalPlan::Window(node) => match self.rows(&node.input)? {
                Rows::Apart(places) if !is_within(&places, node) => None,
                rows => Some(rows),
            },
            LogicalPlan::Join(node) => self.join(node),
            LogicalPlan::Union(node) => {
                let mut inputs = node.inputs.iter().map(|input| self.rows(input));
                let first = inputs.next()??;
                inputs.try_fold(first, |rows, more| in_both(rows, more?))
            }
            LogicalPlan::Sort(node) if node.fetch.is_none() => self.rows(&node.input),
            LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) | LogicalPlan::Distinct(Distinct::All(_)) => {
                self.rows(plan.inputs().first()?)
            }
            other => {
                let mut inputs = other.inputs().into_iter().map(|input| self.rows(input));
                inputs.all(|rows| matches!(rows, Some(Rows::Without))).then_some(Rows::Without)
            }
        }
    }

    /// Returns the rows of the table itself.
    fn begin(&self, schema: &DFSchema) -> Option<Rows> {
        let place = |column: &String| schema.index_of_column_by_name(None, column).map(|place| BTreeSet::from([place]));
        self.columns.iter().map(place).collect::<Option<Places>>().map(Rows::Apart)
    }

    /// Returns whether a table is one that is known, and not made of the table.
    fn is_of_others(&self, id: &TableId) -> bool {
        let is_known = self.whole.models.get(id).is_some() || self.whole.catalog.table(&id.schema, &id.name).is_some();
        is_known && !self.whole.models.closure([id.clone()]).contains(self.table)
    }

    /// Returns whether the queries within the expressions of a plan's node read other tables alone.
    fn asks_others_alone(&self, plan: &LogicalPlan) -> bool {
        let mut is_so = true;
        let visited = plan.apply_expressions(|expression| {
            expression.apply(|part| {
                let subquery = match part {
                    Expr::ScalarSubquery(subquery) => Some(subquery),
                    Expr::InSubquery(within) => Some(&within.subquery),
                    Expr::SetComparison(comparison) => Some(&comparison.subquery),
                    Expr::Exists(exists) => Some(&exists.subquery),
                    _ => None,
                };
                is_so &= subquery.is_none_or(|query| matches!(self.rows(&query.subquery), Some(Rows::Without)));
                Ok(TreeNodeRecursion::Continue)
            })
        });
        is_so && visited.is_ok()
    }

    /// Returns the rows of a join: one side's, with what others have beside them. A side whose rows may be missing from a
    /// row has none of its values there.
    fn join(&self, node: &Join) -> Option<Rows> {
        let of_left = node.left.schema().fields().len();
        match (self.rows(&node.left)?, self.rows(&node.right)?) {
            (Rows::Without, Rows::Without) => Some(Rows::Without),
            (Rows::Apart(places), Rows::Without) => {
                let keeps = matches!(
                    node.join_type,
                    JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
                );
                keeps.then_some(Rows::Apart(places))
            }
            (Rows::Without, Rows::Apart(places)) => match node.join_type {
                JoinType::Inner | JoinType::Right => {
                    let behind = |places: BTreeSet<usize>| places.into_iter().map(|place| place + of_left).collect();
                    Some(Rows::Apart(places.into_iter().map(behind).collect()))
                }
                JoinType::RightSemi | JoinType::RightAnti => Some(Rows::Apart(places)),
                _ => None,
            },
            (Rows::Apart(_), Rows::Apart(_)) => None,
        }
    }
}

/// Returns rows with each column in the places of the expressions that carry it unchanged; `None` where one is lost.
fn carried(places: &Places, expressions: &[Expr], schema: &DFSchema) -> Option<Rows> {
    let of_column = |places: &BTreeSet<usize>| {
        let expressions = expressions.iter().enumerate();
        let carrying = expressions.filter(|(_, expression)| is_carried(places, expression, schema));
        carrying.map(|(place, _)| place).collect()
    };
    some(places.iter().map(of_column).collect())
}

/// Returns whether an expression is a column that stands in one of the places.
fn is_carried(places: &BTreeSet<usize>, expression: &Expr, schema: &DFSchema) -> bool {
    match expression {
        Expr::Alias(alias) => is_carried(places, &alias.expr, schema),
        Expr::Column(column) => schema.maybe_index_of_column(column).is_some_and(|place| places.contains(&place)),
        _ => false,
    }
}

/// Returns whether all windows of a plan look at rows with the same values alone.
fn is_within(places: &Places, node: &Window) -> bool {
    let schema = node.input.schema();
    node.window_expr.iter().all(|expression| match expression.clone().unalias() {
        Expr::WindowFunction(window) => places
            .iter()
            .all(|places| window.params.partition_by.iter().any(|expression| is_carried(places, expression, schema))),
        _ => false,
    })
}

/// Returns the rows of a union of two.
fn in_both(one: Rows, other: Rows) -> Option<Rows> {
    match (one, other) {
        (Rows::Without, Rows::Without) => Some(Rows::Without),
        (Rows::Apart(one), Rows::Apart(other)) => {
            some(one.iter().zip(&other).map(|(one, other)| one & other).collect())
        }
        _ => None,
    }
}

fn some(places: Places) -> Option<Rows> {
    (!places.iter().any(BTreeSet::is_empty)).then_some(Rows::Apart(places))
}
