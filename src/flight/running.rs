//! The calls and the queries that run now, so that a client can cancel a query, and a shutdown can wait for them and end
//! them.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::stream::{AbortHandle, Abortable, BoxStream};
use futures::{Stream, StreamExt};
use tokio::sync::Notify;
use tonic::Status;

use super::guard::note_status;
use crate::engine::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::traces::Span;

/// The number of a query: it stands in the ticket, and what is cancelled is named by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueryId(pub(super) u64);

/// The calls of this server, and its streams by query.
#[derive(Debug, Default)]
pub(super) struct Running {
    calls: AtomicUsize,
    call_ended: Notify,
    is_draining: AtomicBool,
    // Keyed at random, so that an id of another process or an earlier one does not name a query of this one.
    ids: RandomState,
    next: AtomicU64,
    is_stopping: AtomicBool,
    streams: Mutex<BTreeMap<(QueryId, u64), AbortHandle>>,
}

impl Running {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Counts a call as running until what is returned is dropped; `None` where no new one is taken in.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Call> {
        // Counted before the look, so that a drain which began in between waits for it.
        self.calls.fetch_add(1, Ordering::SeqCst);
        let call = Call { running: Arc::clone(self) };
        if self.is_draining.load(Ordering::SeqCst) { None } else { Some(call) }
    }

    /// Takes in no new call, and returns when the last one ended.
    pub(super) async fn drain(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
        loop {
            let ended = self.call_ended.notified();
            if self.calls.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Returns the id of a new query.
    pub(super) fn new_id(&self) -> QueryId {
        QueryId(self.ids.hash_one(self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns a stream that ends with `Cancelled` once its query is cancelled, and is forgotten when it is dropped.
    pub(super) fn track<T: 'static>(
        self: &Arc<Self>,
        query: QueryId,
        rows: BoxStream<'static, Result<T>>,
    ) -> Tracked<T> {
        let (handle, registration) = AbortHandle::new_pair();
        let key = (query, self.next.fetch_add(1, Ordering::Relaxed));
        if self.is_stopping.load(Ordering::Relaxed) {
            handle.abort();
        }
        self.lock().insert(key, handle);
        Tracked { rows: Abortable::new(rows, registration), running: Arc::clone(self), key, is_done: false }
    }

    /// Ends the streams of a query; returns whether there was one.
    pub(super) fn cancel(&self, query: QueryId) -> bool {
        let streams = self.lock();
        let mut found = false;
        for handle in streams.range((query, u64::MIN)..=(query, u64::MAX)).map(|(_, handle)| handle) {
            handle.abort();
            found = true;
        }
        found
    }

    /// Ends all streams, those that start from now on too.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        for handle in self.lock().values() {
            handle.abort();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(QueryId, u64), AbortHandle>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that runs.
#[derive(Debug)]
pub(super) struct Call {
    running: Arc<Running>,
}

impl Call {
    /// Returns the items of a query's stream, which is part of the call: with it both end.
    pub(super) fn until_the_end_of<T>(
        self,
        items: impl Stream<Item = Result<T, Status>>,
        stop: Stop,
        span: Span,
    ) -> impl Stream<Item = Result<T, Status>> {
        let end = End { _call: self, stop, span };
        items.inspect(move |item| {
            let end = &end;
            if let Err(status) = item {
                note_status(&end.span, status);
            }
        })
    }
}

/// What ends when it is dropped.
struct End {
    _call: Call,
    stop: Stop,
    span: Span,
}

impl Drop for End {
    fn drop(&mut self) {
        self.stop.set();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.running.calls.fetch_sub(1, Ordering::SeqCst);
        self.running.call_ended.notify_waiters();
    }
}

/// A stream that can be cancelled. Dropping it drops the query.
pub(super) struct Tracked<T> {
    rows: Abortable<BoxStream<'static, Result<T>>>,
    running: Arc<Running>,
    key: (QueryId, u64),
    is_done: bool,
}

impl<T> Stream for Tracked<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        let next = match self.rows.poll_next_unpin(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) if self.rows.is_aborted() => Some(Err(cancelled(&self.running))),
            Poll::Ready(next) => next,
        };
        self.is_done = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

fn cancelled(running: &Running) -> Error {
    if running.is_stopping.load(Ordering::Relaxed) {
        Error::new(ErrorKind::Cancelled, "the query was ended because the server stops")
            .with_hint("run it again once the server is back")
    } else {
        Error::new(ErrorKind::Cancelled, "the query was cancelled")
    }
}

impl<T> Drop for Tracked<T> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endless() -> BoxStream<'static, Result<u8>> {
        futures::stream::pending().boxed()
    }

    #[tokio::test]
    async fn a_cancelled_stream_ends_with_an_error_and_another_goes_on() {
        let running = Arc::new(Running::new());
        let (one, other) = (running.new_id(), running.new_id());
        let mut first = running.track(one, endless());
        let second = running.track(other, futures::stream::iter([Ok(7)]).boxed());
        assert!(running.cancel(one));
        assert_eq!(
            first.next().await.and_then(|item| item.err()).map(|error| error.kind()),
            Some(ErrorKind::Cancelled)
        );
        assert!(first.next().await.is_none());
        assert_eq!(second.map(|item| item.ok()).collect::<Vec<_>>().await, [Some(7)]);
    }

    #[test]
    fn a_dropped_stream_is_forgotten() {
        let running = Arc::new(Running::new());
        let id = running.new_id();
        drop(running.track(id, endless()));
        assert!(!running.cancel(id));
    }

    #[tokio::test]
    async fn after_a_stop_no_stream_goes_on() {
        let running = Arc::new(Running::new());
        let mut before = running.track(running.new_id(), endless());
        running.stop();
        let mut after = running.track(running.new_id(), endless());
        assert!(matches!(before.next().await, Some(Err(_))));
        assert!(matches!(after.next().await, Some(Err(_))));
    }

    #[tokio::test]
    async fn a_drain_takes_no_call_and_ends_with_the_last() {
        let running = Arc::new(Running::new());
        let call = running.begin().expect("it is not draining");
        let mut drain = std::pin::pin!(running.drain());
        assert!(futures::poll!(&mut drain).is_pending());
        assert!(running.begin().is_none());
        assert!(futures::poll!(&mut drain).is_pending());
        drop(call);
        drain.await;
    }
}
