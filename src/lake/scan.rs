//! A version of a table as plans read it: a plain scan of Parquet files, or the rows of a small one that are in memory.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::{Lake, SmallTables, TableVersion};
use crate::error::{Error, ErrorKind};
use crate::sources::footer::Footers;
use crate::sources::table::Files;
use crate::sources::{Source, SourceFile};

const ALL_COLUMNS: Option<&Vec<usize>> = None;

const ALL_ROWS: Option<usize> = None;

/// A table at one version; whatever is committed later does not change it.
#[derive(Debug, Clone)]
pub struct LakeTable {
    source: Source,
    footers: Arc<Footers>,
    small: Arc<SmallTables>,
    schema: SchemaRef,
    files: Vec<SourceFile>,
}

impl LakeTable {
    pub(super) fn new(lake: &Lake, version: &TableVersion) -> Self {
        Self::of(lake, Arc::clone(&version.schema), version.files.clone())
    }

    pub(super) fn of(lake: &Lake, schema: SchemaRef, files: Vec<SourceFile>) -> Self {
        let (source, footers, small) = (lake.source.clone(), Arc::clone(&lake.footers), Arc::clone(&lake.small));
        Self { source, footers, small, schema, files }
    }

    /// Returns the table with other columns: one that its files do not have is NULL.
    pub fn with_schema(self, schema: SchemaRef) -> Self {
        Self { schema, ..self }
    }

    async fn scan_of_files(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let (footers, problems) = self.footers.read(&self.source, &self.files, &cache).await;
        if let Some(error) = Error::list(ErrorKind::Storage, "files of the warehouse cannot be read", problems) {
            return Err(DataFusionError::External(Box::new(error)));
        }
        Files { source: &self.source, footers: &footers, schema: &self.schema }.scan(state, projection, limit)
    }
}

#[async_trait]
impl TableProvider for LakeTable {
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
        if SmallTables::take(&self.files) {
            let plan = self.scan_of_files(state, ALL_COLUMNS, ALL_ROWS);
            if let Some(rows) = self.small.rows(&self.files, &self.schema, (plan, state.task_ctx())).await? {
                return Ok(MemorySourceConfig::try_new_exec(&[vec![rows]], self.schema(), projection.cloned())?);
            }
        }
        self.scan_of_files(state, projection, limit).await
    }
}
