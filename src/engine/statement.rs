//! A planned statement, and its way to rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ParamValues;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::FutureExt;

use super::admission::{Lane, Patience};
use super::parts::Part;
use super::result::{Extent, Making, QueryStream, deadline_error};
use super::runs::Run;
use super::sandbox::Write;
use super::scanned::Scanned;
use super::state::Shared;
use super::stop::Stop;
use super::timely::apart;
use super::unique_keys::{self, Verdict};
use super::wire_types::wire_schema;
use super::{faults, lanes, parameters, row_checks};
use crate::auth::ANONYMOUS;
use crate::catalog::TableId;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::names::SessionUser;

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
    /// How long planning took.
    pub(super) planned: Duration,
    /// What it is on a server; `None` where it runs alone.
    pub(super) run: Option<Arc<Run>>,
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

    /// Makes the statement, and the query that it writes the rows of, part of a run.
    pub(super) fn goes_with(&mut self, run: &Arc<Run>) {
        self.run = Some(Arc::clone(run));
        if let Some(write) = &self.write {
            self.write = Some(Arc::new(write.going_with(run)));
        }
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

    /// Plans the query to its end with one row of what [`Statement::bind`] gave.
    ///
    /// # Errors
    /// As [`Statement::prepared`].
    pub async fn bound(self, rows: RecordBatch, row: usize) -> Result<Ready> {
        let values = parameters::values(&rows, row)?;
        self.prepared(Some(values)).await
    }

    /// Checks what the query reads, runs it, and returns its rows.
    ///
    /// # Errors
    /// `Source` where a table breaks the contract, `Limit` where checking takes longer than a query may, and whatever
    /// planning gives.
    pub async fn execute(self, parameters: Option<ParamValues>) -> Result<QueryStream> {
        let extent = self.extent();
        self.ready(extent, Asked::Whole(parameters)).await?.rows().await
    }

    /// Plans the query to its end, and says where it is to run.
    ///
    /// # Errors
    /// As [`Statement::execute`], and `Busy` where the server has too much to do.
    pub async fn prepared(self, parameters: Option<ParamValues>) -> Result<Ready> {
        let extent = self.extent();
        self.ready(extent, Asked::Whole(parameters)).await
    }

    /// Returns how far the rows of a client's query may go.
    pub(super) fn extent(&self) -> Extent {
        let limits = &self.shared.config.limits;
        Extent { rows_max: limits.rows, bytes_max: limits.result_bytes }
    }

    /// Returns who asks.
    pub(super) fn user(&self) -> Arc<str> {
        let user = self.state.config_options().extensions.get::<SessionUser>();
        user.map_or_else(|| ANONYMOUS.into(), |user| Arc::clone(&user.name))
    }

    /// Runs the query with limits of its own to its rows.
    ///
    /// # Errors
    /// As [`Statement::execute`].
    pub(super) async fn execute_up_to(self, extent: Extent, parameters: Option<ParamValues>) -> Result<QueryStream> {
        self.ready(extent, Asked::Whole(parameters)).await?.rows().await
    }

    /// Makes the plan of what is asked for. On a server that takes a place among the small queries.
    ///
    /// # Errors
    /// `Limit` where that takes longer than a query may, and whatever planning gives.
    pub(super) async fn ready(self, extent: Extent, asked: Asked) -> Result<Ready> {
        let seconds = self.shared.config.limits.query_seconds;
        self.stop.set_after(seconds);
        if let Some(run) = &self.run {
            run.enter(Lane::Quick, Patience::OfQueue).await?;
        }
        let (began, preparing) = (Instant::now(), self.run.as_ref().map(|run| run.span("prepare")));
        let plan = tokio::time::timeout(Duration::from_secs(seconds), self.clone().plan_of(asked.clone())).await;
        let mut plan = plan.unwrap_or_else(|_| Err(deadline_error(seconds))).map_err(Error::with_id);
        if let Some(run) = &self.run {
            run.planned(began.elapsed());
            drop(preparing);
            if plan.is_err()
                && let Some(killed) = run.killed().now_or_never()
            {
                plan = Err(killed);
            }
            if let Err(error) = &plan {
                run.failed(error);
            }
        }
        let plan = plan?;
        let lane = lanes::lane_of(&plan);
        Ok(Ready { statement: self, asked, plan, lane, extent })
    }

    async fn plan_of(self, asked: Asked) -> Result<Arc<dyn ExecutionPlan>> {
        match asked {
            Asked::Whole(parameters) => self.physical_plan(parameters).await,
            Asked::Part(part) => self.part_plan(part).await,
        }
    }

    /// Returns the query with joins that can put their rows on disk.
    fn with_sorted_joins(mut self) -> Self {
        let options = self.state.config_mut().options_mut();
        options.optimizer.prefer_hash_join = false;
        // With one partition the engine takes hash joins all the same.
        options.execution.target_partitions = options.execution.target_partitions.max(2);
        // What each sort keeps for its end: little, because there is little.
        options.execution.sort_spill_reservation_bytes = SORT_BYTES;
        self
    }

    /// Waits until what the query held is free, which it is a moment after its rows were dropped.
    async fn is_free(&self) {
        let runtime = self.run.as_ref().map_or_else(|| Arc::clone(self.state.runtime_env()), |run| run.runtime());
        let until = Instant::now() + FREE_WITHIN;
        while runtime.memory_pool.reserved() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Starts a plan of the query.
    fn start(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Making> {
        let context = match &self.run {
            Some(run) => Arc::new(TaskContext::from(&self.state).with_runtime(run.runtime())),
            None => self.state.task_ctx(),
        };
        let plan = self.stop.in_joins(plan).map_err(faults::of_query)?;
        let scanning = self.scanned.guard(&plan);
        let rows = execute_stream(plan, context).map_err(faults::of_query)?;
        Ok(Making { rows, scanning })
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
                let plan = self.plan.clone().with_param_values(parameters).map_err(faults::of_query)?;
                parameters::with_types_of_values(plan)?
            }
            None => self.plan.clone(),
        };
        self.planned_to_its_end(&plan).await
    }

    /// Returns the plan that would run, of what is left of the query; what its functions compute for that has an end.
    pub(super) async fn planned_to_its_end(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        let seconds = self.shared.config.limits.query_seconds;
        self.stop.set_for_planning(seconds);
        let planned = apart(self.state.create_physical_plan(plan)).await;
        self.stop.set_after(seconds);
        planned.map_err(faults::of_query)
    }
}

/// Memory that a sort of a join keeps for its end.
const SORT_BYTES: usize = 1 << 20;

/// How long is waited for memory to be free; that of other queries may never be.
const FREE_WITHIN: Duration = Duration::from_millis(500);

/// What is asked of a query.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// All rows, with these parameters.
    Whole(Option<ParamValues>),
    /// The rows of one part.
    Part(Part),
}

/// A query that is planned to its end, and has not begun.
#[derive(Debug)]
pub struct Ready {
    statement: Statement,
    asked: Asked,
    plan: Arc<dyn ExecutionPlan>,
    lane: Lane,
    extent: Extent,
}

impl Ready {
    /// Returns where it is to run.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Waits for a place where it is to run, before it comes to the threads there: a large query may keep those for long,
    /// and who waits is to be sent away in time.
    ///
    /// # Errors
    /// `Busy` where there is no place in time, `Cancelled` where it is killed meanwhile.
    pub async fn entered(self) -> Result<Self> {
        if let Some(run) = &self.statement.run {
            run.enter(self.lane, Patience::OfQueue).await?;
        }
        Ok(self)
    }

    /// Begins it once there is a place for it, and returns its rows. One whose joins need more memory than there is goes
    /// on with joins that can put their rows on disk, unless rows went out already.
    ///
    /// # Errors
    /// `Busy` where there is no place in time, and what starting the plan gives.
    pub async fn rows(self) -> Result<QueryStream> {
        let Self { statement, asked, plan, lane, extent } = self;
        if let Some(run) = &statement.run {
            run.enter(lane, Patience::OfQueue).await?;
            run.running();
        }
        let seconds = statement.shared.config.limits.query_seconds;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
        statement.stop.set_after(seconds);
        let over = match statement.run.clone() {
            Some(run) => run.over(deadline, seconds).boxed(),
            None => tokio::time::sleep_until(deadline).map(move |()| deadline_error(seconds)).boxed(),
        };
        let has_hash_join = plan.exists(|node| Ok(node.is::<HashJoinExec>())).is_ok_and(|found| found);
        let making = statement.start(plan)?;
        let rows = QueryStream::new(statement.schema(), making, over, extent, statement.run.clone());
        if !has_hash_join {
            return Ok(rows);
        }
        let sorted = statement.with_sorted_joins();
        let otherwise = async move {
            sorted.is_free().await;
            let plan = sorted.clone().plan_of(asked).await?;
            sorted.start(plan)
        };
        Ok(rows.or_else(otherwise.boxed()))
    }
}
