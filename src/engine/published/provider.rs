//! A published table as plans read it: which version it is, is settled for each query by its [`Pin`].

use std::sync::{Arc, Weak};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use tokio::sync::OnceCell;

use super::entry::Entry;
use super::{OWN_FOLDER, PUBLISHED, Published, RESTATEMENTS, restatements};
use crate::engine::state::Shared;
use crate::error;
use crate::lake::TableVersion;

/// The entry of the ledger that one query looks at, found when it is first asked for.
#[derive(Debug, Default)]
pub(in crate::engine) struct Pin {
    entry: OnceCell<Option<Arc<Entry>>>,
}

impl Pin {
    /// Returns the entry; the same one for all tables of a query.
    pub(super) async fn entry(&self, published: &Published) -> error::Result<Option<Arc<Entry>>> {
        self.entry.get_or_try_init(|| published.newest()).await.cloned()
    }
}

/// A table of the ledger: of a metric, or that of restatements.
#[derive(Debug)]
pub(in crate::engine) struct PublishedTable {
    shared: Weak<Shared>,
    /// The metric; `None` is the table of restatements.
    metric: Option<String>,
    schema: SchemaRef,
    /// The entry, where the query asks for a certain one.
    fixed: Option<Arc<Entry>>,
}

impl PublishedTable {
    pub(super) fn new(shared: &Arc<Shared>, metric: &str, schema: SchemaRef, fixed: Option<Arc<Entry>>) -> Self {
        Self { shared: Arc::downgrade(shared), metric: Some(metric.to_owned()), schema, fixed }
    }

    /// Returns the table of restatements.
    pub(in crate::engine) fn of_restatements(shared: Weak<Shared>) -> Self {
        Self { shared, metric: None, schema: restatements(), fixed: None }
    }

    /// Returns the schema and name of the Delta table.
    fn place(&self) -> (&str, &str) {
        match &self.metric {
            Some(metric) => (PUBLISHED, metric),
            None => (OWN_FOLDER, RESTATEMENTS),
        }
    }

    /// Returns the version to read; `None` where there is none yet.
    async fn version(&self, published: &Published, pin: &Pin) -> error::Result<Option<Arc<TableVersion>>> {
        let entry = match &self.fixed {
            Some(entry) => Some(Arc::clone(entry)),
            None => pin.entry(published).await?,
        };
        let Some(entry) = entry else { return Ok(None) };
        let version = match &self.metric {
            Some(metric) => entry.state.tables.get(metric).map(|table| table.version),
            None => entry.state.restatements,
        };
        let Some(version) = version else { return Ok(None) };
        let (schema, name) = self.place();
        published.version(schema, name, version).await.map(Some)
    }
}

#[async_trait]
impl TableProvider for PublishedTable {
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
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (schema, name) = self.place();
        let Some(shared) = self.shared.upgrade() else { return internal_err!("the engine is gone") };
        let Some(pin) = state.config().get_extension::<Pin>() else {
            return internal_err!("table \"{schema}.{name}\" is scanned outside a query");
        };
        let external = |error: error::Error| DataFusionError::External(Box::new(error));
        let Some(version) = self.version(&shared.published, &pin).await.map_err(external)? else {
            let schema = match projection {
                Some(projection) => Arc::new(self.schema.project(projection)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        };
        let table = shared.published.lake.table(schema, name).map_err(external)?;
        // A column that came or went since the query was planned is one of the next query.
        let reader = table.reader(&version).with_schema(Arc::clone(&self.schema));
        reader.scan(state, projection, filters, limit).await
    }
}
