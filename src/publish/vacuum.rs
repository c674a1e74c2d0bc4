//! Taking away what nobody can ask for any more: files that no version has which an entry of the ledger names.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::published::entry::State;
use crate::engine::published::{LEDGER, OWN_FOLDER, PUBLISHED, RESTATEMENTS};
use crate::error::Result;
use crate::lake::OldFile;

/// Microseconds of a day.
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What becomes of files that nobody can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// They are listed.
    AreListed,
    /// They are listed and taken away.
    AreRemoved,
}

/// What the entries of the ledger name.
#[derive(Default)]
struct Named {
    versions: BTreeMap<String, BTreeSet<u64>>,
    restatements: BTreeSet<u64>,
}

/// Returns the files that no entry of the ledger reaches and that were last written so many days ago: what runs left behind
/// that died, or gave way to others. Documents of inputs stay: they are small, and a run that is under way may name one that
/// another left.
///
/// # Errors
/// `Storage` where the warehouse cannot be read, or a version is gone that an entry names; nothing is taken away then.
pub async fn vacuum(engine: &Engine, days: u32, leftovers: Leftovers) -> Result<Vec<OldFile>> {
    let lake = engine.warehouse();
    let before_micros = engine.now_micros().saturating_sub(i64::from(days).saturating_mul(MICROS_PER_DAY));
    // Listed before the ledger is read: what a run adds in between is named then.
    let mut candidates = Vec::new();
    for folder in [PUBLISHED, OWN_FOLDER] {
        candidates.extend(lake.old_files(folder, before_micros).await?);
    }
    if candidates.is_empty() {
        return Ok(candidates);
    }
    let named = Named::of(engine).await?;
    let mut reached = BTreeSet::new();
    for (metric, versions) in &named.versions {
        reached.extend(lake.table(PUBLISHED, metric)?.files_of(versions).await?);
    }
    reached.extend(lake.table(OWN_FOLDER, RESTATEMENTS)?.files_of(&named.restatements).await?);
    candidates.retain(|file| file.is_unfinished() || is_ours(file) && !reached.contains(&file.path));
    candidates.sort_by(|a, b| a.path.cmp(&b.path));
    if leftovers == Leftovers::AreRemoved {
        lake.remove(&candidates).await?;
    }
    Ok(candidates)
}

/// Returns whether a file is of one of the folders whose files are named by entries.
fn is_ours(file: &OldFile) -> bool {
    let restatements = format!("{OWN_FOLDER}/{RESTATEMENTS}");
    [PUBLISHED, &restatements].iter().any(|folder| file.path.starts_with(&format!("{folder}/")))
        && !file.path.starts_with(&format!("{LEDGER}/"))
}

impl Named {
    async fn of(engine: &Engine) -> Result<Self> {
        let mut named = Self::default();
        let newest = engine.newest_entry().await?.map(|newest| newest.number);
        for number in 0..newest.map_or(0, |newest| newest + 1) {
            named.add(&engine.entry(number).await?.state);
        }
        Ok(named)
    }

    fn add(&mut self, state: &State) {
        for (metric, table) in &state.tables {
            self.versions.entry(metric.clone()).or_default().insert(table.version);
        }
        self.restatements.extend(state.restatements);
    }
}
