//! The rows of a query as they reach a client: one schema, within the limits, counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};

use super::faults;
use super::runs::Run;
use super::scanned::Scanning;
use super::wire_types::to_wire;
use crate::error::{Error, ErrorKind, Result};
pub(super) use crate::functions::stop::deadline_error;
use crate::lake::check_room_of;

/// What a query gave so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunStatistics {
    /// Rows that went to the client.
    pub rows: u64,
    /// Bytes of them in memory.
    pub bytes: u64,
}

/// Rows as the engine makes them, and what is read for them.
pub(super) struct Making {
    pub(super) rows: SendableRecordBatchStream,
    /// Dropped after the rows, when all that was read is counted.
    pub(super) scanning: Scanning,
}

/// How far the rows of a query may go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    pub(super) rows_max: Option<u64>,
    pub(super) bytes_max: Option<u64>,
}

/// The rows of a query. Dropping it cancels the query.
pub struct QueryStream {
    schema: SchemaRef,
    /// `None` while they are about to be made in another way: its memory is free by then.
    making: Option<Making>,
    /// What is left of rows whose values do not fit into memory all at once.
    rest: Option<RecordBatch>,
    /// Ends with the reason for which the query is ended.
    over: BoxFuture<'static, Error>,
    /// Makes the rows in another way, which takes less memory.
    otherwise: Option<BoxFuture<'static, Result<Making>>>,
    extent: Extent,
    statistics: RunStatistics,
    run: Option<Arc<Run>>,
    is_done: bool,
}

impl QueryStream {
    pub(super) fn new(
        schema: SchemaRef,
        making: Making,
        over: BoxFuture<'static, Error>,
        extent: Extent,
        run: Option<Arc<Run>>,
    ) -> Self {
        let statistics = RunStatistics::default();
        let (rest, otherwise, is_done) = (None, None, false);
        Self { schema, making: Some(making), rest, over, otherwise, extent, statistics, run, is_done }
    }

    /// Returns the rows with another way to make them, for where the first one needs too much memory.
    pub(super) fn or_else(self, otherwise: BoxFuture<'static, Result<Making>>) -> Self {
        Self { otherwise: Some(otherwise), ..self }
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

    /// Returns the first of some rows, as many as fit into memory once each has values of its own: the engine's rows share
    /// theirs, a long text of a join for example.
    fn first_of(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut first = batch.clone();
        loop {
            let kinds = self.schema.fields().iter().map(|field| field.data_type());
            match check_room_of(first.columns().iter().zip(kinds)) {
                Ok(()) => break,
                Err(error) if first.num_rows() <= 1 => return Err(error),
                Err(_) => first = first.slice(0, first.num_rows() / 2),
            }
        }
        let count = first.num_rows();
        self.rest = (count < rows).then(|| batch.slice(count, rows - count));
        Ok(first)
    }

    fn take_in(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let batch = to_wire(&self.first_of(batch)?, &self.schema)?;
        let (rows, bytes) = (batch.num_rows() as u64, batch.get_array_memory_size() as u64);
        self.statistics.rows += rows;
        self.statistics.bytes += bytes;
        if let Some(rows_max) = self.extent.rows_max.filter(|rows_max| self.statistics.rows > *rows_max) {
            return Err(Error::new(ErrorKind::Limit, format!("the result has more than {rows_max} rows"))
                .with_hint("add a limit or a filter, or raise [limits] rows"));
        }
        if let Some(bytes_max) = self.extent.bytes_max.filter(|bytes_max| self.statistics.bytes > *bytes_max) {
            return Err(Error::new(ErrorKind::Limit, format!("the result has more than {bytes_max} bytes"))
                .with_hint("add a limit or a filter, or raise [limits] result_bytes"));
        }
        if let Some(run) = &self.run {
            run.sent(rows, bytes);
        }
        Ok(batch)
    }

    /// Returns the next rows as they are made, before limits are looked at.
    fn poll_made(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(self.take_in(rest)));
        }
        loop {
            let Some(making) = self.making.as_mut() else {
                let Some(otherwise) = self.otherwise.as_mut() else { return Poll::Ready(None) };
                match ready!(otherwise.poll_unpin(context)) {
                    Ok(making) => (self.making, self.otherwise) = (Some(making), None),
                    Err(error) => {
                        self.otherwise = None;
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                continue;
            };
            return match ready!(making.rows.poll_next_unpin(context)) {
                Some(Err(fault)) => {
                    // What went out already cannot be taken back.
                    if self.statistics.rows == 0 && self.otherwise.is_some() && faults::is_of_memory(&fault) {
                        self.making = None;
                        continue;
                    }
                    Poll::Ready(Some(Err(faults::of_query(fault))))
                }
                Some(Ok(batch)) => Poll::Ready(Some(self.take_in(batch))),
                None => Poll::Ready(None),
            };
        }
    }

    /// Writes down how the query ended.
    fn end(&self, error: Option<&Error>) {
        let Some(run) = &self.run else { return };
        if let Some(Making { scanning, .. }) = &self.making {
            run.read(scanning.bytes(), scanning.spilled());
        }
        match error {
            Some(error) => run.failed(error),
            None => run.done(),
        }
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
        let next = match self.over.poll_unpin(context) {
            Poll::Ready(error) => Some(Err(error)),
            Poll::Pending => match ready!(self.poll_made(context)) {
                // Where it broke off because it was ended, why it was says more.
                Some(Err(error)) => match self.over.poll_unpin(context) {
                    Poll::Ready(reason) => Some(Err(reason)),
                    Poll::Pending => Some(Err(error)),
                },
                next => next,
            },
        };
        let next = next.map(|next| next.map_err(Error::with_id));
        self.is_done = !matches!(next, Some(Ok(_)));
        if self.is_done {
            self.end(next.as_ref().and_then(|next| next.as_ref().err()));
        }
        Poll::Ready(next)
    }
}
