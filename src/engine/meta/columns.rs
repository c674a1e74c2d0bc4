//! `meta.columns`: the columns of every table and view.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::common::Result;

use super::{counts, external, flags, optional_texts, texts};
use crate::catalog::TableId;
use crate::catalog::contract::{Contract, type_name};
use crate::engine::published;
use crate::engine::state::Shared;
use crate::engine::wire_types::wire_schema;

/// A column of a table or view.
struct ColumnRow {
    table: TableId,
    name: String,
    data_type: String,
    unit: Option<String>,
    description: Option<String>,
    position: u64,
    is_nullable: bool,
    is_key: bool,
}

/// Returns the rows of the table of columns.
///
/// # Errors
/// `Model` where a view does not plan, `Storage` where the warehouse cannot be read.
pub(super) async fn rows(shared: &Arc<Shared>) -> Result<Vec<ArrayRef>> {
    shared.refresh().await.map_err(external)?;
    let mut rows = Vec::new();
    for schema in shared.schema_names() {
        for name in shared.table_names(&schema) {
            let id = TableId { schema: schema.clone(), name };
            rows.extend(columns_of(shared, &id).await?);
        }
    }
    Ok(vec![
        texts(&rows, |row| row.table.schema.clone()),
        texts(&rows, |row| row.table.name.clone()),
        texts(&rows, |row| row.name.clone()),
        texts(&rows, |row| row.data_type.clone()),
        optional_texts(&rows, |row| row.unit.clone()),
        optional_texts(&rows, |row| row.description.clone()),
        counts(&rows, |row| row.position),
        flags(&rows, |row| row.is_nullable),
        flags(&rows, |row| row.is_key),
    ])
}

async fn columns_of(shared: &Arc<Shared>, id: &TableId) -> Result<Vec<ColumnRow>> {
    let provider = shared.provider(id).await.map_err(external)?;
    let sidecar = shared.models.get(&published::described_by(id)).map(|model| &model.sidecar);
    let contract = Contract::get().table(&id.schema, &id.name);
    let schema = wire_schema(&provider.schema());
    let rows = (1..).zip(schema.fields()).map(|(position, field)| {
        let doc = sidecar.and_then(|sidecar| sidecar.columns.iter().find(|doc| doc.0 == *field.name()));
        let of_contract = contract.and_then(|table| table.columns.iter().find(|column| column.name == *field.name()));
        let key =
            sidecar.map(|sidecar| &sidecar.key).filter(|key| !key.is_empty()).or(contract.map(|table| &table.key));
        // A part of a key tells no rows apart.
        let key = key.filter(|key| key.iter().all(|column| schema.column_with_name(column).is_some()));
        ColumnRow {
            table: id.clone(),
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            unit: doc.map(|doc| doc.1.unit().to_owned()),
            description: doc
                .map(|doc| doc.2.clone())
                .or_else(|| of_contract.map(|column| column.description.clone()))
                .or_else(|| published::own_column(id, field.name()).map(str::to_owned)),
            position,
            is_nullable: field.is_nullable(),
            is_key: key.is_some_and(|key| key.contains(field.name())),
        }
    });
    Ok(rows.collect())
}
