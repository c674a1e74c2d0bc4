//! What clients read of a column beside its Arrow type: SQL type, digits, origin and meaning.

use std::collections::HashMap;

use arrow::datatypes::{Field, Schema};

use super::types::sql_type;
use crate::engine::{CATALOG, TableListing};

const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";
const PRECISION: &str = "ARROW:FLIGHT:SQL:PRECISION";
const SCALE: &str = "ARROW:FLIGHT:SQL:SCALE";
const IS_AUTO_INCREMENT: &str = "ARROW:FLIGHT:SQL:IS_AUTO_INCREMENT";
const IS_CASE_SENSITIVE: &str = "ARROW:FLIGHT:SQL:IS_CASE_SENSITIVE";
const IS_READ_ONLY: &str = "ARROW:FLIGHT:SQL:IS_READ_ONLY";
const IS_SEARCHABLE: &str = "ARROW:FLIGHT:SQL:IS_SEARCHABLE";
const CATALOG_NAME: &str = "ARROW:FLIGHT:SQL:CATALOG_NAME";
const SCHEMA_NAME: &str = "ARROW:FLIGHT:SQL:SCHEMA_NAME";
const TABLE_NAME: &str = "ARROW:FLIGHT:SQL:TABLE_NAME";
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";

/// Flags as the protocol writes them.
const YES: &str = "1";
const NO: &str = "0";

/// Returns the columns of a result: no meaning, because JDBC would show it as the label.
pub(super) fn of_result(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_metadata(of_type(field)));
    Schema::new(fields.collect::<Vec<_>>())
}

/// Returns the columns of a table, with their meaning.
pub(super) fn of_table(table: &TableListing) -> Schema {
    let fields = table.schema.fields().iter().zip(&table.column_descriptions).map(|(field, description)| {
        let mut metadata = of_type(field);
        metadata.insert(CATALOG_NAME.to_owned(), CATALOG.to_owned());
        metadata.insert(SCHEMA_NAME.to_owned(), table.id.schema.clone());
        metadata.insert(TABLE_NAME.to_owned(), table.id.name.clone());
        if !description.is_empty() {
            metadata.insert(REMARKS.to_owned(), description.clone());
        }
        field.as_ref().clone().with_metadata(metadata)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn of_type(field: &Field) -> HashMap<String, String> {
    let sql_type = sql_type(field.data_type());
    let is_text = sql_type.name == "VARCHAR";
    let mut metadata = HashMap::from([
        (TYPE_NAME.to_owned(), sql_type.name.to_owned()),
        (IS_AUTO_INCREMENT.to_owned(), NO.to_owned()),
        (IS_CASE_SENSITIVE.to_owned(), if is_text { YES } else { NO }.to_owned()),
        (IS_READ_ONLY.to_owned(), YES.to_owned()),
        (IS_SEARCHABLE.to_owned(), YES.to_owned()),
    ]);
    if let Some(precision) = sql_type.precision {
        metadata.insert(PRECISION.to_owned(), precision.to_string());
    }
    if let Some(scale) = sql_type.scale {
        metadata.insert(SCALE.to_owned(), scale.to_string());
    }
    metadata
}
