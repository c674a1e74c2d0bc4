//! Rows of files, or rows in memory, in the place of views: what is computed already is not computed again.
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
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use super::rest::{HeldRows, Rest};
use crate::catalog::TableId;
use crate::engine::Session;
use crate::engine::native::{physical, without_qualifiers};
use crate::error::Result;
use crate::lake::{LakeTable, storable};
use crate::metrics;

/// Views whose rows lie in files, or are computed once. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StandIns {
    by_view: BTreeMap<TableId, Arc<StandIn>>,
}

/// The rows of a view, in files or computed.
#[derive(Debug)]
pub struct StandIn {
    /// The plan of the view, by which it is found.
    view: LogicalPlan,
    /// `None` where no row lies in files.
    files: Option<LakeTable>,
    schema: SchemaRef,
    /// The rows that the files do not have; `None` where there are none, or nobody asks for them.
    rest: Option<(Session, Rest)>,
    /// The rest, once it is computed; `None` where it is computed anew for each scan.
    held: Option<HeldRows>,
}

impl StandIns {
    /// Adds what stands in for a view.
    pub fn insert(&mut self, view: &TableId, stand_in: Arc<StandIn>) {
        self.by_view.insert(view.clone(), stand_in);
    }

    fn of(&self, named: &SubqueryAlias) -> Option<&Arc<StandIn>> {
        let of_name = self.by_view.iter().filter(|(id, _)| id.name == named.alias.table());
        of_name.map(|(_, stand_in)| stand_in).find(|known| *named.input == known.view)
    }

    /// Returns a plan that reads files where it read one of the views.
    pub(in crate::engine) fn put_into(&self, plan: LogicalPlan) -> PlanResult<LogicalPlan> {
        if self.by_view.is_empty() {
            return Ok(plan);
        }
        let put = plan.transform_down_with_subqueries(|node| {
            let LogicalPlan::SubqueryAlias(named) = &node else { return Ok(Transformed::no(node)) };
            let Some(stand_in) = self.of(named) else { return Ok(Transformed::no(node)) };
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
        let Some((view, schema)) = self.view_and_schema(&id).await? else { return Ok(None) };
        if !has_same_types(&schema, &files.schema()) {
            return Ok(None);
        }
        let rest = rest.map(|rest| (self.clone(), rest));
        let files = Some(files.with_schema(Arc::clone(&schema)));
        Ok(Some(StandIn { view, files, schema, rest, held: None }))
    }

    /// Returns what stands in for a view: all of its rows are the rest, computed in this session where they are
    /// asked for. `None` where it is no view.
    ///
    /// # Errors
    /// As [`Session::stand_in`].
    pub async fn stand_in_without_files(&self, id: &TableId) -> Result<Option<StandIn>> {
        let Some((view, schema)) = self.view_and_schema(id).await? else { return Ok(None) };
        let names: Vec<String> = schema.fields().iter().map(|field| format!("\"{}\"", field.name())).collect();
        let sql = format!("select {} from \"{}\".\"{}\"", names.join(", "), id.schema, id.name);
        let rest = Some((self.clone(), Rest { sql, days: None }));
        Ok(Some(StandIn { view, files: None, schema, rest, held: None }))
    }

    async fn view_and_schema(&self, id: &TableId) -> Result<Option<(LogicalPlan, SchemaRef)>> {
        let provider = self.shared.provider(id).await?;
        let plan = provider.get_logical_plan().map(|plan| plan.into_owned());
        Ok(plan.map(|plan| (plan, provider.schema())))
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
        let schema = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => Arc::clone(&self.schema),
        };
        let mut scans = Vec::new();
        if let Some(files) = &self.files {
            scans.push(files.scan(state, projection, filters, limit).await?);
        }
        let filters = filters.iter().cloned().map(without_qualifiers).collect::<PlanResult<Vec<_>>>()?;
        if let Some((session, rest)) = self.rest.as_ref().filter(|(_, rest)| !rest.is_left_out_by(&filters)) {
            scans.push(self.rest(state, (session, rest), (&filters, &schema)).await?);
        }
        match (scans.pop(), scans.is_empty()) {
            (None, _) => Ok(Arc::new(EmptyExec::new(schema))),
            (Some(scan), true) => with_types(scan, &schema),
            (Some(scan), false) => {
                scans.push(scan);
                UnionExec::try_new(scans.into_iter().map(|scan| with_types(scan, &schema)).collect::<PlanResult<_>>()?)
            }
        }
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
