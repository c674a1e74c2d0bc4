//! A wall before a table: nothing of the query gets behind it but conditions that cannot tell, and nothing comes out but
//! the rows and columns that may be read.
//!
//! The table is planned and run apart from the query around it. So no rule of the planner moves a condition of the user
//! before one of the role, where it would see, and tell by an error, what the role may not read; no statistics of files
//! answer a question; no plan shows what is behind; and what fails there fails without saying why.

use std::fmt;
use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, DataFusionError, Result, TableReference, internal_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Between, BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::StreamExt;

use crate::catalog::TableId;
use crate::engine::faults;
use crate::engine::native::without_qualifiers;
use crate::error::{self, Error, ErrorKind};

/// Operators that give true, false or NULL for any two values of one type.
const COMPARISONS: [Operator; 8] = [
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];

/// A table behind a wall.
pub(in crate::engine) struct Wall {
    id: TableId,
    table: Arc<dyn TableProvider>,
    conditions: Vec<Expr>,
    columns: Vec<Expr>,
    schema: SchemaRef,
    rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
}

/// Returns a column as it is.
pub(super) fn as_it_is(field: &Field) -> Expr {
    Expr::Column(Column::new_unqualified(field.name()))
}

/// Returns the error of what lies behind a wall: that it fails, and not why. Limits of the query are its own.
pub(in crate::engine) fn concealed(what: &str, error: Error) -> Error {
    if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Cancelled) {
        return error;
    }
    tracing::warn!(what, error = error.message(), hint = error.hint(), "what a role reads cannot be read");
    without_reason(what, &error)
}

/// Returns an error that says no more than what cannot be read.
pub(in crate::engine) fn without_reason(what: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{what} cannot be read"))
        .with_hint("the server's log says why: ask whoever runs it")
}

impl Wall {
    /// Returns a table of which only rows with these conditions and these columns come out.
    ///
    /// # Errors
    /// `Query` where conditions or columns do not fit the table.
    pub(super) fn new(
        id: &TableId,
        table: Arc<dyn TableProvider>,
        conditions: Vec<Expr>,
        columns: Vec<Expr>,
        base: &SessionState,
    ) -> error::Result<Self> {
        let rules = base.physical_optimizers().to_vec();
        let mut wall = Self { id: id.clone(), table, conditions, columns, schema: Arc::new(Schema::empty()), rules };
        let plan = wall.plan(wall.columns.clone(), &[]).map_err(faults::of_query)?;
        wall.schema = Arc::new(plan.schema().as_arrow().clone());
        Ok(wall)
    }

    /// Returns the plan of columns of the rows for which these conditions hold too.
    fn plan(&self, columns: Vec<Expr>, more: &[Expr]) -> Result<LogicalPlan> {
        let name = TableReference::partial(self.id.schema.as_str(), self.id.name.as_str());
        let mut plan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::clone(&self.table)), None)?;
        if let Some(condition) = conjunction(self.conditions.iter().chain(more).cloned()) {
            plan = plan.filter(condition)?;
        }
        plan.project(columns)?.build()
    }

    /// Returns whether a column comes out as it is.
    fn is_open(&self, name: &str) -> bool {
        self.columns.iter().any(|column| matches!(column, Expr::Column(column) if column.name == name))
    }

    /// Returns the plan of rows for which conditions hold: those of the query that tell nothing, and those of a call.
    ///
    /// # Errors
    /// That it does not plan, without the reason.
    pub(in crate::engine) async fn rows(
        &self,
        state: &SessionState,
        projection: Option<&Vec<usize>>,
        conditions: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (columns, schema) = match projection {
            Some(places) => (
                places.iter().map(|place| self.columns[*place].clone()).collect(),
                Arc::new(self.schema.project(places)?),
            ),
            None => (self.columns.clone(), Arc::clone(&self.schema)),
        };
        let conditions = conditions.iter().cloned().map(without_qualifiers).collect::<Result<Vec<_>>>()?;
        let plan = self.plan(columns, &conditions).map_err(|fault| self.concealed(fault))?;
        // Parts of native operators are planned without rules, since those of the whole query see them later. None looks
        // behind a wall.
        let whole;
        let state = if state.physical_optimizers().is_empty() {
            let builder = SessionStateBuilder::new_from_existing(state.clone());
            whole = builder.with_physical_optimizer_rules(self.rules.clone()).build();
            &whole
        } else {
            state
        };
        let inner = state.create_physical_plan(&plan).await.map_err(|fault| self.concealed(fault))?;
        Ok(Arc::new(WallExec::new(self.id.clone(), inner, schema)))
    }

    fn concealed(&self, fault: DataFusionError) -> DataFusionError {
        conceal(&self.id, fault)
    }
}

fn conceal(id: &TableId, fault: DataFusionError) -> DataFusionError {
    DataFusionError::External(Box::new(concealed(&format!("table \"{id}\""), faults::of_query(fault))))
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wall").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Wall {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let of_filter = |filter: &&Expr| match tells_nothing(filter, self) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(of_filter).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return internal_err!("a table behind a wall is planned outside the engine");
        };
        // Those that the planner brings although they were not taken are looked at here again.
        let harmless: Vec<Expr> = filters.iter().filter(|filter| tells_nothing(filter, self)).cloned().collect();
        self.rows(state, projection, &harmless).await
    }
}

/// Returns whether a condition can be tried on any row without telling of it: columns that come out as they are, held
/// against values of their own type, which never fails.
fn tells_nothing(condition: &Expr, wall: &Wall) -> bool {
    let column = |side: &Expr| match side {
        Expr::Column(column) => wall.schema.field_with_name(&column.name).ok().filter(|_| wall.is_open(&column.name)),
        _ => None,
    };
    let is_value_of = |field: &Field, value: &Expr| matches!(value, Expr::Literal(value, _) if value.data_type() == *field.data_type());
    let are_compared = |one: &Expr, other: &Expr| column(one).is_some_and(|field| is_value_of(field, other));
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            tells_nothing(left, wall) && tells_nothing(right, wall)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            COMPARISONS.contains(op) && (are_compared(left, right) || are_compared(right, left))
        }
        Expr::Not(inner) => tells_nothing(inner, wall),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column(inner).is_some(),
        Expr::Between(Between { expr, low, high, .. }) => are_compared(expr, low) && are_compared(expr, high),
        Expr::InList(list) => list.list.iter().all(|value| are_compared(&list.expr, value)),
        _ => false,
    }
}

/// The rows that come out of a wall. Its input is no child: nothing goes from node to node into it.
struct WallExec {
    id: TableId,
    inner: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl WallExec {
    fn new(id: TableId, inner: Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(inner.output_partitioning().partition_count()),
            inner.pipeline_behavior(),
            inner.boundedness(),
        );
        Self { id, inner, schema, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for WallExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WallExec").field("id", &self.id).finish_non_exhaustive()
    }
}

impl DisplayAs for WallExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let columns: Vec<_> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "Wall: table={}, columns=[{}]", self.id, columns.join(", "))
    }
}

impl ExecutionPlan for WallExec {
    fn name(&self) -> &str {
        "Wall"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a wall has no inputs") }
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = reset_plan_states(Arc::clone(&self.inner))?;
        Ok(Arc::new(Self::new(self.id.clone(), inner, Arc::clone(&self.schema))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (id, schema) = (self.id.clone(), Arc::clone(&self.schema));
        let rows = self.inner.execute(partition, context).map_err(|fault| conceal(&id, fault))?;
        let rows = rows.map(move |batch| {
            let batch = batch.map_err(|fault| conceal(&id, fault))?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            // A view is known before the planner settles which of the kinds of text its columns have.
            let columns = batch.columns().iter().zip(schema.fields());
            let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
            Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}

/// Returns the plan in which what runs behind each wall is replaced.
///
/// # Errors
/// Those of the replacing.
pub(in crate::engine) fn behind_walls(
    node: &Arc<dyn ExecutionPlan>,
    replaced: impl FnOnce(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(wall) = node.downcast_ref::<WallExec>() else { return Ok(None) };
    let inner = replaced(Arc::clone(&wall.inner))?;
    Ok(Some(Arc::new(WallExec::new(wall.id.clone(), inner, Arc::clone(&wall.schema)))))
}
