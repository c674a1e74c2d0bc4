//! The log of a table: its versions, and the one way to add another.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use deltalake::kernel::{Action, Remove};
use deltalake::logstore::{StorageConfig, commit_uri_from_version, default_logstore};
use deltalake::{DeltaTable, DeltaTableError, checkpoints};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use url::Url;

use super::change::{Change, Commit, ROWS, Removal, WRITE, WriteId};
use super::types::readable;
use super::{Lake, LakeTable};
use crate::error::{Error, ErrorKind, Result};
use crate::sources::SourceFile;

/// After so many commits the log is written in one piece, so that a reader opens few files.
const COMMITS_OF_A_CHECKPOINT: u64 = 20;

/// A table of the warehouse, whether it exists or not. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    pub(super) lake: Lake,
    /// Schema and name, for messages.
    pub(super) label: String,
    pub(super) folder: Path,
    /// The warehouse's store, seen from the table's folder.
    pub(super) store: Arc<dyn ObjectStore>,
    url: Url,
}

/// What the log of a table says at a version.
#[derive(Debug, Clone)]
pub struct TableVersion {
    /// The version, from 0.
    pub version: u64,
    /// The columns as plans read them.
    pub schema: SchemaRef,
    /// The names of the columns by which its files are divided.
    pub partitioned_by: Vec<String>,
    /// The table's properties.
    pub properties: BTreeMap<String, String>,
    /// The bytes of its files.
    pub bytes: u64,
    pub(super) files: Vec<SourceFile>,
    pub(super) protocol: String,
    pub(super) delta: DeltaTable,
}

impl TableVersion {
    /// Returns the paths of the files below the table's folder.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.delta.snapshot().ok().into_iter().flat_map(|state| {
            let paths: Vec<String> = state.log_data().iter().map(|file| file.path().into_owned()).collect();
            paths
        })
    }

    pub(super) fn removals(&self, removal: &Removal) -> Result<Vec<Remove>> {
        let state = self.delta.snapshot().map_err(|cause| {
            Error::new(ErrorKind::Internal, "the version of a table is not loaded").with_source(cause)
        })?;
        let is_removed = |path: &str| match removal {
            Removal::Nothing => false,
            Removal::All => true,
            Removal::Paths(paths) => paths.contains(path),
        };
        let files = state.log_data().into_iter().filter(|file| is_removed(&file.path()));
        Ok(files.map(|file| file.remove_action(CHANGES_DATA)).collect())
    }
}

/// No version is asked for but the newest.
const NEWEST: Option<u64> = None;

/// A file that is taken out takes its rows with it.
const CHANGES_DATA: bool = true;

impl Table {
    pub(super) fn new(lake: Lake, schema: &str, name: &str) -> Result<Self> {
        let folder = Path::from_iter([schema, name]);
        // Nothing looks at the scheme: all goes through the store that is handed over.
        let url = Url::parse(&format!("memory:///{folder}/"))
            .map_err(|cause| Error::new(ErrorKind::Internal, "a table has no URL").with_source(cause))?;
        let store = Arc::new(PrefixStore::new(Arc::clone(lake.store()), folder.clone()));
        Ok(Self { lake, label: format!("{schema}.{name}"), folder, store, url })
    }

    /// Returns the newest version; `None` where the table was never made. Opens nothing that `known` has already.
    ///
    /// # Errors
    /// `Storage` where the log cannot be read, `Unsupported` where another program wrote what cannot be read here.
    pub async fn latest(&self, known: Option<&Arc<TableVersion>>) -> Result<Option<Arc<TableVersion>>> {
        let Some(known) = known else { return self.load(NEWEST).await };
        let (of_known, of_next) =
            (commit_uri_from_version(Some(known.version)), commit_uri_from_version(Some(known.version + 1)));
        match tokio::join!(self.store.head(&of_known), self.store.head(&of_next)) {
            // Somebody took the folder away.
            (Err(object_store::Error::NotFound { .. }), _) => self.load(NEWEST).await,
            (Ok(_), Err(object_store::Error::NotFound { .. })) => Ok(Some(Arc::clone(known))),
            (Err(cause), _) | (_, Err(cause)) => Err(self.unreadable().with_source(cause)),
            (Ok(_), Ok(_)) => {
                let mut delta = known.delta.clone();
                delta.update_incremental(None).await.map_err(|cause| self.unreadable().with_source(cause))?;
                self.version_of(delta).map(Some)
            }
        }
    }

    /// Returns a version; `None` where there is none of the number.
    ///
    /// # Errors
    /// As [`Table::latest`].
    pub async fn at(&self, version: u64) -> Result<Option<Arc<TableVersion>>> {
        match self.store.head(&commit_uri_from_version(Some(version))).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(cause) => return Err(self.unreadable().with_source(cause)),
            Ok(_) => {}
        }
        self.load(Some(version)).await
    }

    async fn load(&self, version: Option<u64>) -> Result<Option<Arc<TableVersion>>> {
        let log = default_logstore(
            Arc::clone(&self.store),
            Arc::clone(self.lake.store()),
            &self.url,
            &StorageConfig::default(),
        );
        let mut delta = DeltaTable::new(log);
        let loaded = match version {
            Some(version) => delta.load_version(version).await,
            None => delta.load().await,
        };
        match loaded {
            Ok(()) => self.version_of(delta).map(Some),
            Err(DeltaTableError::NotATable(_) | DeltaTableError::InvalidVersion(_)) => Ok(None),
            Err(cause) => Err(self.unreadable().with_source(cause)),
        }
    }

    fn unreadable(&self) -> Error {
        Error::new(ErrorKind::Storage, format!("the log of table \"{}\" cannot be read", self.label))
            .with_hint("is the warehouse reachable and whole?")
    }

    fn version_of(&self, delta: DeltaTable) -> Result<Arc<TableVersion>> {
        let foreign = |what: &str| {
            Error::new(ErrorKind::Unsupported, format!("table \"{}\" has {what}, which are not read here", self.label))
                .with_hint("write it again without them, with the program that made it")
        };
        let state = delta.snapshot().map_err(|cause| self.unreadable().with_source(cause))?;
        let properties: BTreeMap<String, String> =
            state.metadata().configuration().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        if properties.get("delta.columnMapping.mode").is_some_and(|mode| mode != "none") {
            return Err(foreign("mapped columns"));
        }
        let (mut files, mut bytes) = (Vec::new(), 0);
        for file in state.log_data().iter() {
            if file.deletion_vector_descriptor().is_some() {
                return Err(foreign("deletion vectors"));
            }
            let size = u64::try_from(file.size()).unwrap_or(0);
            bytes += size;
            let last_modified = file.modification_datetime().map_err(|cause| self.unreadable().with_source(cause))?;
            let location = self.folder.parts().chain(file.object_store_path().parts()).collect();
            let meta = ObjectMeta { location, last_modified, size, e_tag: None, version: None };
            let label = format!("{}/{}", self.label, file.path());
            let partitions =
                file.partition_values_map().into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            files.push(SourceFile { meta, label, partitions });
        }
        files.sort_by(|a, b| a.label.cmp(&b.label));
        let version = delta.version().unwrap_or_default();
        let schema = readable(&state.snapshot().arrow_schema());
        let partitioned_by = state.metadata().partition_columns().to_vec();
        let protocol = serde_json::to_string(state.protocol()).unwrap_or_default();
        Ok(Arc::new(TableVersion { version, schema, partitioned_by, properties, bytes, files, protocol, delta }))
    }

    /// Adds a version behind `before`; `None` is a new table.
    ///
    /// Whether the commit is durable is looked up after any error, so it is `Done` although its acknowledgement was lost.
    ///
    /// # Errors
    /// `Storage` where it cannot be written, or nobody can say whether it was.
    pub async fn commit(&self, before: Option<&TableVersion>, change: &Change) -> Result<Commit> {
        let version = before.map_or(0, |before| before.version + 1);
        let bytes = change.encode(before)?;
        let once = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let written = self.store.put_opts(&commit_uri_from_version(Some(version)), bytes.into(), once).await;
        if let Err(cause) = written {
            let failed = || Error::new(ErrorKind::Storage, format!("table \"{}\" cannot be written", self.label));
            match self.entry(version).await {
                Ok(Some(entry)) if rows_of(&entry, &change.write).is_some() => {}
                Ok(Some(_)) => return Ok(Commit::Conflict),
                Ok(None) => return Err(failed().with_hint("is there room, and may it be written?").with_source(cause)),
                Err(_) => {
                    let hint = "it may have been written nonetheless: look before you write it again";
                    return Err(failed().with_hint(hint).with_source(cause));
                }
            }
        }
        if version > 0 && version.is_multiple_of(COMMITS_OF_A_CHECKPOINT) {
            self.checkpoint(version).await;
        }
        Ok(Commit::Done(version))
    }

    /// Writes the log in one piece. The commit is durable by now, and stays so where this fails.
    async fn checkpoint(&self, version: u64) {
        let written = match self.at(version).await {
            Ok(Some(table)) => {
                checkpoints::create_checkpoint(&table.delta, None).await.map_err(|cause| cause.to_string())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(cause) = written {
            tracing::warn!(table = %self.label, version, %cause, "a checkpoint of the log cannot be written");
        }
    }

    /// Returns the rows of a write, if one of the commits after `since` and up to `until` is its; `None` is from the start.
    ///
    /// # Errors
    /// `Storage` where a commit cannot be read.
    pub async fn find(&self, write: &WriteId, since: Option<u64>, until: u64) -> Result<Option<u64>> {
        for version in since.map_or(0, |since| since + 1)..=until {
            if let Some(entry) = self.entry(version).await?
                && let Some(rows) = rows_of(&entry, write)
            {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    async fn entry(&self, version: u64) -> Result<Option<Bytes>> {
        let read = async { self.store.get(&commit_uri_from_version(Some(version))).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.unreadable().with_source(cause)),
        }
    }

    /// Returns the table at a version as plans read it.
    pub fn reader(&self, version: &TableVersion) -> LakeTable {
        LakeTable::new(&self.lake, version)
    }
}

/// Returns the rows of a commit, if it is that of a write.
fn rows_of(entry: &Bytes, write: &WriteId) -> Option<u64> {
    let mut lines = entry.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Action>(line).ok());
    lines.find_map(|action| match action {
        Action::CommitInfo(info) if info.info.get(WRITE)?.as_str() == Some(&write.to_string()) => {
            info.info.get(ROWS)?.as_u64()
        }
        _ => None,
    })
}
