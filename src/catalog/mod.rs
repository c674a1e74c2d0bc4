//! The catalog: which tables there are, what they must hold, and whether they do. Knows no metric.
//!
//! [`contract`] is what the source tables must look like; `hold` holds footers against it, [`values`] the values that
//! footers do not settle. [`table`] is a table as plans read it; [`snapshot`] the files that one query reads. Start at
//! [`Catalog::open`].

pub mod contract;
mod hold;
pub mod snapshot;
pub mod table;
pub mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::cache::cache_manager::FileMetadataCache;

use crate::config::{Config, Connector};
use crate::error::{Error, ErrorKind, Result};
use crate::sources::footer::Footers;
use crate::sources::table::merged_schema;
use crate::sources::{Source, SourceFile};
use contract::{Contract, ContractTable};
use table::SourceTable;

/// Schema and name of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId {
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for TableId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// The sources of a configuration, opened and held against the contract.
#[derive(Debug)]
pub struct Catalog {
    sources: Vec<(Source, Connector)>,
    tables: BTreeMap<TableId, Arc<SourceTable>>,
    footers: Footers,
    metadata_cache: Arc<FileMetadataCache>,
}

/// What was found of a source table when the catalog was opened.
#[derive(Debug, Clone)]
pub struct TableState {
    /// The table.
    pub id: TableId,
    /// What it must hold; `None` for raw tables.
    pub contract: Option<&'static ContractTable>,
    /// Files, rows and bytes; `None` where the table is missing.
    pub found: Option<Found>,
}

/// Size of a table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    /// Files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// When one of them was changed last, in microseconds since 1970-01-01 UTC.
    pub newest_micros: i64,
}

impl Catalog {
    /// Opens the sources and holds every table's footers against the contract.
    ///
    /// # Errors
    /// `Source` with every problem of every table at once: locations without a table, unreadable files, missing
    /// columns, wrong types.
    pub async fn open(config: &Config, metadata_cache: Arc<FileMetadataCache>) -> Result<Self> {
        let mut catalog =
            Self { sources: Vec::new(), tables: BTreeMap::new(), footers: Footers::default(), metadata_cache };
        let mut problems = Vec::new();
        let mut first_failure: Option<Error> = None;
        for source in &config.sources {
            match Source::open(source, &config.storage_options).await {
                Ok(opened) => catalog.sources.push((opened, source.connector)),
                Err(error) => {
                    problems.push(with_hint(&error));
                    first_failure.get_or_insert(error);
                }
            }
        }
        for (place, (source, connector)) in catalog.sources.clone().into_iter().enumerate() {
            match source.tables().await {
                Ok(found) => problems.extend(catalog.add_source(place, &source, connector, found).await),
                Err(error) => {
                    problems.push(with_hint(&error));
                    first_failure.get_or_insert(error);
                }
            }
        }
        for table in Contract::get().tables() {
            let id = TableId { schema: table.schema.clone(), name: table.name.clone() };
            catalog.tables.entry(id.clone()).or_insert_with(|| Arc::new(SourceTable::missing(id, table)));
        }
        match Error::list(ErrorKind::Source, "the sources do not hold what the contract asks for", problems) {
            Some(error) => Err(match first_failure {
                Some(failure) => error.with_source_of(&failure),
                None => error,
            }),
            None => Ok(catalog),
        }
    }

    async fn add_source(
        &mut self,
        place: usize,
        source: &Source,
        connector: Connector,
        found: BTreeMap<String, Vec<SourceFile>>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let contract = Contract::get();
        let names: Vec<String> = found.keys().cloned().collect();
        let mut tables = 0;
        for (name, files) in found {
            let held_against = match connector {
                Connector::Raw => None,
                Connector::Canonical => match contract.table(&source.name, &name) {
                    Some(table) => Some(table),
                    None => continue,
                },
            };
            tables += 1;
            let (footers, faults) = self.footers.read(source, &files, &self.metadata_cache).await;
            problems.extend(faults);
            let schema: SchemaRef = match held_against {
                Some(table) => {
                    problems.extend(hold::problems(table, &footers));
                    Arc::clone(&table.arrow_schema)
                }
                None => match merged_schema(&footers) {
                    Ok(schema) => {
                        problems.extend(hold::raw_problems(&schema, &footers));
                        schema
                    }
                    Err(conflicts) => {
                        problems.extend(conflicts.iter().map(|conflict| {
                            hold::type_conflict(&conflict.label, &conflict.column, &conflict.here, &conflict.elsewhere)
                        }));
                        continue;
                    }
                },
            };
            let id = TableId { schema: source.name.clone(), name };
            self.tables.insert(id.clone(), Arc::new(SourceTable::new(id, place, schema, held_against)));
        }
        if tables == 0 {
            let found = if names.is_empty() { "no Parquet file".to_owned() } else { names.join(", ") };
            let expected: Vec<_> = contract
                .tables()
                .filter(|table| table.schema == source.name)
                .map(|table| format!("{}.parquet", table.name))
                .collect();
            problems.push(match connector {
                Connector::Canonical => format!(
                    "source \"{}\": the location holds no table of the contract; expected {} or folders of these names, found {found}",
                    source.name,
                    expected.join(", ")
                ),
                Connector::Raw => format!("source \"{}\": the location holds no Parquet file", source.name),
            });
        }
        problems
    }

    /// Returns the tables, contract tables that are missing included.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<SourceTable>> {
        self.tables.values()
    }

    /// Returns a table.
    pub fn table(&self, schema: &str, name: &str) -> Option<&Arc<SourceTable>> {
        self.tables.get(&TableId { schema: schema.to_owned(), name: name.to_owned() })
    }

    /// Returns the opened sources.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().map(|(source, _)| source)
    }

    /// Returns what is found of every table by now.
    ///
    /// # Errors
    /// `Source` or `Storage` where files that were added do not hold what they must.
    pub async fn states(self: &Arc<Self>) -> Result<Vec<TableState>> {
        let snapshot = snapshot::Snapshot::new(Arc::clone(self));
        let mut states = Vec::new();
        for table in self.tables.values() {
            let footers = snapshot.footers(table).await?;
            let found = (!footers.is_empty()).then(|| Found {
                files: footers.len() as u64,
                rows: footers.iter().map(crate::sources::footer::Footer::rows).sum(),
                bytes: footers.iter().map(|footer| footer.file.meta.size).sum(),
                newest_micros: footers
                    .iter()
                    .map(|footer| footer.file.meta.last_modified.timestamp_micros())
                    .max()
                    .unwrap_or_default(),
            });
            states.push(TableState { id: table.id.clone(), contract: table.contract, found });
        }
        Ok(states)
    }
}

/// Returns whether values of a type can become another's without loss, at least some of them.
pub fn fits(found: &arrow::datatypes::DataType, wanted: &arrow::datatypes::DataType) -> bool {
    hold::fit(found, wanted) != hold::Fit::Never
}

fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; hint: {hint}"),
        None => error.to_string(),
    }
}
