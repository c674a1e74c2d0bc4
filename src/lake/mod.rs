//! The lake: Delta tables in the warehouse. The only module that names `deltalake`.
//!
//! [`Lake`] is the warehouse, [`Table`] the log of one table in it, [`TableVersion`] what a log says at a version,
//! [`Change`] a commit, [`Content`] one that states a table whole, [`TableWriter`] the way of rows into files,
//! [`Ledger`] what makes several tables change at the same moment, and [`Folder`] a store on a [`Disk`]. A commit takes
//! the one free place behind the version it was made for, so of two writers one sees the other's and decides again;
//! nothing is ever overwritten, and what a process that was killed left behind belongs to no version. Knows neither SQL
//! nor views: names and types only. Start at [`Lake::open`].

mod change;
mod content;
mod disk;
mod folder;
mod late_faults;
mod ledger;
mod leftovers;
mod plain;
mod reachable;
mod scan;
mod small;
mod table;
mod types;
mod writer;

use std::sync::Arc;

use datafusion::datasource::object_store::ObjectStoreUrl;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, parse_url_opts};

use crate::config::Location;
use crate::error::{Error, ErrorKind, Result};
use crate::sources::Source;
use crate::sources::footer::Footers;
pub use change::{Change, Columns, Commit, Removal, WriteId};
pub use content::{Content, Part};
pub use disk::{Disk, LocalDisk};
pub use folder::Folder;
pub use ledger::{Append, Ledger};
pub use leftovers::Ages;
pub use plain::{check_room, check_room_of};
pub use reachable::OldFile;
pub use scan::LakeTable;
use small::SmallTables;
pub use table::{Table, TableVersion};
pub use types::{converted, storable};
pub use writer::{NewFile, TableWriter};

/// The URL under which plans name the warehouse's store.
const URL: &str = "lake://warehouse";

/// The warehouse: folders of tables, made by the first write.
#[derive(Debug, Clone)]
pub struct Lake {
    source: Source,
    footers: Arc<Footers>,
    small: Arc<SmallTables>,
    place: String,
}

impl Lake {
    /// Opens the warehouse; reads and writes nothing.
    ///
    /// # Errors
    /// `Config` where the options of its object store are wrong.
    pub fn open(location: &Location, options: &[(String, String)]) -> Result<Self> {
        let (store, place): (Arc<dyn ObjectStore>, String) = match location {
            Location::Local(path) => {
                (Arc::new(Folder::new(path.clone(), Arc::new(LocalDisk))), path.display().to_string())
            }
            Location::Url(address) => {
                let options = options.iter().map(|(key, value)| (key.to_lowercase(), value.clone()));
                let (store, prefix) = parse_url_opts(address, options).map_err(|cause| {
                    Error::new(ErrorKind::Config, format!("the warehouse's store \"{address}\" cannot be opened"))
                        .with_hint("its options come from variables such as AWS_REGION")
                        .with_source(cause)
                })?;
                (Arc::new(PrefixStore::new(store, prefix)), address.to_string())
            }
            Location::Sample(_) => {
                return Err(Error::new(ErrorKind::Internal, "the sample is no place for a warehouse"));
            }
        };
        Self::over(store, place)
    }

    /// Returns the warehouse in a store.
    ///
    /// # Errors
    /// `Internal` where its URL is none.
    pub fn over(store: Arc<dyn ObjectStore>, place: String) -> Result<Self> {
        let url = ObjectStoreUrl::parse(URL)
            .map_err(|cause| Error::new(ErrorKind::Internal, "the warehouse has no URL").with_source(cause))?;
        let source = Source::of_store("warehouse", url, store);
        Ok(Self { source, footers: Arc::default(), small: Arc::default(), place })
    }

    /// Returns where the warehouse lies, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the URL under which plans name the store.
    pub fn url(&self) -> &ObjectStoreUrl {
        &self.source.url
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.source.store
    }

    /// Returns the names for which a schema has a folder, in their order; what is dropped keeps its folder.
    ///
    /// # Errors
    /// `Storage` where the warehouse cannot be listed.
    pub async fn names(&self, schema: &str) -> Result<Vec<String>> {
        let listed = self.store().list_with_delimiter(Some(&Path::from(schema))).await.map_err(|cause| {
            Error::new(ErrorKind::Storage, format!("warehouse \"{}\" cannot be listed", self.place)).with_source(cause)
        })?;
        let mut names: Vec<String> =
            listed.common_prefixes.iter().filter_map(|folder| folder.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// Returns the table of a name, which need not exist.
    ///
    /// # Errors
    /// `Internal` where the name has no URL.
    pub fn table(&self, schema: &str, name: &str) -> Result<Table> {
        Table::new(self.clone(), schema, name)
    }
}

#[cfg(test)]
mod tests;
