//! Rows of files in the place of views of schema `metrics`: what is computed already is not computed again.
//!
//! A view is found in a plan by its own plan, which the planner puts wherever the view is named. Rows that the files do not
//! have are computed, and follow those of the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as PlanSession, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as PlanResult};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::logical_plan::SubqueryAlias;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::{Column, cast};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use super::rest::{HeldRows, Rest};
use crate::catalog::TableId;
use crate::engine::Session;
use crate::engine::native::{physical, without_qualifiers};
use crate::error::Result;
use crate::lake::{LakeTable, storable};
use crate::metrics;

/// Views of schema `metrics` whose rows lie in files. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StandIns {
    by_view: BTreeMap<String, Arc<StandIn>>,
}

/// The rows of a view, in files or computed.
#[derive(Debug)]
pub struct StandIn {
    /// The plan of the view, by which it is found.
    view: LogicalPlan,
    files: LakeTable,
    schema: SchemaRef,
    /// The rows that the files do not have; `None` where there are none, or nobody asks for them.
    rest: Option<(Session, Rest)>,
    /// The rest, once it is computed; `None` where it is computed anew for each scan.
    held: Option<HeldRows>,
}

impl StandIns {
    /// Adds what stands in for a view.
    pub fn insert(&mut self, view: &str, stand_in: Arc<StandIn>) {
        self.by_view.insert(view.to_owned(), stand_in);
    }

    /// Returns a plan that reads files where it read one of the views.
    pub(in crate::engine) fn put_into(&self, plan: LogicalPlan) -> PlanResult<LogicalPlan> {
        if self.by_view.is_empty() {
            return Ok(plan);
        }
        let put = plan.transform_down_with_subqueries(|node| {
            let LogicalPlan::SubqueryAlias(named) = &node else { return Ok(Transformed::no(node)) };
            let Some(stand_in) = self.by_view.get(named.alias.table()).filter(|known| *named.input == known.view)
            else {
                return Ok(Transformed::no(node));
            };
            let source = provider_as_source(Arc::clone(stand_in) as Arc<dyn TableProvider>);
            let scan = LogicalPlanBuilder::scan(named.alias.clone(), source, None)?.build()?;
            let named = SubqueryAlias::try_new(Arc::new(scan), named.alias.clone())?;
            Ok(Transformed::new(LogicalPlan::SubqueryAlias(named), true, TreeNodeRecursion::Jump))
        })?;
        Ok(put.data)
    }
}

impl Session {
    /// Returns the session with files in the place of views.
    pub fn with_stand_ins(mut self, stand_ins: StandIns) -> Self {
        self.stand_ins = Arc::new(stand_ins);
        self
    }

    /// Returns what stands in for a view: the rows of files, and the rest of them, computed in this session where they are
    /// asked for. `None` where the files hold other types than the view has.
    ///
    /// # Errors
    /// `NotFound` where there is no such view, `Model` where it does not plan.
    pub async fn stand_in(&self, view: &str, files: LakeTable, rest: Option<Rest>) -> Result<Option<StandIn>> {
        let id = TableId { schema: metrics::SCHEMA.to_owned(), name: view.to_owned() };
        let provider = self.shared.provider(&id).await?;
        let Some(plan) = provider.get_logical_plan().map(|plan| plan.into_owned()) else { return Ok(None) };
        let schema = provider.schema();
        if !has_same_types(&schema, &files.schema()) {
            return Ok(None);
        }
        let rest = rest.map(|rest| (self.clone(), rest));
        let files = files.with_schema(Arc::clone(&schema));
        Ok(Some(StandIn { view: plan, files, schema, rest, held: None }))
    }
}

impl StandIn {
    /// Returns it with a rest that is computed once for all scans, where it is small.
    pub fn holding_rest(mut self) -> Self {
        self.held = Some(HeldRows::default());
        self
    }

    /// Returns the plan for columns of the rest.
    async fn rest(
        &self,
        state: &dyn PlanSession,
        (session, rest): (&Session, &Rest),
        (filters, columns): (&[Expr], &Schema),
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let of_engine = |error| DataFusionError::External(Box::new(error));
        if let Some(held) = &self.held
            && let Some(rows) =
                held.of(session, &rest.sql, &state.runtime_env().memory_pool).await.map_err(of_engine)?
        {
            return rows.scan(columns);
        }
        let plan = session.prepare(&rest.sql).await.map_err(of_engine)?.plan;
        let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
        physical(state, &plan, filters, &names).await
    }
}

/// Returns whether files hold the columns of a view in their own types.
fn has_same_types(view: &Schema, files: &Schema) -> bool {
    let plain = |kind: &DataType| if kind == &DataType::Utf8View { DataType::Utf8 } else { kind.clone() };
    let Ok(stored) = storable(view) else { return false };
    view.fields().iter().zip(stored.fields()).all(|(own, stored)| {
        let in_files = files.field_with_name(own.name()).map(|field| plain(field.data_type()));
        plain(own.data_type()) == *stored.data_type() && in_files.is_ok_and(|kind| kind == *stored.data_type())
    })
}

#[async_trait]
impl TableProvider for StandIn {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        let of_filter = |filter: &&Expr| match filter.is_volatile() {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(of_filter).collect())
    }

    async fn scan(
        &self,
        state: &dyn PlanSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let files = self.files.scan(state, projection, filters, limit).await?;
        let Some((session, rest)) = &self.rest else { return Ok(files) };
        let filters = filters.iter().cloned().map(without_qualifiers).collect::<PlanResult<Vec<_>>>()?;
        if rest.is_left_out_by(&filters) {
            return Ok(files);
        }
        let schema = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => Arc::clone(&self.schema),
        };
        let rest = self.rest(state, (session, rest), (&filters, &schema)).await?;
        UnionExec::try_new(vec![with_types(files, &schema)?, with_types(rest, &schema)?])
    }
}

/// Returns a plan with the types of a schema. A view is known before the planner settles which of the kinds of text its
/// columns have.
fn with_types(plan: Arc<dyn ExecutionPlan>, schema: &Schema) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let own = plan.schema();
    let mut columns = Vec::new();
    for (place, field) in schema.fields().iter().enumerate() {
        let column = Arc::new(Column::new(own.field(place).name(), place));
        columns.push((cast(column, &own, field.data_type().clone())?, field.name().clone()));
    }
    Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
}
