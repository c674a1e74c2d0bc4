//! Tables of `meta` whose rows are known above the engine: their owners hand them over at start.

use std::fmt::Debug;
use std::sync::{Arc, PoisonError, Weak};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::Engine;
use super::state::Shared;
use crate::functions::names::SessionUser;

/// Whom a table of `meta` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Who may read `meta`: its rows are of the user who asks.
    Everyone,
    /// Of these, who may read all that is published, and administrators: its rows tell of all metrics at once.
    OfAllThatIsPublished,
}

/// A table of `meta` that the engine reads without knowing what it is about: a trait, since its owner is above the engine.
#[async_trait]
pub trait HandedTable: Debug + Send + Sync {
    /// Returns the name in schema `meta`.
    fn name(&self) -> &'static str;

    /// Returns what a row is.
    fn description(&self) -> &'static str;

    /// Returns the columns.
    fn schema(&self) -> SchemaRef;

    /// Returns whom the table is for, where roles are configured.
    fn audience(&self) -> Audience {
        Audience::OfAllThatIsPublished
    }

    /// Returns the rows as they are now; those that [`Engine::user`] may see, where the table is for everyone.
    ///
    /// # Errors
    /// Those of its owner.
    async fn rows(&self, engine: &Engine) -> crate::error::Result<RecordBatch>;
}

impl Engine {
    /// Adds a table to schema `meta`, for the sessions that are made from then on.
    pub fn hand_over(&self, table: Arc<dyn HandedTable>) {
        self.shared.handed.write().unwrap_or_else(PoisonError::into_inner).push(table);
    }
}

/// A handed table as plans read it.
#[derive(Debug)]
pub(super) struct HandedProvider {
    pub(super) table: Arc<dyn HandedTable>,
    pub(super) shared: Weak<Shared>,
}

#[async_trait]
impl TableProvider for HandedProvider {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(shared) = self.shared.upgrade() else { return internal_err!("the engine is gone") };
        let Some(user) = state.config_options().extensions.get::<SessionUser>() else {
            return internal_err!("table \"meta.{}\" is scanned outside a query", self.table.name());
        };
        let rows = self.table.rows(&Engine::over(Arc::clone(shared.whole()), user.clone())).await;
        let rows = rows.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![rows]], self.table.schema(), projection.cloned())?)
    }
}
