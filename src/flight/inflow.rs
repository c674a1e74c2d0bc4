//! What all clients send at once, bounded: a message is put together before anybody looks at it, and one of 64 MiB can be
//! begun on each of a connection's streams. A large one waits until there is room for it, and has to be there in time.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::Status;

use super::MESSAGE_BYTES_IN_MAX;
use super::status::status_of;
use crate::error::{Error, ErrorKind};

/// The bytes of a message from which it needs room: all but uploads, and handles with many parameters, are smaller.
const LARGE_BYTES: usize = 1 << 20;

/// How long a large message may take from its first byte to its last, waiting for room included: a slow line sends one
/// within that, and who stops in the middle keeps the room from others no longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes that a permit stands for.
const UNIT: usize = 1 << 10;

/// What stands before a message in gRPC: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The room for large messages. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Room {
    units: Arc<Semaphore>,
    patience: Duration,
}

/// How long a message has its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Until the call is answered: it is its only message.
    UntilAnswered,
    /// Until it is there: an upload goes on message by message, and may have to wait for its turn in between.
    UntilThere,
}

/// The room that a call has; it is free again when all of these are dropped.
pub(super) type Held = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

impl Room {
    /// Returns room beside queries with so much memory, in bytes: half as much again, and two messages at least.
    pub(super) fn beside(memory: usize) -> Self {
        let bytes = (memory / 2).max(2 * MESSAGE_BYTES_IN_MAX);
        Self { units: Arc::new(Semaphore::new(bytes / UNIT)), patience: PATIENCE }
    }

    /// Returns the body of a request whose large messages wait for room, and the room that it has.
    pub(super) fn let_in<B>(&self, body: B, kept: Kept) -> (Inflow<B>, Held) {
        let held = Held::default();
        let inflow = Inflow {
            body,
            room: self.clone(),
            held: Arc::clone(&held),
            kept,
            prefix: Vec::with_capacity(PREFIX_BYTES),
            left: 0,
            seen: None,
            waiting: None,
            until: None,
        };
        (inflow, held)
    }
}

/// A body whose large messages wait for room.
pub(super) struct Inflow<B> {
    body: B,
    room: Room,
    held: Held,
    kept: Kept,
    /// What came of the prefix of the next message.
    prefix: Vec<u8>,
    /// Bytes of the message that are to come.
    left: usize,
    /// What came and is not handed on yet, as far as it was looked at.
    seen: Option<(Bytes, usize)>,
    waiting: Option<BoxFuture<'static, Option<OwnedSemaphorePermit>>>,
    /// When the large message that was begun has to be there.
    until: Option<Pin<Box<Sleep>>>,
}

impl<B> Inflow<B> {
    fn hold(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }

    /// Looks at what came, up to the beginning of a large message; returns how far.
    fn look(&mut self, data: &Bytes, mut at: usize) -> usize {
        while at < data.len() && self.waiting.is_none() {
            if self.left > 0 {
                let passed = self.left.min(data.len() - at);
                (self.left, at) = (self.left - passed, at + passed);
                if self.left == 0 {
                    self.until = None;
                    if self.kept == Kept::UntilThere {
                        self.hold(None);
                    }
                }
                continue;
            }
            let more = (PREFIX_BYTES - self.prefix.len()).min(data.len() - at);
            self.prefix.extend_from_slice(&data[at..at + more]);
            at += more;
            let Some(length) = self.prefix.get(1..PREFIX_BYTES).and_then(|length| length.try_into().ok()) else {
                break;
            };
            self.begin(u32::from_be_bytes(length) as usize);
        }
        at
    }

    fn begin(&mut self, length: usize) {
        self.prefix.clear();
        self.left = length;
        // What was before has been taken by then.
        self.hold(None);
        if length > LARGE_BYTES {
            let units = u32::try_from(length.min(MESSAGE_BYTES_IN_MAX) / UNIT).unwrap_or(u32::MAX);
            let permit = Arc::clone(&self.room.units).acquire_many_owned(units);
            self.waiting = Some(permit.map(Result::ok).boxed());
            self.until = Some(Box::pin(tokio::time::sleep(self.room.patience)));
        }
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.until.as_mut().is_some_and(|until| until.as_mut().poll(context).is_ready())
    }
}

impl<B> Body for Inflow<B>
where
    B: Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.is_late(context) {
            return Poll::Ready(Some(Err(late(this.room.patience))));
        }
        loop {
            if let Some(waiting) = this.waiting.as_mut() {
                let permit = ready!(waiting.as_mut().poll(context));
                this.waiting = None;
                this.hold(permit);
            }
            if let Some((data, at)) = this.seen.take() {
                let at = this.look(&data, at);
                if this.waiting.is_some() {
                    this.seen = Some((data, at));
                    continue;
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.seen = Some((data, 0)),
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            }
        }
    }
}

fn late(patience: Duration) -> Status {
    let message = format!("a message was not there within {} seconds", patience.as_secs());
    status_of(&Error::new(ErrorKind::Busy, message).with_hint("send fewer rows in a message, or try again later"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// What a client sends, and then nothing more.
    struct Sent(VecDeque<Bytes>);

    impl Body for Sent {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            self.0.pop_front().map_or(Poll::Pending, |part| Poll::Ready(Some(Ok(Frame::data(part)))))
        }
    }

    /// Returns what comes out next; `None` where it has to wait.
    fn next(inflow: &mut Inflow<Sent>) -> Option<Result<Bytes, Status>> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *inflow).poll_frame(context)).now_or_never()?;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
    }

    fn message(length: usize) -> Bytes {
        let mut bytes = vec![0; PREFIX_BYTES];
        bytes[1..].copy_from_slice(&u32::try_from(length).expect("it is short").to_be_bytes());
        bytes.resize(PREFIX_BYTES + length, 7);
        bytes.into()
    }

    fn length_of(came: Option<Result<Bytes, Status>>) -> Option<usize> {
        came.map(|came| came.expect("no error").len())
    }

    #[tokio::test]
    async fn a_large_message_waits_for_room_and_gives_it_back() {
        let room = Room { units: Arc::new(Semaphore::new(3 * LARGE_BYTES / UNIT)), patience: PATIENCE };
        let (small, large) = (message(10), message(2 * LARGE_BYTES));
        let all = large.len();
        let (mut first, held) = room.let_in(Sent([small.clone(), large.clone()].into()), Kept::UntilAnswered);
        assert_eq!((length_of(next(&mut first)), length_of(next(&mut first))), (Some(15), Some(all)));
        let parts = [small, large.slice(..3), large.slice(3..100), large.slice(100..)];
        let (mut second, _held) = room.let_in(Sent(parts.into()), Kept::UntilThere);
        assert_eq!((length_of(next(&mut second)), length_of(next(&mut second))), (Some(15), Some(3)));
        assert!(next(&mut second).is_none(), "there is no room");
        drop(first);
        assert!(next(&mut second).is_none(), "the call still has it");
        drop(held);
        assert_eq!((length_of(next(&mut second)), length_of(next(&mut second))), (Some(97), Some(all - 100)));
        assert_eq!(room.units.available_permits(), 3 * LARGE_BYTES / UNIT, "it is there");
    }

    #[tokio::test]
    async fn who_stops_in_the_middle_is_sent_away() {
        let room = Room { patience: Duration::ZERO, ..Room::beside(0) };
        let (mut inflow, _held) = room.let_in(Sent([message(2 * LARGE_BYTES).slice(..100)].into()), Kept::UntilThere);
        assert_eq!(length_of(next(&mut inflow)), Some(100));
        let frame = std::future::poll_fn(|context| Pin::new(&mut inflow).poll_frame(context));
        let error = frame.await.expect("an end").expect_err("it is late");
        assert_eq!(error.code(), tonic::Code::Unavailable);
    }
}
