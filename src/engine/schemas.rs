//! The catalog as SQL sees it: schemas of source tables, models and `meta`, each made when it is first named.

use std::sync::{Arc, Weak};

use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{Column, DataFusionError};
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType, cast, lit};
use datafusion::scalar::ScalarValue;

use super::access::Scope;
use super::information::Information;
use super::native::NativeTable;
use super::published::PUBLISHED;
use super::sandbox::SANDBOX;
use super::state::Shared;
use super::{CATALOG, TableKind, access, attribution_function, faults, gate, meta};
use crate::catalog::TableId;
use crate::catalog::contract::{Contract, ContractColumn, type_name};
use crate::domain::names::nearest;
use crate::error::{Error, ErrorKind, Result};
use crate::models::sidecar::rule_columns;
use crate::models::{MODELS_ARE_WRONG, Model};

/// The list of catalogs, of which there is one.
#[derive(Debug)]
pub(super) struct TopLevel {
    shared: Weak<Shared>,
}

impl TopLevel {
    pub(super) fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }
}

impl CatalogProviderList for TopLevel {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(Schemas { shared: Weak::clone(&self.shared) }) as Arc<dyn CatalogProvider>)
    }
}

#[derive(Debug)]
struct Schemas {
    shared: Weak<Shared>,
}

impl CatalogProvider for Schemas {
    fn schema_names(&self) -> Vec<String> {
        self.shared.upgrade().map(|shared| shared.schema_names()).unwrap_or_default()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == INFORMATION_SCHEMA {
            return Some(Arc::new(Information::new(Weak::clone(&self.shared))));
        }
        let shared = self.shared.upgrade()?;
        shared.schema_names().iter().any(|known| known == name).then(|| {
            Arc::new(Tables { shared: Weak::clone(&self.shared), schema: name.to_owned() }) as Arc<dyn SchemaProvider>
        })
    }
}

#[derive(Debug)]
struct Tables {
    shared: Weak<Shared>,
    schema: String,
}

impl Tables {
    fn id(&self, name: &str) -> TableId {
        TableId { schema: self.schema.clone(), name: name.to_owned() }
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.shared.upgrade().map(|shared| shared.table_names(&self.schema)).unwrap_or_default()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(shared) = self.shared.upgrade() else { return Ok(None) };
        let error = match shared.provider(&self.id(name)).await {
            Ok(provider) => return Ok(Some(provider)),
            Err(error) => error,
        };
        // The planner looks up whatever stands in FROM, functions that return tables too.
        if error.kind() != ErrorKind::NotFound || !shared.base().table_functions().contains_key(name) {
            return Err(external(error));
        }
        if name == attribution_function::NAME {
            // The view must be planned by the time its function is called, and here it can be waited for.
            shared.provider(&attribution_function::view()).await.map_err(external)?;
        }
        Ok(None)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        let Some(shared) = self.shared.upgrade() else { return Ok(None) };
        Ok(self.table_exist(name).then(|| match shared.kind(&self.id(name)) {
            TableKind::View => TableType::View,
            TableKind::Base => TableType::Base,
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|known| known == name)
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Returns the provider of a table or view; `None` where there is none of that name.
///
/// # Errors
/// `Model` where a view does not plan or does not have the contract's columns.
pub(super) async fn make(shared: &Arc<Shared>, id: &TableId) -> Result<Option<Arc<dyn TableProvider>>> {
    match &shared.scope {
        Scope::Whole => of_whole(shared, id).await,
        Scope::Rows(sight) => match of_whole(shared, id).await? {
            Some(provider) => Ok(Some(access::with_rows_of(shared, sight, id, provider)?)),
            None => Ok(None),
        },
        Scope::Seen(seen) => seen.provider(shared, id).await,
    }
}

/// Returns the provider of a table or view as it is for whoever may read everything.
///
/// # Errors
/// As [`make`].
async fn of_whole(shared: &Arc<Shared>, id: &TableId) -> Result<Option<Arc<dyn TableProvider>>> {
    if id.schema == SANDBOX {
        return shared.sandbox.provider(shared, &id.name).await;
    }
    if id.schema == PUBLISHED {
        return shared.published.provider(shared, &id.name).await;
    }
    if id.schema == "meta" {
        return Ok(meta::table(&id.name, Arc::downgrade(shared)));
    }
    if let Some(model) = shared.models.get(id) {
        return Ok(Some(view(shared, model).await?));
    }
    Ok(shared.catalog.table(&id.schema, &id.name).map(|table| Arc::clone(table) as Arc<dyn TableProvider>))
}

async fn view(shared: &Arc<Shared>, model: &Model) -> Result<Arc<dyn TableProvider>> {
    let fault = |error: Error| {
        // The fault of a model that this one reads names that one's file already.
        if error.kind() == ErrorKind::Model {
            return error;
        }
        let named = Error::new(ErrorKind::Model, format!("{}: {error}", model.file));
        match error.hint() {
            Some(hint) => named.with_hint(hint),
            None => named,
        }
    };
    let plan = plan_of(shared, &model.sql).await.map_err(fault)?;
    if let Some(operator) = model.sidecar.operator {
        let mut beside = Vec::new();
        for name in &model.sidecar.beside {
            beside.push(plan_of(shared, &format!("select * from {name}")).await.map_err(fault)?);
        }
        return Ok(Arc::new(NativeTable::new(operator, plan, beside).map_err(faults::of_query).map_err(fault)?));
    }
    let mut plan = match Contract::get().table(&model.id.schema, &model.id.name) {
        Some(table) => with_columns(plan, &table.columns, &model.file)?,
        None if model.sidecar.rule.is_some() => with_columns(plan, &columns_of_rules(), &model.file)?,
        None => plan,
    };
    let missing = shared.missing_tables();
    if model.sidecar.needs.iter().any(|need| missing.contains(need)) {
        plan = LogicalPlanBuilder::from(plan)
            .filter(lit(false))
            .and_then(LogicalPlanBuilder::build)
            .map_err(faults::of_query)?;
    }
    Ok(Arc::new(ViewTable::new(plan, Some(model.sql.clone()))))
}

/// Plans the models of the user's folder, as the first query that reads them would.
///
/// # Errors
/// `Model` with every problem of all of them at once.
pub(super) async fn plan_custom_models(shared: &Arc<Shared>) -> Result<()> {
    let mut problems: Vec<String> = Vec::new();
    for model in shared.models.iter().filter(|model| model.is_custom) {
        let Err(error) = shared.provider(&model.id).await else { continue };
        let hint = error.hint().map_or_else(String::new, |hint| format!("; hint: {hint}"));
        // A model that others read is found wrong once for each of them.
        for problem in error.problems().map(|problem| format!("{problem}{hint}")) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    match Error::list(ErrorKind::Model, MODELS_ARE_WRONG, problems) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Returns the plan of a query that a model or an operator brings along.
///
/// # Errors
/// `Query` where it does not plan.
pub(super) async fn plan_of(shared: &Arc<Shared>, sql: &str) -> Result<LogicalPlan> {
    let statement = gate::parse_one(sql)?;
    shared.base().statement_to_plan(statement).await.map_err(faults::of_query)
}

fn columns_of_rules() -> Vec<ContractColumn> {
    let column = |(name, is_nullable, description): (&str, bool, &str)| ContractColumn {
        name: name.to_owned(),
        data_type: DataType::Utf8View,
        is_nullable,
        description: description.to_owned(),
    };
    rule_columns().map(column).collect()
}

/// Returns a plan with the columns of a contract table or of a rule, in their order and types.
///
/// # Errors
/// `Model` with every column that is missing or of a type that does not convert.
fn with_columns(plan: LogicalPlan, wanted: &[ContractColumn], file: &str) -> Result<LogicalPlan> {
    let mut problems = Vec::new();
    let mut columns = Vec::new();
    for column in wanted {
        let (name, kind_wanted) = (&column.name, &column.data_type);
        let found = plan.schema().field_with_unqualified_name(name).ok().map(|field| field.data_type().clone());
        match found {
            None if column.is_nullable => {
                columns.push(lit(ScalarValue::try_from(kind_wanted).map_err(faults::of_query)?).alias(name));
            }
            None => {
                let others = plan.schema().fields().iter().map(|field| field.name().as_str());
                let unknown = others.filter(|name| !wanted.iter().any(|column| column.name == *name));
                let hint = nearest(name, unknown).map_or_else(String::new, |near| format!("; hint: is it \"{near}\"?"));
                problems
                    .push(format!("{file}: required column \"{name}\" ({}) is missing{hint}", type_name(kind_wanted)));
            }
            Some(kind) if crate::catalog::fits(&kind, kind_wanted) => {
                columns.push(cast(Expr::Column(Column::new_unqualified(name)), kind_wanted.clone()).alias(name));
            }
            Some(kind) => problems.push(format!(
                "{file}: column \"{name}\": expected {}, found {}",
                type_name(kind_wanted),
                type_name(&kind)
            )),
        }
    }
    match Error::list(ErrorKind::Model, MODELS_ARE_WRONG, problems) {
        Some(error) => Err(error),
        None => LogicalPlanBuilder::from(plan)
            .project(columns)
            .and_then(LogicalPlanBuilder::build)
            .map_err(faults::of_query),
    }
}
