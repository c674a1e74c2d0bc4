//! Keys as clients list them. Views declare what tells their rows apart; none declares a reference to another.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::CommandGetPrimaryKeys;

use super::tables;
use crate::engine::{CATALOG, Engine};
use crate::error::{Error, ErrorKind, Result};

/// The columns of an answer on primary keys, in the protocol's types.
pub(super) static PRIMARY: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
});

/// The columns of an answer on foreign keys, in the protocol's types.
pub(super) static FOREIGN: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});

/// Returns the key of each table of a name, a row a column.
///
/// # Errors
/// `Model` where a view of that name cannot be planned.
pub(super) async fn primary(engine: &Engine, command: &CommandGetPrimaryKeys) -> Result<RecordBatch> {
    let mut rows = Vec::new();
    let is_here = tables::is_in_catalog(command.catalog.as_deref());
    for (id, _) in engine.table_names().await? {
        let is_wanted =
            id.name == command.table && command.db_schema.as_ref().is_none_or(|schema| *schema == id.schema);
        if is_here && is_wanted {
            let key = engine.table(&id).await?.key;
            rows.extend((1..).zip(key).map(|(place, column)| (id.clone(), column, place)));
        }
    }
    let texts = |text: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows.len()).map(text)))
    };
    let columns = vec![
        texts(&|_| CATALOG.to_owned()),
        texts(&|row| rows[row].0.schema.clone()),
        texts(&|row| rows[row].0.name.clone()),
        texts(&|row| rows[row].1.clone()),
        texts(&|row| format!("{}_key", rows[row].0.name)),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|(_, _, place)| *place))),
    ];
    RecordBatch::try_new(Arc::clone(&PRIMARY), columns)
        .map_err(|cause| Error::new(ErrorKind::Internal, "the list of keys cannot be made").with_source(cause))
}
