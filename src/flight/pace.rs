//! What a stream owes the connection while a query computes: a sign of life now and then, and an end at the client's
//! deadline.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::messages::Message;
use super::status::{deadline_passed, status_of};
use crate::error::Result;

/// The longest silence of a stream: a message without rows breaks it. Proxies cut streams that are silent for a minute,
/// by their defaults.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(20);

/// The header in which a client says how long it waits.
const TIMEOUT: &str = "grpc-timeout";

/// Returns how long a client waits; `None` where it says nothing that can be read.
pub(super) fn patience_of(headers: &MetadataMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    let nanos = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => return None,
    };
    Some(Duration::from_nanos(amount.saturating_mul(nanos)))
}

/// Returns the messages with `filler` wherever none came for so long, but not before the first, which is the schema.
/// They end with an error when the client's patience does; dropping them drops the query.
pub(super) fn paced(
    messages: BoxStream<'static, Result<Message>>,
    filler: Message,
    silence_max: Duration,
    patience: Option<Duration>,
) -> impl Stream<Item = Result<Message, Status>> + Send + 'static {
    let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
    let state = State { messages: Some(messages), filler, has_begun: false };
    futures::stream::unfold(state, move |mut state| async move {
        loop {
            let messages = state.messages.as_mut()?;
            let silence_end = Instant::now() + silence_max;
            let end = deadline.map_or(silence_end, |deadline| deadline.min(silence_end));
            let item = match timeout_at(end, messages.next()).await {
                Ok(Some(Ok(message))) => {
                    state.has_begun = true;
                    Ok(message)
                }
                Ok(Some(Err(error))) => {
                    state.messages = None;
                    Err(status_of(&error))
                }
                Ok(None) => return None,
                Err(_) if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                    state.messages = None;
                    Err(deadline_passed())
                }
                Err(_) if !state.has_begun => continue,
                Err(_) => Ok(state.filler.clone()),
            };
            return Some((item, state));
        }
    })
}

struct State {
    messages: Option<BoxStream<'static, Result<Message>>>,
    filler: Message,
    has_begun: bool,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(text: &'static str) -> Message {
        Message { header: Bytes::from_static(text.as_bytes()), body: Vec::new() }
    }

    fn header(item: Option<Result<Message, Status>>) -> String {
        match item.expect("it goes on") {
            Ok(message) => String::from_utf8_lossy(&message.header).into_owned(),
            Err(status) => format!("{:?}", status.code()),
        }
    }

    /// A silence that no test waits for long.
    const SHORT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn silence_is_broken_by_messages_without_rows_after_the_schema() {
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        let mut paced = std::pin::pin!(paced(receiver.boxed(), message("empty"), SHORT, None));
        tokio::time::timeout(SHORT * 4, paced.next()).await.expect_err("nothing comes before the schema");
        sender.unbounded_send(Ok(message("schema"))).expect("it is read");
        assert_eq!(header(paced.next().await), "schema");
        assert_eq!(header(paced.next().await), "empty");
        assert_eq!(header(paced.next().await), "empty");
        sender.unbounded_send(Ok(message("rows"))).expect("it is read");
        assert_eq!(header(paced.next().await), "rows");
        drop(sender);
        assert!(paced.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_client_waits_no_longer() {
        let messages = futures::stream::iter([Ok(message("schema"))]).chain(futures::stream::pending());
        let mut paced = std::pin::pin!(paced(messages.boxed(), message("empty"), SILENCE_MAX, Some(SHORT)));
        assert_eq!(header(paced.next().await), "schema");
        assert_eq!(header(paced.next().await), "DeadlineExceeded");
        assert!(paced.next().await.is_none());
    }

    #[test]
    fn patience_is_read_in_every_unit() {
        let of = |text: &str| {
            let mut headers = MetadataMap::new();
            headers.insert(TIMEOUT, text.parse().expect("a header"));
            patience_of(&headers).map(|patience| patience.as_micros())
        };
        assert_eq!(of("2H"), Some(7_200_000_000));
        assert_eq!(of("3M"), Some(180_000_000));
        assert_eq!(of("4S"), Some(4_000_000));
        assert_eq!(of("5m"), Some(5_000));
        assert_eq!(of("6u"), Some(6));
        assert_eq!(of("7000n"), Some(7));
        assert_eq!([of("S"), of("x5S"), of("5"), of("5d")], [None; 4]);
    }
}
