//! Carrying out a write, with what is noted of it: in the audit log, and of the query as it runs.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::order::SANDBOX;
use super::write::{WriteTicket, Wrote};
use crate::audit::{Act, AuditEntry, AuditLog};
use crate::domain::names::counted;
use crate::engine::Statement;
use crate::engine::state::Shared;
use crate::error::Result;

/// A write in the audit log: that it begins, and how it ended, also where nobody waits for its end.
pub(super) struct Noted {
    audit: Arc<AuditLog>,
    user: Arc<str>,
    object: String,
    is_open: bool,
}

impl Noted {
    /// Notes that a write begins, before it does: nothing is written that cannot be written down.
    ///
    /// # Errors
    /// `Storage` where it cannot be written down and must be.
    pub(super) fn begin(shared: &Shared, user: &Arc<str>, words: &str, name: &str) -> Result<Self> {
        let (audit, user) = (Arc::clone(&shared.audit), Arc::clone(user));
        let mut noted = Self { audit, user, object: format!("{words} {SANDBOX}.{name}"), is_open: false };
        noted.note("begun")?;
        noted.is_open = true;
        Ok(noted)
    }

    /// Notes how it ended.
    ///
    /// # Errors
    /// As [`Noted::begin`]; what was written stays.
    pub(super) fn end(mut self, written: &Result<Wrote>) -> Result<()> {
        self.is_open = false;
        match written {
            Ok(Wrote { rows, bytes: Some(bytes) }) => {
                self.note(&format!("{}, {}", counted(*rows, "row"), counted(*bytes, "byte")))
            }
            Ok(_) => self.note("done"),
            Err(error) => self.note(error.message()),
        }
    }

    fn note(&self, outcome: &str) -> Result<()> {
        let (user, object) = (Some(&*self.user), self.object.as_str());
        self.audit.record(&AuditEntry { act: Act::Written, user, address: None, object, outcome })
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if self.is_open {
            // What it fails by is in the log of the server.
            let _ = self.note("broken off: its client went away, or the server stopped");
        }
    }
}

impl Statement {
    /// Carries out a statement that writes, once for all rows of parameters, in one commit; returns how many rows it wrote.
    ///
    /// With a ticket whose write is done already, it returns what that wrote.
    ///
    /// # Errors
    /// `Query` where the rows do not fit the table or its name is taken, `NotFound` where it does not exist, `Limit` where
    /// a quota is reached, `Storage` where it cannot be written, and those of the query that gives the rows.
    pub async fn write(self, ticket: Option<WriteTicket>, parameters: Option<RecordBatch>) -> Result<u64> {
        let noted = match &self.write {
            Some(write) => Some(Noted::begin(&self.shared, &self.user(), write.words(), write.name())?),
            None => None,
        };
        let written = self.written_in_run(ticket, parameters).await;
        if let Some(noted) = noted {
            noted.end(&written)?;
        }
        written.map(|wrote| wrote.rows)
    }

    async fn written_in_run(self, ticket: Option<WriteTicket>, parameters: Option<RecordBatch>) -> Result<Wrote> {
        let Some(run) = self.run.clone() else { return self.written(ticket, parameters).await };
        run.running();
        let written = tokio::select! {
            written = self.written(ticket, parameters) => written,
            error = run.killed() => Err(error),
        };
        match &written {
            Ok(_) => run.done(),
            Err(error) => run.failed(error),
        }
        written
    }
}
