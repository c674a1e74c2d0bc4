//! Schema `information_schema`: the engine's own tables, and the keys that BI tools look for beside them.

use std::sync::{Arc, Weak};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::MemTable;

use super::schemas::TopLevel;
use super::state::Shared;
use super::{CATALOG, Engine};
use crate::auth::ANONYMOUS;
use crate::catalog::TableId;
use crate::error::Error;
use crate::functions::names::SessionUser;

/// The constraints: a row for each key.
const CONSTRAINTS: &str = "table_constraints";

/// The columns of keys: a row for each.
const KEY_COLUMNS: &str = "key_column_usage";

/// `information_schema` with the two tables that the engine does not have.
#[derive(Debug)]
pub(super) struct Information {
    shared: Weak<Shared>,
    engine: InformationSchemaProvider,
}

impl Information {
    pub(super) fn new(shared: Weak<Shared>) -> Self {
        let engine = InformationSchemaProvider::new(Arc::new(TopLevel::new(Weak::clone(&shared))));
        Self { shared, engine }
    }

    /// Returns every key, with its columns in order: the tables' own, then those that refer to others.
    async fn keys(&self) -> Result<Vec<Key>> {
        let Some(shared) = self.shared.upgrade() else { return Ok(Vec::new()) };
        let engine = Engine::over(shared, SessionUser::owner(ANONYMOUS));
        let tables = engine.tables().await.map_err(external)?;
        let own = tables.into_iter().filter(|table| !table.key.is_empty()).map(|table| Key {
            name: format!("{}_key", table.id.name),
            kind: "PRIMARY KEY",
            table: table.id,
            columns: table.key,
        });
        let references = engine.references().await.map_err(external)?;
        let references = references.into_iter().map(|reference| Key {
            name: reference.name(),
            kind: "FOREIGN KEY",
            table: reference.from,
            columns: vec![reference.column],
        });
        Ok(own.chain(references).collect())
    }
}

#[async_trait]
impl SchemaProvider for Information {
    fn table_names(&self) -> Vec<String> {
        let own = [CONSTRAINTS, KEY_COLUMNS].map(str::to_owned);
        self.engine.table_names().into_iter().chain(own).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(shared) = self.shared.upgrade() {
            // The engine lists names without waiting for them.
            shared.refresh().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        }
        match name {
            CONSTRAINTS => Ok(Some(constraints(&self.keys().await?)?)),
            KEY_COLUMNS => Ok(Some(key_columns(&self.keys().await?)?)),
            _ => self.engine.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        [CONSTRAINTS, KEY_COLUMNS].contains(&name) || self.engine.table_exist(name)
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A key of a table.
struct Key {
    name: String,
    kind: &'static str,
    table: TableId,
    columns: Vec<String>,
}

fn constraints(keys: &[Key]) -> Result<Arc<dyn TableProvider>> {
    let texts = |text: &dyn Fn(&Key) -> String| texts(keys.iter().map(text));
    table(vec![
        ("constraint_catalog", texts(&|_| CATALOG.to_owned())),
        ("constraint_schema", texts(&|key| key.table.schema.clone())),
        ("constraint_name", texts(&|key| key.name.clone())),
        ("table_catalog", texts(&|_| CATALOG.to_owned())),
        ("table_schema", texts(&|key| key.table.schema.clone())),
        ("table_name", texts(&|key| key.table.name.clone())),
        ("constraint_type", texts(&|key| key.kind.to_owned())),
    ])
}

fn key_columns(keys: &[Key]) -> Result<Arc<dyn TableProvider>> {
    let places = |key: &Key| 1..=i64::try_from(key.columns.len()).unwrap_or(i64::MAX);
    let of_key =
        |text: &dyn Fn(&Key) -> String| texts(keys.iter().flat_map(|key| key.columns.iter().map(|_| text(key))));
    table(vec![
        ("constraint_catalog", of_key(&|_| CATALOG.to_owned())),
        ("constraint_schema", of_key(&|key| key.table.schema.clone())),
        ("constraint_name", of_key(&|key| key.name.clone())),
        ("table_catalog", of_key(&|_| CATALOG.to_owned())),
        ("table_schema", of_key(&|key| key.table.schema.clone())),
        ("table_name", of_key(&|key| key.table.name.clone())),
        ("column_name", texts(keys.iter().flat_map(|key| key.columns.iter().cloned()))),
        ("ordinal_position", Arc::new(Int64Array::from_iter_values(keys.iter().flat_map(places)))),
    ])
}

fn texts(texts: impl Iterator<Item = String>) -> ArrayRef {
    // Collected first, because an array wants to know how many there are.
    Arc::new(StringArray::from(texts.collect::<Vec<_>>()))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Result<Arc<dyn TableProvider>> {
    let fields: Vec<_> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), HAS_NO_NULL)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, column)| column).collect())?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// No column of these tables is ever NULL.
const HAS_NO_NULL: bool = false;
