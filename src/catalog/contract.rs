//! The contract: which columns of which types the source tables have (definitions, section 2).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Deserialize;

/// The files of the contract, by schema.
const FILES: [(&str, &str); 4] = [
    ("crm", include_str!("../../sql/contract/crm.toml")),
    ("billing", include_str!("../../sql/contract/billing.toml")),
    ("campaign", include_str!("../../sql/contract/campaign.toml")),
    ("finance", include_str!("../../sql/contract/finance.toml")),
];

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

/// All tables of the contract.
#[derive(Debug)]
pub struct Contract {
    tables: Vec<ContractTable>,
}

/// A table of the contract.
#[derive(Debug)]
pub struct ContractTable {
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// What a row is.
    pub description: String,
    /// The columns that tell rows apart; empty where nothing does.
    pub key: Vec<String>,
    /// The columns that name a row of another table by its key, and that table: `crm.accounts`.
    pub references: BTreeMap<String, String>,
    /// The column that says when a row became a fact; `None` where rows are none.
    pub fact_column: Option<String>,
    /// Whether a row is an event: one whose fact is at or after `as_of` does not exist.
    pub is_event: bool,
    /// The columns, in order.
    pub columns: Vec<ContractColumn>,
    /// The columns as Arrow types; texts are views.
    pub arrow_schema: SchemaRef,
}

/// A column of the contract.
#[derive(Debug)]
pub struct ContractColumn {
    /// The name.
    pub name: String,
    /// The Arrow type.
    pub data_type: DataType,
    /// Whether it may be NULL, or missing.
    pub is_nullable: bool,
    /// What it means.
    pub description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    description: String,
    key: Vec<String>,
    #[serde(default)]
    references: BTreeMap<String, String>,
    fact_column: Option<String>,
    #[serde(default)]
    is_event: bool,
    columns: Vec<(String, String, String)>,
}

impl Contract {
    /// Returns the contract, which the binary brings along.
    pub fn get() -> &'static Self {
        &CONTRACT
    }

    /// Returns the tables.
    pub fn tables(&self) -> impl Iterator<Item = &ContractTable> {
        self.tables.iter()
    }

    /// Returns a table.
    pub fn table(&self, schema: &str, name: &str) -> Option<&ContractTable> {
        self.tables.iter().find(|table| table.schema == schema && table.name == name)
    }

    fn read() -> Self {
        let tables = FILES
            .iter()
            .flat_map(|(schema, text)| {
                tables_of(schema, text).expect("the contract's files are built in, and a test reads them")
            })
            .collect();
        Self { tables }
    }

    /// Returns a contract that is the text of one schema.
    ///
    /// # Errors
    /// What is wrong with it, which begins with line and column.
    #[cfg(any(test, fuzzing))]
    pub fn of_text(schema: &str, text: &str) -> Result<Self, String> {
        let tables = tables_of(schema, text);
        tables.map(|tables| Self { tables }).map_err(|fault| crate::domain::toml_faults::described(text, &fault))
    }
}

/// Returns the tables of a schema's file.
fn tables_of(schema: &str, text: &str) -> Result<Vec<ContractTable>, toml::de::Error> {
    let file: BTreeMap<String, TableFile> = toml::from_str(text)?;
    Ok(file.into_iter().map(|(name, table)| ContractTable::new(schema, name, table)).collect())
}

impl ContractTable {
    fn new(schema: &str, name: String, file: TableFile) -> Self {
        let columns: Vec<_> = file
            .columns
            .into_iter()
            .map(|(name, kind, description)| ContractColumn {
                name,
                data_type: data_type(kind.trim_end_matches('?')),
                is_nullable: kind.ends_with('?'),
                description,
            })
            .collect();
        let fields: Vec<_> = columns
            .iter()
            .map(|column| Field::new(&column.name, column.data_type.clone(), column.is_nullable))
            .collect();
        Self {
            schema: schema.to_owned(),
            name,
            description: file.description,
            key: file.key,
            references: file.references,
            fact_column: file.fact_column,
            is_event: file.is_event,
            columns,
            arrow_schema: Arc::new(Schema::new(fields)),
        }
    }
}

fn data_type(kind: &str) -> DataType {
    match kind {
        "instant" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "date" => DataType::Date32,
        "money" => DataType::Decimal128(18, 2),
        "price" | "quantity" => DataType::Decimal128(18, 4),
        "percent" => DataType::Decimal128(9, 4),
        "rate" => DataType::Decimal128(18, 8),
        "double" => DataType::Float64,
        "count" => DataType::Int64,
        "flag" => DataType::Boolean,
        _ => DataType::Utf8View,
    }
}

/// Returns a type as people write it in SQL.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Dictionary(_, value) => format!("dictionary of {}", type_name(value)),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            format!("unsigned {}", data_type.to_string().to_lowercase())
        }
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Decimal128(digits, places) | DataType::Decimal256(digits, places) => {
            format!("decimal({digits},{places})")
        }
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::List(field) | DataType::LargeList(field) => format!("list of {}", type_name(field.data_type())),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_a_required_column_and_every_kind_is_known() {
        let kinds =
            ["text", "instant", "date", "money", "price", "quantity", "percent", "rate", "double", "count", "flag"];
        for (_, text) in FILES {
            let file: BTreeMap<String, TableFile> = toml::from_str(text).expect("the contract is TOML");
            for (name, table) in file {
                for (column, kind, description) in &table.columns {
                    assert!(kinds.contains(&kind.trim_end_matches('?')), "{name}.{column}: {kind}");
                    assert!(!description.is_empty(), "{name}.{column}");
                }
                let fact = table.fact_column.iter().filter(|_| table.is_event);
                assert!(!table.is_event || table.fact_column.is_some(), "{name}");
                for key in table.key.iter().chain(fact) {
                    assert!(
                        table.columns.iter().any(|(column, kind, _)| column == key && !kind.ends_with('?')),
                        "{name}.{key}"
                    );
                }
                for (column, target) in &table.references {
                    assert!(table.columns.iter().any(|(known, _, _)| known == column), "{name}.{column}");
                    let target = target.split_once('.').and_then(|(schema, name)| Contract::get().table(schema, name));
                    assert_eq!(target.map(|target| target.key.len()), Some(1), "{name}.{column}");
                }
            }
        }
        for table in Contract::get().tables() {
            if let Some(fact) = &table.fact_column {
                let column = table.columns.iter().find(|column| column.name == *fact);
                let is_time = |kind: &DataType| matches!(kind, DataType::Timestamp(..) | DataType::Date32);
                assert!(column.is_some_and(|column| is_time(&column.data_type)), "{}.{fact}", table.name);
            }
        }
        assert_eq!(Contract::get().tables().count(), 21);
    }
}
