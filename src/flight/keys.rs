//! Keys as clients list them: what tells rows apart, and which columns name rows of other tables.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int32Array, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, UpdateDeleteRules,
};

use super::tables;
use crate::catalog::TableId;
use crate::engine::{CATALOG, Engine, Reference};
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

/// A table that is asked for; what is not given is any.
struct Wanted {
    catalog: Option<String>,
    schema: Option<String>,
    table: String,
}

impl Wanted {
    fn is(&self, id: &TableId) -> bool {
        tables::is_in_catalog(self.catalog.as_deref())
            && self.schema.as_ref().is_none_or(|schema| *schema == id.schema)
            && self.table == id.name
    }
}

/// Which references are asked for.
pub(super) struct Asked {
    to: Option<Wanted>,
    from: Option<Wanted>,
}

impl Asked {
    /// Returns the question for those that refer to a table.
    pub(super) fn exported(command: CommandGetExportedKeys) -> Self {
        let CommandGetExportedKeys { catalog, db_schema: schema, table } = command;
        Self { to: Some(Wanted { catalog, schema, table }), from: None }
    }

    /// Returns the question for those that a table has.
    pub(super) fn imported(command: CommandGetImportedKeys) -> Self {
        let CommandGetImportedKeys { catalog, db_schema: schema, table } = command;
        Self { to: None, from: Some(Wanted { catalog, schema, table }) }
    }

    /// Returns the question for those from one table to another.
    pub(super) fn between(command: CommandGetCrossReference) -> Self {
        let to = Wanted { catalog: command.pk_catalog, schema: command.pk_db_schema, table: command.pk_table };
        let from = Wanted { catalog: command.fk_catalog, schema: command.fk_db_schema, table: command.fk_table };
        Self { to: Some(to), from: Some(from) }
    }

    fn is(&self, reference: &Reference) -> bool {
        self.to.as_ref().is_none_or(|wanted| wanted.is(&reference.to))
            && self.from.as_ref().is_none_or(|wanted| wanted.is(&reference.from))
    }
}

/// Returns the references that are asked for, in the order that the protocol has for each question.
///
/// # Errors
/// As [`Engine::references`], and `Internal` where the list cannot be made.
pub(super) async fn foreign(engine: &Engine, asked: &Asked) -> Result<RecordBatch> {
    let mut rows: Vec<Reference> =
        engine.references().await?.into_iter().filter(|reference| asked.is(reference)).collect();
    if asked.from.is_none() {
        rows.sort_by(|a, b| (&a.from, &a.column).cmp(&(&b.from, &b.column)));
    }
    let texts = |text: &dyn Fn(&Reference) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    let nothing_is_done = || -> ArrayRef {
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|_| UpdateDeleteRules::NoAction as u8)))
    };
    let columns = vec![
        texts(&|_| CATALOG.to_owned()),
        texts(&|row| row.to.schema.clone()),
        texts(&|row| row.to.name.clone()),
        texts(&|row| row.key.clone()),
        texts(&|_| CATALOG.to_owned()),
        texts(&|row| row.from.schema.clone()),
        texts(&|row| row.from.name.clone()),
        texts(&|row| row.column.clone()),
        // Every key that is referred to is one column.
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|_| 1))),
        texts(&Reference::name),
        texts(&|row| format!("{}_key", row.to.name)),
        nothing_is_done(),
        nothing_is_done(),
    ];
    RecordBatch::try_new(Arc::clone(&FOREIGN), columns)
        .map_err(|cause| Error::new(ErrorKind::Internal, "the list of keys cannot be made").with_source(cause))
}
