//! The rows of a query as they reach a client: one schema, within the limits, counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::time::{Instant, Sleep};

use super::faults;
use super::scanned::Scanning;
use super::wire_types::to_wire;
use crate::error::{Error, ErrorKind, Result};

/// What a query gave so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunStatistics {
    /// Rows that went to the client.
    pub rows: u64,
    /// Bytes of them in memory.
    pub bytes: u64,
}

/// The rows of a query. Dropping it cancels the query.
pub struct QueryStream {
    schema: SchemaRef,
    rows: SendableRecordBatchStream,
    deadline: Pin<Box<Sleep>>,
    seconds: u64,
    rows_max: Option<u64>,
    statistics: RunStatistics,
    is_done: bool,
    /// Dropped after the rows, when all that was read is counted.
    _scanning: Scanning,
}

impl QueryStream {
    pub(super) fn new(
        schema: SchemaRef,
        rows: SendableRecordBatchStream,
        deadline: Instant,
        seconds: u64,
        rows_max: Option<u64>,
        scanning: Scanning,
    ) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(deadline));
        let (statistics, is_done) = (RunStatistics::default(), false);
        Self { schema, rows, deadline, seconds, rows_max, statistics, is_done, _scanning: scanning }
    }

    /// Returns the schema that every batch has.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Returns what went out so far.
    pub fn statistics(&self) -> RunStatistics {
        self.statistics
    }

    /// Returns all rows at once; only for results that are known to be small.
    ///
    /// # Errors
    /// As the stream.
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        self.try_collect().await
    }

    fn take_in(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let batch = to_wire(batch, &self.schema)?;
        self.statistics.rows += batch.num_rows() as u64;
        self.statistics.bytes += batch.get_array_memory_size() as u64;
        if let Some(rows_max) = self.rows_max.filter(|rows_max| self.statistics.rows > *rows_max) {
            return Err(Error::new(ErrorKind::Limit, format!("the result has more than {rows_max} rows"))
                .with_hint("add a limit or a filter, or raise [limits] rows"));
        }
        Ok(batch)
    }
}

impl std::fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryStream")
            .field("schema", &self.schema)
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        if self.deadline.as_mut().poll(context).is_ready() {
            self.is_done = true;
            let seconds = self.seconds;
            return Poll::Ready(Some(Err(deadline_error(seconds))));
        }
        let next = match self.rows.poll_next_unpin(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => None,
            Poll::Ready(Some(Err(fault))) => Some(Err(faults::of_query(fault))),
            Poll::Ready(Some(Ok(batch))) => Some(self.take_in(&batch)),
        };
        self.is_done = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

/// Returns the error of a query that took too long.
pub(super) fn deadline_error(seconds: u64) -> Error {
    Error::new(ErrorKind::Limit, format!("the query ran for more than {seconds} seconds"))
        .with_hint("narrow it down, or raise [limits] query_seconds")
}
