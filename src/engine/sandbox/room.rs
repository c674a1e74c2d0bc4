//! How much the sandbox may hold, and what is taken away to make room.

use std::sync::PoisonError;

use super::order::{Exists, SANDBOX};
use super::write::WRITE_SECONDS_MAX;
use super::{Entry, Sandbox};
use crate::engine::state::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Ages;

/// How often a process looks for files that nobody needs, in microseconds: they cost room and nothing else.
const SWEEP_MICROS: i64 = 600_000_000;

impl Sandbox {
    /// Looks at every name before a write, so that quotas count what there is now, and takes away what is left of writes
    /// that died and of tables that were dropped.
    pub(super) async fn prepare(&self, shared: &Shared) -> Result<()> {
        self.refresh().await?;
        let now_micros = shared.clock.now_micros();
        {
            let mut swept = self.swept_micros.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.is_some_and(|swept| now_micros - swept < SWEEP_MICROS) {
                return Ok(());
            }
            *swept = Some(now_micros);
        }
        let micros = |seconds: u64| i64::try_from(seconds * 1_000_000).unwrap_or(i64::MAX);
        // Twice as long, because clocks of machines and of object stores differ.
        let ages = Ages {
            unwritten_micros: micros(2 * WRITE_SECONDS_MAX.max(shared.config.limits.query_seconds)),
            removed_micros: micros(2 * shared.config.limits.query_seconds),
        };
        for name in self.lake.names(SANDBOX).await? {
            // What cannot be taken away is no fault of the write.
            match self.table(&name)?.sweep(now_micros, ages).await {
                Ok(0) => {}
                Ok(files) => tracing::info!(table = name, files, "files that nobody needs were taken away"),
                Err(error) => tracing::warn!(table = name, %error, "files that nobody needs stay for now"),
            }
        }
        Ok(())
    }

    /// Refuses one table or view more than there may be.
    ///
    /// # Errors
    /// `Limit` with how many there are.
    pub(super) fn require_name_free(&self) -> Result<()> {
        let (count, most) = (self.names().len() as u64, self.limits.tables);
        if count < most {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Limit,
            format!("schema \"{SANDBOX}\" has {count} tables and views of the {most} it may have"),
        )
        .with_hint("drop some, or raise [sandbox] tables"))
    }

    /// Refuses more bytes than a table or the whole sandbox may have, were so many added to a table.
    ///
    /// # Errors
    /// `Limit` with what would be used and what may be.
    pub(super) fn require_room(&self, name: &str, exists: Exists, added: u64) -> Result<()> {
        let (mut own, mut others) = (0, 0);
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for (other, version) in known.iter().filter(|(_, version)| Entry::of(version).is_some()) {
                if other == name { own = version.bytes } else { others += version.bytes }
            }
        }
        let table = added + if exists == Exists::IsExtended { own } else { 0 };
        let refuse = |what: String, bytes: u64, most: u64, hint: &str| {
            let problem = format!("{what} would have {} of the {} it may have", in_mb(bytes), in_mb(most));
            Err(Error::new(ErrorKind::Limit, problem).with_hint(hint))
        };
        if table > self.limits.table_bytes {
            let what = format!("table \"{SANDBOX}.{name}\"");
            return refuse(what, table, self.limits.table_bytes, "write fewer rows, or raise [sandbox] table_bytes");
        }
        if table + others > self.limits.bytes {
            let what = format!("schema \"{SANDBOX}\"");
            return refuse(what, table + others, self.limits.bytes, "drop tables, or raise [sandbox] bytes");
        }
        Ok(())
    }
}

fn in_mb(bytes: u64) -> String {
    let tenths = bytes.div_ceil((1 << 20) / 10);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
