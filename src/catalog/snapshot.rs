//! The files that one query reads: listed once, so that every scan of the query sees the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::table::SourceTable;
use super::{Catalog, TableId, hold};
use crate::error::{Error, ErrorKind, Result};
use crate::sources::footer::Footer;

/// The files of the tables that a query reads, found when they are first asked for.
#[derive(Debug)]
pub struct Snapshot {
    catalog: Arc<Catalog>,
    tables: Mutex<HashMap<TableId, Arc<Vec<Footer>>>>,
}

impl Snapshot {
    /// Returns a snapshot in which nothing is listed yet.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, tables: Mutex::default() }
    }

    /// Returns the catalog that the snapshot is of.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Returns the footers of a table's files; none where the table is missing.
    ///
    /// # Errors
    /// `Source` where a file that was added since does not hold what the contract asks for.
    pub async fn footers(&self, table: &SourceTable) -> Result<Arc<Vec<Footer>>> {
        if let Some(known) = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(&table.id) {
            return Ok(Arc::clone(known));
        }
        let Some(place) = table.source else { return Ok(Arc::default()) };
        let (source, _) = &self.catalog.sources[place];
        let mut listed = source.tables().await?;
        let mut found = Vec::new();
        let of_source = || self.catalog.tables().filter(|other| other.source == Some(place));
        // A disk that is not mounted looks like a company without a past.
        if !of_source().any(|other| listed.contains_key(&other.id.name)) {
            return Err(Error::new(ErrorKind::Source, format!("source \"{}\": all its tables are gone", source.name))
                .with_hint("is the location still there, and can it be read?"));
        }
        for other in of_source() {
            let files = listed.remove(&other.id.name).unwrap_or_default();
            let (footers, mut problems) = self.catalog.footers.read(source, &files, &self.catalog.metadata_cache).await;
            problems.extend(match other.contract {
                Some(contract) => hold::problems(contract, &footers),
                None => hold::raw_problems(other.arrow_schema(), &footers),
            });
            // A table that the query does not read may be broken without the query failing.
            if other.id == table.id
                && let Some(error) = Error::list(
                    ErrorKind::Source,
                    "the source does not hold what the contract asks for",
                    problems.clone(),
                )
            {
                return Err(error);
            }
            if problems.is_empty() {
                found.push((other.id.clone(), Arc::new(footers)));
            }
        }
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, footers) in found {
            tables.entry(id).or_insert(footers);
        }
        Ok(tables.get(&table.id).cloned().unwrap_or_default())
    }
}
