//! The answer to DoGet on the network, without a copy: the generated service would write every message into a buffer of
//! its own, which for large results takes as long as making the rows does.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::Ticket;
use arrow_flight::flight_service_server::FlightServiceServer;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use http_body::{Body, Frame};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::body::Body as AnyBody;
use tonic::codec::{DecodeBuf, Decoder};
use tonic::codegen::{BoxFuture, Service as Handler, http};
use tonic::server::NamedService;
use tonic::{Request, Response, Status, Streaming};

use super::MESSAGE_BYTES_IN_MAX;
use super::messages::Message;
use super::service::Service;

/// The path of the call.
const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// The numbers of the fields of a message in its protocol.
const HEADER_FIELD: u32 = 2;
const BODY_FIELD: u32 = 1000;

/// What stands before a message in gRPC: whether it is compressed, and its length.
const GRPC_PREFIX_BYTES: usize = 5;

/// Parts of a message up to this many bytes are put together: sending one costs more than copying it.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// The service as the network calls it: DoGet is answered here, everything else by the generated service.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    service: Arc<Service>,
    generated: FlightServiceServer<Service>,
}

impl Wire {
    pub(super) fn new(service: Service) -> Self {
        let service = Arc::new(service);
        let generated = FlightServiceServer::from_arc(Arc::clone(&service));
        Self { service, generated: generated.max_decoding_message_size(MESSAGE_BYTES_IN_MAX) }
    }
}

impl NamedService for Wire {
    const NAME: &'static str = FlightServiceServer::<Service>::NAME;
}

impl Handler<http::Request<AnyBody>> for Wire {
    type Response = http::Response<AnyBody>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<AnyBody>) -> Self::Future {
        if request.uri().path() != DO_GET {
            return Handler::call(&mut self.generated, request);
        }
        let service = Arc::clone(&self.service);
        Box::pin(async move {
            let answer = match ticket_of(request).await {
                Ok(request) => service.download(request).await,
                Err(status) => Err(status),
            };
            Ok(match answer {
                Ok(response) => answer_of(response),
                Err(status) => status.into_http(),
            })
        })
    }
}

async fn ticket_of(request: http::Request<AnyBody>) -> Result<Request<Ticket>, Status> {
    let (parts, body) = request.into_parts();
    let mut messages = Streaming::new_request(TicketDecoder, body, None, Some(MESSAGE_BYTES_IN_MAX));
    let ticket = messages.message().await?.ok_or_else(|| Status::invalid_argument("the call has no ticket"))?;
    Ok(Request::from_http(http::Request::from_parts(parts, ticket)))
}

struct TicketDecoder;

impl Decoder for TicketDecoder {
    type Item = Ticket;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Ticket>, Status> {
        let unreadable = |cause| Status::invalid_argument(format!("the ticket cannot be read: {cause}"));
        Ticket::decode(source.copy_to_bytes(source.remaining())).map(Some).map_err(unreadable)
    }
}

fn answer_of(response: Response<BoxStream<'static, Result<Message, Status>>>) -> http::Response<AnyBody> {
    let (metadata, messages, extensions) = response.into_parts();
    let body = Frames { messages, open: VecDeque::new(), is_done: false };
    let mut answer = http::Response::new(AnyBody::new(body));
    *answer.headers_mut() = metadata.into_headers();
    *answer.extensions_mut() = extensions;
    let grpc = http::HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
    answer
}

/// The body of an answer: the parts of its messages, then how it ended.
struct Frames {
    messages: BoxStream<'static, Result<Message, Status>>,
    open: VecDeque<Bytes>,
    is_done: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(part) = self.open.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            if self.is_done {
                return Poll::Ready(None);
            }
            let end = match self.messages.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(message))) => {
                    self.open = parts_of(message);
                    continue;
                }
                Poll::Ready(Some(Err(status))) => status,
                Poll::Ready(None) => Status::new(tonic::Code::Ok, ""),
            };
            self.is_done = true;
            let mut trailers = http::HeaderMap::new();
            end.add_header(&mut trailers)?;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
    }
}

/// Returns a message as gRPC sends it, in parts that are worth a frame each.
fn parts_of(message: Message) -> VecDeque<Bytes> {
    let (header_bytes, body_bytes) = (message.header.len(), message.body_bytes());
    let field = |number, bytes| key_len(number) + encoded_len_varint(bytes as u64) + bytes;
    let body_field = if body_bytes == 0 { 0 } else { field(BODY_FIELD, body_bytes) };
    let length = field(HEADER_FIELD, header_bytes) + body_field;
    let mut small = BytesMut::with_capacity(GRPC_PREFIX_BYTES + length - body_bytes);
    small.put_u8(0);
    // A message is cut far below 4 GiB, and one row of that size does not come out of the engine.
    small.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    encode_key(HEADER_FIELD, WireType::LengthDelimited, &mut small);
    encode_varint(header_bytes as u64, &mut small);
    small.put_slice(&message.header);
    if body_bytes > 0 {
        encode_key(BODY_FIELD, WireType::LengthDelimited, &mut small);
        encode_varint(body_bytes as u64, &mut small);
    }
    let mut parts = VecDeque::new();
    for part in message.body {
        if part.len() <= COPIED_BYTES_MAX {
            small.put_slice(&part);
            continue;
        }
        if !small.is_empty() {
            parts.push_back(small.split().freeze());
        }
        parts.push_back(part);
    }
    if !small.is_empty() {
        parts.push_back(small.freeze());
    }
    parts
}

#[cfg(test)]
mod tests {
    use arrow_flight::FlightData;

    use super::*;

    fn message(parts: &[usize]) -> Message {
        let body = (1..).zip(parts).map(|(letter, length)| Bytes::from(vec![letter; *length])).collect();
        Message { header: Bytes::from_static(b"header"), body }
    }

    #[test]
    fn the_parts_are_the_message_of_the_protocol() {
        for sizes in [&[][..], &[3], &[40_000, 8, 64, 70_000, 1], &[8, 20_000], &[20_000, 20_000]] {
            let message = message(sizes);
            let bytes: Vec<u8> = parts_of(message.clone()).into_iter().flatten().collect();
            let (prefix, content) = bytes.split_at(GRPC_PREFIX_BYTES);
            assert_eq!(prefix[0], 0, "not compressed");
            assert_eq!(prefix[1..], u32::try_from(content.len()).expect("it is short").to_be_bytes());
            assert_eq!(FlightData::decode(content).expect("a message"), FlightData::from(message));
        }
    }

    #[test]
    fn small_parts_are_sent_together_and_large_ones_as_they_are() {
        let message = message(&[100_000, 8, 8, 100_000, 8]);
        let sizes: Vec<usize> = parts_of(message).iter().map(Bytes::len).collect();
        assert_eq!(sizes[1..], [100_000, 16, 100_000, 8]);
    }
}
