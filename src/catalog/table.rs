//! A source table as plans read it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::TableId;
use super::contract::ContractTable;
use super::snapshot::Snapshot;
use crate::sources::table::Files;

/// A table of a source; which files it has is settled for each query by its [`Snapshot`].
#[derive(Debug)]
pub struct SourceTable {
    /// Schema and name.
    pub id: TableId,
    /// What it must hold; `None` for raw tables.
    pub contract: Option<&'static ContractTable>,
    /// The source's place in the catalog; `None` where the table is missing.
    pub(super) source: Option<usize>,
    schema: SchemaRef,
}

impl SourceTable {
    pub(super) fn new(id: TableId, source: usize, schema: SchemaRef, contract: Option<&'static ContractTable>) -> Self {
        Self { id, contract, source: Some(source), schema }
    }

    pub(super) fn missing(id: TableId, contract: &'static ContractTable) -> Self {
        Self { id, contract: Some(contract), source: None, schema: Arc::clone(&contract.arrow_schema) }
    }

    /// Returns whether the source has the table.
    pub fn is_there(&self) -> bool {
        self.source.is_some()
    }

    /// Returns the columns.
    pub fn arrow_schema(&self) -> &SchemaRef {
        &self.schema
    }
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(place) = self.source else {
            let schema = match projection {
                Some(projection) => Arc::new(self.schema.project(projection)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        };
        let Some(snapshot) = state.config().get_extension::<Snapshot>() else {
            return internal_err!("table \"{}\" is scanned outside a query", self.id);
        };
        let footers = snapshot.footers(self).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let (source, _) = &snapshot.catalog().sources[place];
        Files { source, footers: &footers, schema: &self.schema }.scan(state, projection, limit)
    }
}
