//! Lineage: from which columns of the sources the columns of views are made, read off the plans of the views.
//!
//! A plan is walked from its leaves up. Each column carries the source columns that its values are made of, conditions
//! of a `case` included; beside them go the source columns that only decide which rows there are, or in which order a
//! window sees them: those of filters and join keys. Start at [`edges`].

mod operators;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinType, TableReference};
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan, expr::WindowFunction};

use super::native::NativeTable;
use super::state::Shared;
use super::{DEFAULT_SCHEMA, faults};
use crate::catalog::TableId;
use crate::config::CONTRACT_SCHEMAS;
use crate::error::Result;
use crate::models::sidecar::OperatorKind;

/// Columns of source tables.
type Sources = BTreeSet<(TableId, String)>;

/// What goes from where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EdgeKind {
    /// The view names the table.
    Reads,
    /// The column's values are made of the source column.
    Value,
    /// The source column decides which rows of the view there are.
    Filter,
}

impl EdgeKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Value => "value",
            Self::Filter => "filter",
        }
    }
}

/// An edge of the lineage.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) table: TableId,
    pub(super) column: Option<String>,
    pub(super) source: TableId,
    pub(super) source_column: Option<String>,
    pub(super) kind: EdgeKind,
}

/// What flows out of a plan: the sources of each column, and those that decide about rows.
#[derive(Debug, Clone, Default)]
struct Flow {
    columns: Vec<Sources>,
    rows: Sources,
}

/// Returns the edges of all views: to the tables that they name, and down to the tables of the contract.
///
/// # Errors
/// `Model` where a view does not plan.
pub(super) async fn edges(shared: &Arc<Shared>) -> Result<Vec<Edge>> {
    // What a view is made of does not depend on who asks; a role sees the edges between what it sees.
    let mut edges = edges_of_whole(shared.whole()).await?;
    let is_shown = |table: &TableId, column: Option<&String>| {
        shared.sees(table) && column.is_none_or(|column| shared.shows(table, column))
    };
    edges.retain(|edge| {
        is_shown(&edge.table, edge.column.as_ref()) && is_shown(&edge.source, edge.source_column.as_ref())
    });
    Ok(edges)
}

async fn edges_of_whole(shared: &Arc<Shared>) -> Result<Vec<Edge>> {
    let mut walk = Walk::default();
    let mut edges = Vec::new();
    for id in in_order(shared) {
        let Some(model) = shared.models.get(&id) else { continue };
        let provider = shared.provider(&id).await?;
        let names: Vec<String> = provider.schema().fields().iter().map(|field| field.name().clone()).collect();
        let flow = match (provider.downcast_ref::<NativeTable>(), model.sidecar.operator) {
            (Some(native), Some(operator)) => walk.native(native, operator, &names),
            _ => match provider.get_logical_plan() {
                Some(plan) => walk.plan(&plan),
                None => continue,
            },
        };
        let flow = flow.map_err(faults::of_query)?;
        let edge = |column: Option<&String>, source: &TableId, source_column: Option<&String>, kind| Edge {
            table: id.clone(),
            column: column.cloned(),
            source: source.clone(),
            source_column: source_column.cloned(),
            kind,
        };
        edges.extend(model.reads.iter().map(|read| edge(None, read, None, EdgeKind::Reads)));
        for (name, sources) in names.iter().zip(&flow.columns) {
            edges.extend(sources.iter().map(|(table, column)| edge(Some(name), table, Some(column), EdgeKind::Value)));
        }
        edges.extend(flow.rows.iter().map(|(table, column)| edge(None, table, Some(column), EdgeKind::Filter)));
        walk.views.insert(id, (names, flow));
    }
    edges.sort_by(|one, other| {
        let key =
            |edge: &Edge| (edge.table.clone(), edge.column.clone(), edge.source.clone(), edge.source_column.clone());
        key(one).cmp(&key(other))
    });
    Ok(edges)
}

/// Returns the models, each after those that it reads.
fn in_order(shared: &Shared) -> Vec<TableId> {
    fn visit(shared: &Shared, id: &TableId, order: &mut Vec<TableId>) {
        let Some(model) = shared.models.get(id).filter(|_| !order.contains(id)) else { return };
        for read in &model.reads {
            visit(shared, read, order);
        }
        order.push(id.clone());
    }
    let mut order = Vec::new();
    for model in shared.models.iter() {
        visit(shared, &model.id, &mut order);
    }
    order
}

/// The views whose flows are known by now, with the names of their columns.
#[derive(Debug, Default)]
struct Walk {
    views: BTreeMap<TableId, (Vec<String>, Flow)>,
}

type Walked = datafusion::common::Result<Flow>;

impl Walk {
    /// Returns the flow of some columns of a table; a table of the contract is where it begins.
    fn table(&self, id: &TableId, names: impl Iterator<Item = String>) -> Flow {
        let is_source = CONTRACT_SCHEMAS.contains(&id.schema.as_str());
        let Some((known, flow)) = self.views.get(id).filter(|_| !is_source) else {
            let columns = names.map(|name| Sources::from([(id.clone(), name)])).collect();
            return Flow { columns, rows: Sources::new() };
        };
        let of_name = |name: String| {
            let place = known.iter().position(|known| *known == name);
            place.and_then(|place| flow.columns.get(place)).cloned().unwrap_or_default()
        };
        Flow { columns: names.map(of_name).collect(), rows: flow.rows.clone() }
    }

    /// Returns the flow of an operator: a column is the input's of its name, but where the operator says otherwise.
    fn native(&self, native: &NativeTable, operator: OperatorKind, names: &[String]) -> Walked {
        let mut inputs = Vec::new();
        for plan in native.inputs() {
            inputs.push((plan.schema(), self.plan(plan)?));
        }
        let named = |name: &str| -> Vec<&Sources> {
            let places = inputs.iter().map(|(schema, flow)| (schema.index_of_column_by_name(None, name), flow));
            places.filter_map(|(place, flow)| flow.columns.get(place?)).collect()
        };
        let all_named =
            |parts: &[&str]| -> Sources { parts.iter().flat_map(|part| named(part)).flatten().cloned().collect() };
        let mut flow = Flow { columns: Vec::new(), rows: all_named(operators::joined_on(operator)) };
        for name in names {
            flow.columns.push(match operators::made_of(operator, name) {
                Some(parts) => all_named(parts),
                None => named(name).into_iter().next().cloned().unwrap_or_default(),
            });
        }
        for (_, input) in &inputs {
            flow.rows.extend(input.rows.iter().cloned());
        }
        Ok(flow)
    }

    fn plan(&self, plan: &LogicalPlan) -> Walked {
        let mut flow = match plan {
            LogicalPlan::Projection(node) => self.expressions(&node.expr, self.plan(&node.input)?, &node.input)?,
            LogicalPlan::Filter(node) => {
                let mut flow = self.plan(&node.input)?;
                let sources = self.all_of(&node.predicate, &flow, node.input.schema())?;
                flow.rows.extend(sources);
                flow
            }
            LogicalPlan::Aggregate(node) => {
                let expressions = [node.group_expr.as_slice(), &node.aggr_expr].concat();
                self.expressions(&expressions, self.plan(&node.input)?, &node.input)?
            }
            LogicalPlan::Window(node) => {
                let input = self.plan(&node.input)?;
                let made = self.expressions(&node.window_expr, input.clone(), &node.input)?;
                Flow { columns: [input.columns, made.columns].concat(), rows: made.rows }
            }
            LogicalPlan::Join(node) => self.join(node)?,
            LogicalPlan::SubqueryAlias(node) => match known_id(&node.alias).filter(|id| self.is_known(id)) {
                Some(id) => self.table(&id, node.schema.fields().iter().map(|field| field.name().clone())),
                None => self.plan(&node.input)?,
            },
            LogicalPlan::TableScan(node) => {
                let id = known_id(&node.table_name).unwrap_or_else(|| TableId {
                    schema: DEFAULT_SCHEMA.to_owned(),
                    name: node.table_name.table().to_owned(),
                });
                self.table(&id, node.projected_schema.fields().iter().map(|field| field.name().clone()))
            }
            LogicalPlan::Unnest(node) => {
                let input = self.plan(&node.input)?;
                let column = |place: &usize| input.columns.get(*place).cloned().unwrap_or_default();
                Flow { columns: node.dependency_indices.iter().map(column).collect(), rows: input.rows }
            }
            LogicalPlan::Distinct(Distinct::On(node)) => {
                let input = self.plan(&node.input)?;
                let mut flow = self.expressions(&node.select_expr, input.clone(), &node.input)?;
                for expression in node.on_expr.iter().chain(node.sort_expr.iter().flatten().map(|sort| &sort.expr)) {
                    flow.rows.extend(self.all_of(expression, &input, node.input.schema())?);
                }
                flow
            }
            other => self.columnwise(other)?,
        };
        // What adds columns of its own, such as the id of a grouping set, adds none that come from a source.
        flow.columns.resize(plan.schema().fields().len(), Sources::new());
        Ok(flow)
    }

    /// Returns the flow of a plan whose columns are those of its inputs, place by place: sort, limit, distinct, union.
    fn columnwise(&self, plan: &LogicalPlan) -> Walked {
        let mut flow = Flow::default();
        for input in plan.inputs() {
            let input = self.plan(input)?;
            flow.rows.extend(input.rows);
            flow.columns.resize(flow.columns.len().max(input.columns.len()), Sources::new());
            for (sources, more) in flow.columns.iter_mut().zip(input.columns) {
                sources.extend(more);
            }
        }
        Ok(flow)
    }

    fn join(&self, node: &Join) -> Walked {
        let (left, right) = (self.plan(&node.left)?, self.plan(&node.right)?);
        let mut rows: Sources = left.rows.iter().chain(&right.rows).cloned().collect();
        for (of_left, of_right) in &node.on {
            rows.extend(self.all_of(of_left, &left, node.left.schema())?);
            rows.extend(self.all_of(of_right, &right, node.right.schema())?);
        }
        let both = [left.columns.clone(), right.columns.clone()].concat();
        if let Some(filter) = &node.filter {
            let schema = node.left.schema().join(node.right.schema())?;
            let flow = Flow { columns: both.clone(), rows: Sources::new() };
            rows.extend(self.all_of(filter, &flow, &schema)?);
        }
        let columns = match node.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.columns,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.columns,
            _ => both,
        };
        Ok(Flow { columns, rows })
    }

    fn expressions(&self, expressions: &[Expr], input: Flow, plan: &LogicalPlan) -> Walked {
        let mut rows = input.rows.clone();
        let mut columns = Vec::with_capacity(expressions.len());
        for expression in expressions {
            columns.push(self.value(expression, &input, plan.schema(), &mut rows)?);
        }
        Ok(Flow { columns, rows })
    }

    /// Returns every source of an expression, whether of values or of rows.
    fn all_of(&self, expression: &Expr, input: &Flow, schema: &DFSchema) -> datafusion::common::Result<Sources> {
        let mut rows = Sources::new();
        let mut sources = self.value(expression, input, schema, &mut rows)?;
        sources.append(&mut rows);
        Ok(sources)
    }

    /// Returns the sources of an expression's values, and adds those that only decide about rows to `rows`.
    fn value(
        &self,
        expression: &Expr,
        input: &Flow,
        schema: &DFSchema,
        rows: &mut Sources,
    ) -> datafusion::common::Result<Sources> {
        let mut sources = Sources::new();
        expression.apply(|part| {
            let subquery = match part {
                Expr::Column(column) => {
                    let place = schema.maybe_index_of_column(column);
                    sources.extend(place.and_then(|place| input.columns.get(place)).into_iter().flatten().cloned());
                    None
                }
                Expr::WindowFunction(window) => {
                    let WindowFunction { params, .. } = window.as_ref();
                    for argument in params.args.iter().chain(params.filter.as_deref()) {
                        sources.extend(self.value(argument, input, schema, rows)?);
                    }
                    for order in params.partition_by.iter().chain(params.order_by.iter().map(|sort| &sort.expr)) {
                        rows.extend(self.all_of(order, input, schema)?);
                    }
                    return Ok(TreeNodeRecursion::Jump);
                }
                Expr::ScalarSubquery(subquery) => Some(subquery),
                Expr::InSubquery(within) => Some(&within.subquery),
                Expr::Exists(exists) => Some(&exists.subquery),
                _ => None,
            };
            if let Some(subquery) = subquery {
                let flow = self.plan(&subquery.subquery)?;
                sources.extend(flow.columns.into_iter().flatten());
                rows.extend(flow.rows);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(sources)
    }

    fn is_known(&self, id: &TableId) -> bool {
        self.views.contains_key(id) || CONTRACT_SCHEMAS.contains(&id.schema.as_str())
    }
}

/// Returns the table that a name with a schema stands for; a name without one may be a common table expression's.
pub(super) fn known_id(name: &TableReference) -> Option<TableId> {
    Some(TableId { schema: name.schema()?.to_owned(), name: name.table().to_owned() })
}
