//! Schema `sandbox`: tables and views of the users' own, the only ones that may be written.
//!
//! Each name is a Delta table of the warehouse: its log says whether it is a table, a view (whose text is a property) or
//! dropped. So all that happens to a name is one commit at the place behind the last, two writers never pass each other
//! unseen, and a write that is asked for again is found in the log. `order` reads the statements, `write` carries them
//! out, `views` plans what is stored as text. Start at [`Sandbox::new`].

mod noted;
mod order;
mod plan;
mod room;
mod views;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::catalog::TableProvider;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use super::TableKind;
use super::state::Shared;
use crate::config::SandboxLimits;
use crate::domain::names::is_identifier;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Lake, Table, TableVersion};
pub use order::Exists;
pub(super) use order::{Order, SANDBOX};
pub use plan::Ingest;
pub(super) use plan::Write;
pub(super) use views::{View, behind};
pub use write::{Missing, WriteTicket};

/// The property of a log whose name was dropped.
const DROPPED: &str = "topline.dropped";

/// The property that holds a view's text.
const VIEW: &str = "topline.view";

/// The property that holds the schema of names that have none in a view's text.
const VIEW_SCHEMA: &str = "topline.view_schema";

/// Logs that are looked at at the same time: enough to hide the latency of an object store.
const LOOKS_MAX: usize = 16;

/// Writes of rows at the same time, each of which holds some hundred megabytes; others wait for their turn.
const WRITES_MAX: usize = 8;

/// The longest name: what every file system takes for a folder.
const NAME_BYTES_MAX: usize = 128;

/// The sandbox of a warehouse.
#[derive(Debug)]
pub(super) struct Sandbox {
    lake: Lake,
    limits: SandboxLimits,
    known: Mutex<BTreeMap<String, Arc<TableVersion>>>,
    swept_micros: Mutex<Option<i64>>,
    turns: Semaphore,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A table, as of a version of its log.
    Table(Arc<TableVersion>),
    /// A view.
    View(Arc<TableVersion>, View),
}

impl Entry {
    /// Returns what a version of a log stands for; `None` where the name was dropped.
    fn of(version: &Arc<TableVersion>) -> Option<Self> {
        if version.properties.contains_key(DROPPED) {
            return None;
        }
        let Some(sql) = version.properties.get(VIEW) else { return Some(Self::Table(Arc::clone(version))) };
        let schema = version.properties.get(VIEW_SCHEMA).cloned().unwrap_or_default();
        Some(Self::View(Arc::clone(version), View { sql: sql.clone(), schema }))
    }

    fn kind(&self) -> TableKind {
        match self {
            Self::Table(_) => TableKind::Base,
            Self::View(..) => TableKind::View,
        }
    }
}

impl Sandbox {
    /// Returns the sandbox of a warehouse; reads and writes nothing.
    pub(super) fn new(lake: Lake, limits: SandboxLimits) -> Self {
        let (known, swept_micros, turns) = (Mutex::default(), Mutex::default(), Semaphore::new(WRITES_MAX));
        Self { lake, limits, known, swept_micros, turns }
    }

    /// Returns the warehouse.
    pub(super) fn lake(&self) -> &Lake {
        &self.lake
    }

    fn table(&self, name: &str) -> Result<Table> {
        self.lake.table(SANDBOX, name)
    }

    fn remembered(&self, name: &str) -> Option<Arc<TableVersion>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn remember(&self, name: &str, version: &Arc<TableVersion>) {
        // A look that took longer may put an older version back; the next one goes on from there.
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::clone(version));
    }

    /// Returns the newest version of a name's log; `None` where the name was never used.
    ///
    /// # Errors
    /// `Storage` where the warehouse cannot be read.
    async fn latest(&self, name: &str) -> Result<Option<Arc<TableVersion>>> {
        if !is_identifier(name) || name.len() > NAME_BYTES_MAX {
            return Ok(None);
        }
        let latest = self.table(name)?.latest(self.remembered(name).as_ref()).await?;
        match &latest {
            Some(version) => self.remember(name, version),
            None => drop(self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(name)),
        }
        Ok(latest)
    }

    /// Returns what a name stands for now; `None` where it is free.
    ///
    /// # Errors
    /// As [`Sandbox::latest`].
    pub(super) async fn entry(&self, name: &str) -> Result<Option<Entry>> {
        Ok(self.latest(name).await?.as_ref().and_then(Entry::of))
    }

    /// Looks at every name, so that [`Sandbox::names`] lists those that there are now.
    ///
    /// # Errors
    /// As [`Sandbox::latest`].
    pub(super) async fn refresh(&self) -> Result<()> {
        let names = self.lake.names(SANDBOX).await?;
        let looks: Vec<BoxFuture<'_, Result<_>>> = names.iter().map(|name| self.latest(name).boxed()).collect();
        let _: Vec<_> = stream::iter(looks).buffer_unordered(LOOKS_MAX).try_collect().await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| names.contains(name));
        Ok(())
    }

    /// Returns the names as of the last look, with what they stand for.
    pub(super) fn names(&self) -> BTreeMap<String, TableKind> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter_map(|(name, version)| Some((name.clone(), Entry::of(version)?.kind()))).collect()
    }

    /// Returns a table or view as plans read it; `None` where there is none of that name.
    ///
    /// # Errors
    /// As [`Sandbox::latest`].
    pub(super) async fn provider(&self, shared: &Arc<Shared>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.entry(name).await? {
            None => Ok(None),
            Some(Entry::Table(version)) => Ok(Some(Arc::new(self.table(name)?.reader(&version)))),
            Some(Entry::View(version, view)) => Ok(Some(views::provider(shared, name, &view, &version.schema).await)),
        }
    }
}

/// Refuses a name that is none of a table.
///
/// # Errors
/// `Argument` where it has other letters than small ones, or is too long.
fn require_name(name: &str) -> Result<()> {
    if is_identifier(name) && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Argument, format!("\"{name}\" is no name of a table of the sandbox")).with_hint(format!(
        "a name has small letters, digits and _, starts with a letter, and is up to {NAME_BYTES_MAX} letters long"
    )))
}
