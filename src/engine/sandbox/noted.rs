//! Carrying out a write, with what is noted of it: in the audit log, and of the query as it runs.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::order::SANDBOX;
use super::write::WriteTicket;
use crate::audit::{Act, AuditEntry};
use crate::engine::Statement;
use crate::error::Result;

impl Statement {
    /// Carries out a statement that writes, once for all rows of parameters, in one commit; returns how many rows it wrote.
    ///
    /// With a ticket whose write is done already, it returns what that wrote.
    ///
    /// # Errors
    /// `Query` where the rows do not fit the table or its name is taken, `NotFound` where it does not exist, `Limit` where
    /// a quota is reached, `Storage` where it cannot be written, and those of the query that gives the rows.
    pub async fn write(self, ticket: Option<WriteTicket>, parameters: Option<RecordBatch>) -> Result<u64> {
        let (shared, user) = (Arc::clone(&self.shared), self.user());
        let object = self
            .write
            .as_ref()
            .map_or_else(String::new, |write| format!("{} {SANDBOX}.{}", write.words(), write.name()));
        let noted = |outcome: &str| {
            shared.audit.record(&AuditEntry {
                act: Act::Written,
                user: Some(&user),
                address: None,
                object: &object,
                outcome,
            })
        };
        // Before it is done, so that nothing is written that cannot be written down.
        noted("begun")?;
        let written = self.written_in_run(ticket, parameters).await;
        match &written {
            Ok(rows) => noted(&format!("{rows} rows"))?,
            Err(error) => noted(error.message())?,
        }
        written
    }

    async fn written_in_run(self, ticket: Option<WriteTicket>, parameters: Option<RecordBatch>) -> Result<u64> {
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
