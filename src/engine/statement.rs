//! A planned statement, and its way to rows.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ParamValues;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use tokio::time::Instant;

use super::result::{QueryStream, deadline_error};
use super::sandbox::Write;
use super::scanned::Scanned;
use super::state::Shared;
use super::stop::Stop;
use super::unique_keys::{self, Verdict};
use super::wire_types::wire_schema;
use super::{faults, parameters, row_checks};
use crate::catalog::TableId;
use crate::error::{Error, ErrorKind, Result};

/// A planned statement: a query, or a write to the sandbox.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(super) shared: Arc<Shared>,
    pub(super) state: SessionState,
    pub(super) plan: LogicalPlan,
    pub(super) schema: SchemaRef,
    pub(super) reads: Vec<TableId>,
    pub(super) write: Option<Arc<Write>>,
    pub(super) stop: Stop,
    pub(super) scanned: Scanned,
}

impl Statement {
    /// Returns the schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Returns what ends the query where dropping its rows would not be noticed.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Returns the parameters in the order of their numbers; one whose type nothing tells is a text.
    ///
    /// # Errors
    /// `Query` where their types contradict each other.
    pub fn parameters(&self) -> Result<Vec<FieldRef>> {
        let found = self.plan.get_parameter_fields().map_err(faults::of_query)?;
        let mut by_place = parameters::types_by_place(&self.plan)?;
        let of_columns = self.write.iter().flat_map(|write| write.parameters.clone());
        by_place.extend(of_columns);
        let mut parameters: Vec<_> = found.into_iter().collect();
        parameters.sort_by_key(|(name, _)| name.trim_start_matches('$').parse::<usize>().unwrap_or(usize::MAX));
        Ok(parameters
            .into_iter()
            .map(|(name, field)| {
                let known = field.map(|field| field.data_type().clone()).filter(|kind| kind != &DataType::Null);
                let known = known.or_else(|| by_place.get(&name).cloned());
                let kind = known.unwrap_or(DataType::Utf8);
                let schema = wire_schema(&Schema::new(vec![Field::new(name, kind, true)]));
                Arc::clone(&schema.fields()[0])
            })
            .collect())
    }

    /// Returns rows of parameters in the types of this query, one column for each parameter in the order of their
    /// numbers. A value that would change in the conversion keeps its own type.
    ///
    /// # Errors
    /// `Argument` where there are more or fewer columns than parameters.
    pub fn bind(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        parameters::bind(&self.parameters()?, rows)
    }

    /// Runs the query with one row of what [`Statement::bind`] gave.
    ///
    /// # Errors
    /// As [`Statement::execute`].
    pub async fn execute_bound(self, rows: RecordBatch, row: usize) -> Result<QueryStream> {
        self.execute(Some(parameters::values(&rows, row)?)).await
    }

    /// Checks what the query reads, runs it, and returns its rows.
    ///
    /// # Errors
    /// `Source` where a table breaks the contract, `Limit` where checking takes longer than a query may, and whatever
    /// planning gives.
    pub async fn execute(self, parameters: Option<ParamValues>) -> Result<QueryStream> {
        let rows_max = self.shared.config.limits.rows;
        self.execute_up_to(rows_max, parameters).await
    }

    /// Runs the query with a limit of its own to its rows.
    ///
    /// # Errors
    /// As [`Statement::execute`].
    pub(super) async fn execute_up_to(
        self,
        rows_max: Option<u64>,
        parameters: Option<ParamValues>,
    ) -> Result<QueryStream> {
        self.stream(rows_max, |statement| statement.physical_plan(parameters)).await
    }

    /// Runs a plan of the query within the limits of a query, and returns its rows.
    ///
    /// # Errors
    /// `Limit` where making the plan takes longer than a query may, and whatever that gives.
    pub(super) async fn stream<F>(self, rows_max: Option<u64>, plan: impl FnOnce(Self) -> F) -> Result<QueryStream>
    where
        F: Future<Output = Result<Arc<dyn ExecutionPlan>>>,
    {
        let seconds = self.shared.config.limits.query_seconds;
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let (schema, context, stop, scanned) =
            (self.schema(), self.state.task_ctx(), self.stop(), self.scanned.clone());
        let plan = tokio::time::timeout_at(deadline, plan(self)).await.map_err(|_| deadline_error(seconds))??;
        let plan = stop.in_joins(plan).map_err(faults::of_query)?;
        let scanning = scanned.guard(&plan);
        let rows = execute_stream(plan, context).map_err(faults::of_query)?;
        Ok(QueryStream::new(schema, rows, deadline, seconds, rows_max, scanning))
    }

    /// Returns the query with its rows in the order of all their columns, but where it has an order of its own.
    ///
    /// # Errors
    /// `Query` where a column has no order.
    pub(super) fn in_order(mut self) -> Result<Self> {
        if !matches!(self.plan, LogicalPlan::Sort(_) | LogicalPlan::Limit(_)) {
            let columns: Vec<_> = self.plan.schema().columns().into_iter().map(Expr::Column).collect();
            self.plan = LogicalPlanBuilder::from(self.plan)
                .sort(columns.into_iter().map(|column| column.sort(true, false)))
                .and_then(LogicalPlanBuilder::build)
                .map_err(faults::of_query)?;
        }
        Ok(self)
    }

    /// Returns whether no two rows are equal, as far as their hashes tell.
    ///
    /// # Errors
    /// As [`Statement::execute`].
    pub(super) async fn unique_rows(self) -> Result<Verdict> {
        let seconds = self.shared.config.limits.query_seconds;
        let (context, scanned) = (self.state.task_ctx(), self.scanned.clone());
        let verdict = async {
            let plan = self.physical_plan(None).await?;
            let _scanning = scanned.guard(&plan);
            unique_keys::verdict(plan, context).await.map_err(faults::of_query)
        };
        tokio::time::timeout(Duration::from_secs(seconds), verdict).await.map_err(|_| deadline_error(seconds))?
    }

    /// Checks the rows of the tables that the query reads, as far as that was not done.
    ///
    /// # Errors
    /// `Source` where a table breaks the contract.
    pub(super) async fn check_reads(&self) -> Result<()> {
        // What is checked is the whole: keys of some of the rows say nothing.
        let checked = row_checks::ensure(self.shared.whole(), &self.state, self.reads.clone()).await;
        checked.map_err(|error| self.shared.concealed(error))
    }

    /// Returns the plan that would run, after checking what it reads.
    ///
    /// # Errors
    /// As [`Statement::execute`].
    pub async fn physical_plan(self, parameters: Option<ParamValues>) -> Result<Arc<dyn ExecutionPlan>> {
        if self.write.is_some() {
            return Err(Error::new(ErrorKind::Refused, "a statement that writes is not allowed here")
                .with_hint("ask for its query alone"));
        }
        let is_run = !matches!(self.plan, LogicalPlan::Explain(_));
        if is_run {
            self.check_reads().await?;
        }
        let plan = match parameters {
            Some(parameters) => {
                let plan = self.plan.with_param_values(parameters).map_err(faults::of_query)?;
                parameters::with_types_of_values(plan)?
            }
            None => self.plan,
        };
        self.state.create_physical_plan(&plan).await.map_err(faults::of_query)
    }
}
