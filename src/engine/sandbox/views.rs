//! Views of the sandbox: planned from their text whenever they are read.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::ViewTable;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement;

use super::Entry;
use super::order::SANDBOX;
use crate::catalog::TableId;
use crate::engine::access::without_reason;
use crate::engine::gate::{self, Allowed};
use crate::engine::state::Shared;
use crate::engine::{attribution_function, faults, table_functions};
use crate::error::{Error, ErrorKind, Result};
use crate::models::tables_of;

/// A view as it is stored.
#[derive(Debug, Clone)]
pub(in crate::engine) struct View {
    /// The text of its query.
    pub sql: String,
    /// The schema of names that have none.
    pub schema: String,
}

impl View {
    fn statement(&self) -> Result<Statement> {
        match gate::parse(&self.sql)?.pop() {
            Some(Allowed::Query(statement)) => Ok(*statement),
            _ => Err(Error::new(ErrorKind::Query, "a view is one query")),
        }
    }

    /// Returns what the text names.
    fn reads(&self) -> Result<BTreeSet<TableId>> {
        tables_of(&self.statement()?, &self.schema).map_err(|fault| Error::new(ErrorKind::Query, fault))
    }

    /// Returns the plan of the text.
    ///
    /// # Errors
    /// What planning gives, and `Query` where the view reads itself or has parameters.
    pub(in crate::engine) async fn plan(&self, shared: &Arc<Shared>, name: &str) -> Result<LogicalPlan> {
        let own = TableId { schema: SANDBOX.to_owned(), name: name.to_owned() };
        let reads = self.reads()?;
        // Looked for before planning, which would never come to an end.
        if reads.contains(&own) || behind(shared, reads.clone()).await?.contains(&own) {
            return Err(Error::new(ErrorKind::Query, "the view reads itself")
                .with_hint("look at the views that it reads: one of them reads it"));
        }
        let statement = table_functions::expanded(shared, self.statement()?).await?;
        let plan = state(shared, &self.schema).statement_to_plan(statement).await.map_err(faults::of_query);
        let plan = plan.map_err(|error| shared.with_nearest_schema(error, &reads))?;
        gate::verify(&plan)?;
        if !plan.get_parameter_names().map_err(faults::of_query)?.is_empty() {
            return Err(Error::new(ErrorKind::Query, "a view has no parameters").with_hint("write the values into it"));
        }
        Ok(plan)
    }
}

fn state(shared: &Shared, schema: &str) -> SessionState {
    let mut config = shared.base().config().clone();
    schema.clone_into(&mut config.options_mut().catalog.default_schema);
    SessionStateBuilder::new_from_existing(shared.base().clone()).with_config(config).build()
}

/// Returns a view as plans read it. One that cannot be planned any more has the columns that it once had, and is an error
/// as soon as its rows are asked for, so that the others are listed all the same.
pub(super) async fn provider(
    shared: &Arc<Shared>,
    name: &str,
    view: &View,
    columns: &SchemaRef,
) -> Arc<dyn TableProvider> {
    // A view reads views: without the box the future would hold itself.
    match Box::pin(view.plan(shared, name)).await {
        Ok(plan) => Arc::new(ViewTable::new(plan, Some(view.sql.clone()))),
        // The text may name what the reader does not see, and so may the columns that it had for its maker.
        Err(error) if shared.is_of_role() => {
            tracing::info!(view = name, error = error.message(), "a role does not see what a view reads");
            let error = without_reason(&format!("view \"{SANDBOX}.{name}\""), &error);
            Arc::new(BrokenView { columns: Arc::new(Schema::empty()), error })
        }
        Err(error) => {
            let named = Error::new(error.kind(), format!("view \"{SANDBOX}.{name}\": {error}"));
            let error = match error.hint() {
                Some(hint) => named.with_hint(hint),
                None => named.with_hint(format!("create or replace view {SANDBOX}.{name} mends it")),
            };
            Arc::new(BrokenView { columns: Arc::clone(columns), error })
        }
    }
}

/// Returns tables with everything that is read behind views of the sandbox among them, themselves included.
///
/// # Errors
/// `Storage` where the warehouse cannot be read.
pub(in crate::engine) async fn behind(
    shared: &Arc<Shared>,
    tables: impl IntoIterator<Item = TableId>,
) -> Result<BTreeSet<TableId>> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<TableId> = tables.into_iter().collect();
    while let Some(id) = open.pop() {
        if !reached.insert(id.clone()) {
            continue;
        }
        if id.schema == SANDBOX
            && let Some(Entry::View(_, view)) = shared.sandbox.entry(&id.name).await?
            // One that does not parse says so when it is planned.
            && let Ok(reads) = view.reads()
        {
            let called = reads.iter().any(|table| table.name == attribution_function::NAME);
            open.extend(reads.into_iter().chain(called.then(attribution_function::view)));
        }
    }
    Ok(reached)
}

/// A view whose text does not plan any more.
#[derive(Debug)]
struct BrokenView {
    columns: SchemaRef,
    error: Error,
}

#[async_trait]
impl TableProvider for BrokenView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Err(DataFusionError::External(Box::new(self.error.clone())))
    }
}
