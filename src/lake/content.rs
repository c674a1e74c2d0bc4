//! What a table consists of, stated whole: a commit that does not depend on what the log had before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use deltalake::kernel::Add;
use deltalake::logstore::commit_uri_from_version;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::change::{Change, Columns, Commit, Removal, WriteId};
use super::types::readable;
use super::{LakeTable, NewFile, Table, TableVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::sources::SourceFile;

/// Commits of others that one gives way to before it gives up: more than the processes that publish ever are.
const CONFLICTS_MAX: u32 = 100;

/// A file of a table, with the values of the columns by which the files are divided.
#[derive(Debug, Clone)]
pub struct Part(Add);

impl From<NewFile> for Part {
    fn from(file: NewFile) -> Self {
        Self(file.0)
    }
}

impl Part {
    /// Returns the value of a column by which the files are divided; `None` is NULL.
    pub fn partition(&self, column: &str) -> Option<&str> {
        self.0.partition_values.get(column)?.as_deref()
    }

    fn source_file(&self, table: &Table) -> Result<SourceFile> {
        let last_modified = chrono::DateTime::from_timestamp_millis(self.0.modification_time).ok_or_else(|| {
            Error::new(ErrorKind::Storage, format!("file \"{}\" of table \"{}\" has no time", self.0.path, table.label))
        })?;
        let path = Path::from(self.0.path.as_str());
        let location = table.folder.parts().chain(path.parts()).collect();
        let size = u64::try_from(self.0.size).unwrap_or(0);
        let values = self.0.partition_values.clone();
        Ok(SourceFile {
            meta: ObjectMeta { location, last_modified, size, e_tag: None, version: None },
            label: format!("{}/{}", table.label, self.0.path),
            partitions: values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        })
    }
}

/// What a table is to consist of.
#[derive(Debug)]
pub struct Content {
    /// The write.
    pub write: WriteId,
    /// What it is, as the table's history shows it.
    pub operation: &'static str,
    /// Microseconds since 1970-01-01 UTC.
    pub at_micros: i64,
    /// The columns.
    pub columns: Columns,
    /// All files, those that are there already and those that are new.
    pub parts: Vec<Part>,
    /// The rows of those that are new.
    pub rows: u64,
}

impl TableVersion {
    /// Returns the files.
    ///
    /// # Errors
    /// `Internal` where the version is not loaded.
    pub fn parts(&self) -> Result<Vec<Part>> {
        let state = self.delta.snapshot().map_err(|cause| {
            Error::new(ErrorKind::Internal, "the version of a table is not loaded").with_source(cause)
        })?;
        let parts = state.log_data().into_iter().map(|file| {
            Part(Add {
                path: file.path().into_owned(),
                partition_values: file.partition_values_map(),
                size: file.size(),
                modification_time: file.modification_time(),
                data_change: true,
                stats: file.stats(),
                tags: None,
                deletion_vector: None,
                base_row_id: None,
                default_row_commit_version: None,
                clustering_provider: None,
            })
        });
        Ok(parts.collect())
    }
}

impl Table {
    /// Returns some files of the table as plans read them.
    ///
    /// # Errors
    /// `Storage` where a file's entry in the log is wrong.
    pub fn reader_of(&self, schema: &SchemaRef, parts: &[Part]) -> Result<LakeTable> {
        let files = parts.iter().map(|part| part.source_file(self)).collect::<Result<Vec<_>>>()?;
        Ok(LakeTable::of(&self.lake, readable(schema), files))
    }

    /// Adds a version that consists of the given files and no others, whatever the log has before it; returns its number.
    ///
    /// What a process that died left in the log is so never seen, unless somebody asks for just that version.
    ///
    /// # Errors
    /// `Storage` as of [`Table::commit`], `Limit` where others commit all the time.
    pub async fn replace(&self, content: &Content) -> Result<u64> {
        let mut latest: Option<Arc<TableVersion>> = None;
        for _ in 0..CONFLICTS_MAX {
            // To look for the newest of no versions is an error to the log's reader, which says so on its own.
            if latest.is_some() || self.has_versions().await? {
                latest = self.latest(latest.as_ref()).await?;
            }
            if let Commit::Done(version) = self.commit(latest.as_deref(), &content.change(latest.as_deref())).await? {
                return Ok(version);
            }
        }
        Err(Error::new(ErrorKind::Limit, format!("too many write to \"{}\" at the same time", self.label))
            .with_hint("try again; nothing was published"))
    }
}

impl Table {
    async fn has_versions(&self) -> Result<bool> {
        match self.store.head(&commit_uri_from_version(Some(0))).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(cause) => {
                Err(Error::new(ErrorKind::Storage, format!("the log of table \"{}\" cannot be read", self.label))
                    .with_hint("is the warehouse reachable and whole?")
                    .with_source(cause))
            }
        }
    }
}

impl Content {
    fn change(&self, before: Option<&TableVersion>) -> Change {
        let there: BTreeSet<String> = before.map(|before| before.paths().collect()).unwrap_or_default();
        let wanted: BTreeSet<&str> = self.parts.iter().map(|part| part.0.path.as_str()).collect();
        let added = self.parts.iter().filter(|part| !there.contains(&part.0.path));
        let is_same = before.is_some_and(|before| {
            before.schema == readable(&self.columns.schema) && before.partitioned_by == self.columns.partitioned_by
        });
        Change {
            write: self.write.clone(),
            operation: self.operation,
            at_micros: self.at_micros,
            rows: self.rows,
            columns: (!is_same).then(|| self.columns.clone()),
            added: added.map(|part| NewFile(part.0.clone())).collect(),
            removal: Removal::Paths(there.iter().filter(|path| !wanted.contains(path.as_str())).cloned().collect()),
            information: Default::default(),
        }
    }
}
