//! Files that no version has any more, or never had: taken away once nobody can need them.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::folder::UNFINISHED;
use super::{Table, TableVersion};
use crate::error::{Error, ErrorKind, Result};

/// How old files must be before they are taken away, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    /// Of a file that no version has: longer than any write takes, so that it is of none that runs.
    pub unwritten_micros: i64,
    /// Since a file was taken out of the table: longer than any query takes, so that none reads it.
    pub removed_micros: i64,
}

impl Table {
    /// Takes away the files that belong to no write and no reader any more; returns how many.
    ///
    /// # Errors
    /// `Storage` where the folder cannot be listed or the log cannot be read.
    pub async fn sweep(&self, now_micros: i64, ages: Ages) -> Result<usize> {
        let failed = |cause: object_store::Error| {
            Error::new(ErrorKind::Storage, format!("the folder of table \"{}\" cannot be listed", self.label))
                .with_source(cause)
        };
        let listed: Vec<ObjectMeta> = self.store.list(None).try_collect().await.map_err(failed)?;
        let is_old = |file: &ObjectMeta| {
            now_micros - file.last_modified.timestamp_micros() > ages.unwritten_micros.min(ages.removed_micros)
        };
        let is_log = |file: &ObjectMeta| file.location.as_ref().starts_with("_delta_log/");
        let is_unfinished = |file: &ObjectMeta| file.location.as_ref().contains(UNFINISHED);
        let candidates: Vec<ObjectMeta> =
            listed.into_iter().filter(|file| is_old(file) && (!is_log(file) || is_unfinished(file))).collect();
        if candidates.is_empty() {
            return Ok(0);
        }
        // Read after the list: what a commit added in between is in use.
        let Some(version) = self.latest(None).await? else {
            return self.take_away_unwritten(candidates, now_micros, ages).await;
        };
        let used: BTreeSet<String> = version.paths().collect();
        let removed = self.removed(&version).await?;
        let mut taken = 0;
        for file in candidates.iter().filter(|file| !used.contains(file.location.as_ref())) {
            let is_over = match removed.get(file.location.as_ref()) {
                Some(at_millis) => now_micros - at_millis * 1000 > ages.removed_micros,
                None => now_micros - file.last_modified.timestamp_micros() > ages.unwritten_micros,
            };
            taken += usize::from(is_over && self.take_away(&file.location).await);
        }
        Ok(taken)
    }

    async fn take_away_unwritten(&self, candidates: Vec<ObjectMeta>, now_micros: i64, ages: Ages) -> Result<usize> {
        let mut taken = 0;
        for file in candidates {
            let is_over = now_micros - file.last_modified.timestamp_micros() > ages.unwritten_micros;
            taken += usize::from(is_over && self.take_away(&file.location).await);
        }
        Ok(taken)
    }

    async fn take_away(&self, location: &Path) -> bool {
        match self.store.delete(location).await {
            Ok(()) => true,
            Err(cause) => {
                tracing::debug!(%cause, %location, "a file that nobody needs stays for now");
                false
            }
        }
    }

    /// Returns the files that were taken out of the table, with the milliseconds at which they were.
    async fn removed(&self, version: &TableVersion) -> Result<BTreeMap<String, i64>> {
        let unreadable = |cause| {
            Error::new(ErrorKind::Storage, format!("the log of table \"{}\" cannot be read", self.label))
                .with_source(cause)
        };
        let log = version.delta.log_store();
        let state = version.delta.snapshot().map_err(unreadable)?;
        let removed: Vec<_> = state.all_tombstones(log.as_ref()).try_collect().await.map_err(unreadable)?;
        Ok(removed
            .into_iter()
            .filter_map(|file| Some((file.path().into_owned(), file.deletion_timestamp()?)))
            .collect())
    }
}
