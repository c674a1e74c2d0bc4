//! Schema `published`: what the newest entry of the ledger names, a Delta table for each metric.
//!
//! A table's own log says nothing about what is published: readers take the versions that one entry names, so that all
//! tables change at the same moment, and a query looks at one entry for all of them. Writing is not done here. Start at
//! `Published::open`; [`entry`] is what stands in the ledger, `provider` a table as plans read it, `stand_in` one
//! in the place of a view, `history` what `meta` tells of it.

mod acceleration;
pub mod basis;
pub mod entry;
mod history;
mod provider;
mod reading;
mod rest;
pub mod scope;
mod stand_in;
pub mod view;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use chrono::DateTime;
use datafusion::catalog::TableProvider;
use futures::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;

use super::state::Shared;
use crate::catalog::TableId;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Lake, Ledger, TableVersion};
use crate::metrics;
pub(super) use acceleration::Acceleration;
use entry::{Deed, Entry};
pub use history::restatements;
pub(super) use history::{TABLES, month_rows, months, run_rows, runs};
pub(super) use provider::{Pin, PublishedTable};
pub use rest::Rest;
pub use stand_in::{StandIn, StandIns};

/// The schema of what is published.
pub const PUBLISHED: &str = "published";

/// The folder of the warehouse with what topline keeps for itself.
pub const OWN_FOLDER: &str = "_topline";

/// The name of the table of restatements in [`OWN_FOLDER`].
pub const RESTATEMENTS: &str = "restatements";

/// The column with the run that wrote a row.
pub const RUN_ID: &str = "_run_id";

/// The column with the month of a row, where the metric has none of the name.
pub const MONTH: &str = "_month";

/// The folder of documents that are named by their hash.
pub const INPUTS: &str = "_topline/inputs";

/// The folder of the ledger.
pub const LEDGER: &str = "_topline/ledger";

/// Versions of tables that are remembered: a few entries of some dozens of metrics.
const VERSIONS_MAX: usize = 256;

/// Entries that `meta.runs` shows, the newest: some years of daily runs, and more than anyone reads.
const RUNS_MAX: u64 = 5_000;

/// Entries that are read at the same time: enough to hide the latency of an object store.
const READS_MAX: usize = 16;

/// What is published, as readers see it.
#[derive(Debug)]
pub(super) struct Published {
    lake: Lake,
    ledger: Ledger,
    newest: Mutex<Option<Arc<Entry>>>,
    versions: Mutex<HashMap<(String, u64), Arc<TableVersion>>>,
    /// What was done, by the number of the entry.
    past: Mutex<BTreeMap<u64, Arc<Deed>>>,
}

impl Published {
    /// Returns what is published in a warehouse; reads nothing.
    pub(super) fn open(lake: &Lake) -> Self {
        let ledger = lake.ledger(LEDGER);
        let (newest, versions, past) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { lake: lake.clone(), ledger, newest, versions, past }
    }

    /// Returns the ledger.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the newest entry; `None` while nothing was ever published.
    ///
    /// # Errors
    /// `Storage` where the ledger cannot be read.
    pub(super) async fn newest(&self) -> Result<Option<Arc<Entry>>> {
        let known = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let number = self.ledger.newest(known.as_ref().map(|known| known.number)).await?;
        let Some(number) = number else { return Ok(None) };
        if let Some(known) = known.filter(|known| known.number == number) {
            return Ok(Some(known));
        }
        let entry = Arc::new(self.read(number).await?);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        // A look that took longer must not put an older entry back.
        if newest.as_ref().is_none_or(|newest| newest.number < number) {
            *newest = Some(Arc::clone(&entry));
        }
        Ok(Some(entry))
    }

    /// Returns an entry.
    ///
    /// # Errors
    /// `NotFound` where there is none of the number, `Storage` where it cannot be read.
    pub(super) async fn read(&self, number: u64) -> Result<Entry> {
        self.document(number).await
    }

    /// Returns an entry, or what of it the type asks for.
    async fn document<T: DeserializeOwned>(&self, number: u64) -> Result<T> {
        let document: Bytes = self.ledger.read(number).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("version {number} of what is published does not exist"))
                .with_hint("select version, at, kind from meta.runs lists them")
        })?;
        serde_json::from_slice(&document).map_err(|cause| {
            Error::new(ErrorKind::Storage, format!("entry {number} of the ledger cannot be read"))
                .with_hint("was it written by a newer topline, or changed by hand?")
                .with_source(cause)
        })
    }

    /// Returns what was done, the oldest first; of very many deeds the newest.
    ///
    /// # Errors
    /// `Storage` where the ledger cannot be read.
    pub(super) async fn deeds(&self) -> Result<Vec<Arc<Deed>>> {
        let Some(newest) = self.newest().await? else { return Ok(Vec::new()) };
        let numbers = newest.number.saturating_sub(RUNS_MAX - 1)..=newest.number;
        let unknown: Vec<u64> = {
            let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.clone().filter(|number| !past.contains_key(number)).collect()
        };
        // Thousands of states do not fit into memory.
        let reads = unknown.into_iter().map(|number| self.document(number));
        let read: Vec<Deed> = stream::iter(reads).buffer_unordered(READS_MAX).try_collect().await?;
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.extend(read.into_iter().map(|deed| (deed.number, Arc::new(deed))));
        past.retain(|number, _| numbers.contains(number));
        Ok(past.values().cloned().collect())
    }

    /// Returns when an entry was written.
    async fn written_at(&self, number: u64) -> Result<i64> {
        let known = self.past.lock().unwrap_or_else(PoisonError::into_inner).get(&number).map(|entry| entry.at_micros);
        match known {
            Some(at_micros) => Ok(at_micros),
            None => Ok(self.document::<Deed>(number).await?.at_micros),
        }
    }

    /// Returns the entry that was the newest at an instant. Where clocks differed it is one of those that were written
    /// before the instant and followed by one that was written after it.
    async fn at_time(&self, text: &str) -> Result<Entry> {
        let instant = DateTime::parse_from_rfc3339(text).map_err(|_| {
            Error::new(
                ErrorKind::Argument,
                format!("expected an instant such as 2026-11-01T00:00:00Z, found \"{text}\""),
            )
        })?;
        let micros = instant.timestamp_micros();
        let nothing = || {
            Error::new(ErrorKind::NotFound, format!("nothing was published at {text}"))
                .with_hint("select version, at from meta.runs tells since when something is")
        };
        // Entries have the order of their instants: a dozen of them are read, however many there are.
        let (mut later, mut found) = (self.newest().await?.map_or(0, |newest| newest.number + 1), None);
        let mut first = 0;
        while first < later {
            let middle = first + (later - first) / 2;
            if self.written_at(middle).await? <= micros {
                (first, found) = (middle + 1, Some(middle));
            } else {
                later = middle;
            }
        }
        self.read(found.ok_or_else(nothing)?).await
    }

    /// Returns a version of a table of the warehouse.
    ///
    /// # Errors
    /// `Storage` where it cannot be read, or is not there.
    pub(super) async fn version(&self, schema: &str, name: &str, version: u64) -> Result<Arc<TableVersion>> {
        let key = (format!("{schema}.{name}"), version);
        if let Some(known) = self.versions.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        let found = self.lake.table(schema, name)?.at(version).await?.ok_or_else(|| {
            Error::new(ErrorKind::Storage, format!("version {version} of table \"{}\" is gone", key.0))
                .with_hint("restore the warehouse from a backup: the ledger names it")
        })?;
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if versions.len() >= VERSIONS_MAX {
            versions.clear();
        }
        versions.insert(key, Arc::clone(&found));
        Ok(found)
    }

    /// Looks at the ledger, so that [`Published::names`] lists the tables that there are now.
    ///
    /// # Errors
    /// As [`Published::newest`].
    pub(super) async fn refresh(&self) -> Result<()> {
        self.newest().await.map(|_| ())
    }

    /// Returns the names of the tables as of the last look.
    pub(super) fn names(&self) -> Vec<String> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.iter().flat_map(|entry| entry.state.tables.keys().cloned()).collect()
    }

    /// Returns a table as plans read it; `None` where nothing of the name is published.
    ///
    /// `NAME@NUMBER` and `NAME@INSTANT` are the table as an entry had it.
    ///
    /// # Errors
    /// `Storage` where the warehouse cannot be read, `NotFound` and `Argument` where there is no such entry.
    pub(super) async fn provider(&self, shared: &Arc<Shared>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (metric, at) = name.split_once('@').map_or((name, None), |(metric, at)| (metric, Some(at)));
        let (entry, fixed) = match at {
            None => (self.newest().await?, None),
            Some(at) => {
                let entry = match at.parse() {
                    Ok(number) => self.read(number).await?,
                    Err(_) => self.at_time(at).await?,
                };
                let entry = Arc::new(entry);
                (Some(Arc::clone(&entry)), Some(entry))
            }
        };
        let Some(state) = entry.as_ref().and_then(|entry| entry.state.tables.get(metric)) else {
            return match (at, entry) {
                (Some(_), Some(entry)) => Err(Error::new(
                    ErrorKind::NotFound,
                    format!("metric \"{metric}\" was not published as of version {}", entry.number),
                )
                .with_hint("select version, at, metrics from meta.runs tells since when it is")),
                _ => Ok(None),
            };
        };
        let schema: SchemaRef = Arc::clone(&self.version(PUBLISHED, metric, state.version).await?.schema);
        Ok(Some(Arc::new(provider::PublishedTable::new(shared, metric, schema, fixed))))
    }
}

/// Returns the view that describes a table: a published one has the columns of its metric.
pub(super) fn described_by(id: &TableId) -> TableId {
    if id.schema == PUBLISHED {
        return TableId { schema: metrics::SCHEMA.to_owned(), name: id.name.clone() };
    }
    id.clone()
}

/// Returns what a column means that published tables have beside those of their metric.
pub(super) fn own_column(id: &TableId, column: &str) -> Option<&'static str> {
    match column {
        _ if id.schema != PUBLISHED => None,
        MONTH => Some("month that the row was published with"),
        RUN_ID => Some("run that wrote the row; meta.runs lists them"),
        _ => None,
    }
}
