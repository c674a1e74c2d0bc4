//! Which files of the warehouse somebody can still ask for, and taking away those that nobody can.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::folder::UNFINISHED;
use super::{Lake, Table};
use crate::error::{Error, ErrorKind, Result};

/// The folder of a table's log, all of which belongs to its versions.
const LOG: &str = "_delta_log";

/// Files that are taken away at the same time: enough to hide the latency of an object store.
const REMOVALS_MAX: usize = 16;

/// A file that has not changed for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldFile {
    /// Its path in the warehouse.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
}

impl OldFile {
    /// Returns whether its writer died before it was whole.
    pub fn is_unfinished(&self) -> bool {
        self.path.contains(UNFINISHED)
    }
}

impl Lake {
    /// Returns the files below a folder that were last written before an instant, those of logs left out.
    ///
    /// # Errors
    /// `Storage` where the folder cannot be listed.
    pub async fn old_files(&self, folder: &str, before_micros: i64) -> Result<Vec<OldFile>> {
        let listed: Vec<_> = self.store().list(Some(&Path::from(folder))).try_collect().await.map_err(
            |cause: object_store::Error| {
                Error::new(ErrorKind::Storage, format!("folder \"{folder}\" of the warehouse cannot be listed"))
                    .with_source(cause)
            },
        )?;
        let files = listed.into_iter().filter(|meta| meta.last_modified.timestamp_micros() < before_micros);
        let files = files.map(|meta| OldFile { path: meta.location.to_string(), bytes: meta.size });
        let is_log = |file: &OldFile| Path::from(file.path.as_str()).parts().any(|part| part.as_ref() == LOG);
        Ok(files.filter(|file| file.is_unfinished() || !is_log(file)).collect())
    }

    /// Takes files away.
    ///
    /// # Errors
    /// `Storage` where one cannot be taken away; others may be gone by then.
    pub async fn remove(&self, files: &[OldFile]) -> Result<()> {
        let removals: Vec<BoxFuture<'_, Result<()>>> = files.iter().map(|file| self.remove_one(file).boxed()).collect();
        stream::iter(removals).buffer_unordered(REMOVALS_MAX).try_collect::<Vec<()>>().await.map(|_| ())
    }

    async fn remove_one(&self, file: &OldFile) -> Result<()> {
        match self.store().delete(&Path::from(file.path.as_str())).await {
            // Another has taken it away.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(Error::new(ErrorKind::Storage, format!("file \"{}\" cannot be taken away", file.path))
                .with_source(cause)),
        }
    }
}

impl Table {
    /// Returns the paths in the warehouse of the files of some versions.
    ///
    /// # Errors
    /// `Storage` where one of the versions cannot be read, or is not there.
    pub async fn files_of(&self, versions: &BTreeSet<u64>) -> Result<BTreeSet<String>> {
        let mut files = BTreeSet::new();
        for version in versions {
            let found = self.at(*version).await?.ok_or_else(|| {
                Error::new(ErrorKind::Storage, format!("version {version} of table \"{}\" is gone", self.label))
                    .with_hint("restore the warehouse from a backup: the ledger names it")
            })?;
            files.extend(found.files.iter().map(|file| file.meta.location.to_string()));
        }
        Ok(files)
    }
}
