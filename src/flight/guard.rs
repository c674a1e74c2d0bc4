//! In front of every call: who calls. Nothing behind it is reached without credentials where logins are configured.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::server::NamedService;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};

use super::inflow::{Kept, Room};
use super::status::status_of;
use crate::audit::{Act, AuditEntry};
use crate::auth::{Authenticator, Caller};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::traces::{Span, Traces};

/// The header by which callers say who they are.
const AUTHORIZATION: &str = "authorization";

/// The token that a login gives where nobody has to log in: drivers insist on one.
const ANYONES_TOKEN: &str = "Bearer anonymous";

/// Who is let in. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Door {
    /// Everyone, as the same caller.
    Open,
    /// Those who prove who they are.
    Guarded(Arc<Authenticator>),
}

impl Door {
    /// Returns the header by which a login is answered: the token that the caller sends from now on.
    ///
    /// # Errors
    /// As [`Authenticator::token_for`].
    pub(super) fn token(&self, headers: &MetadataMap, caller: &Caller) -> Result<AsciiMetadataValue> {
        let Self::Guarded(authenticator) = self else { return Ok(AsciiMetadataValue::from_static(ANYONES_TOKEN)) };
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = authenticator.token_for(header, caller)?;
        AsciiMetadataValue::try_from(format!("Bearer {}", token.reveal()))
            .map_err(|cause| Error::new(ErrorKind::Internal, "a token is no header").with_source(cause))
    }

    async fn admit(&self, headers: &http::HeaderMap, peer: Option<&TcpConnectInfo>) -> Result<Caller> {
        let Self::Guarded(authenticator) = self else { return Ok(Caller::anonymous()) };
        // One that is no text is as good as one that cannot be read.
        let header = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let address = peer.and_then(TcpConnectInfo::remote_addr).map(|address| address.ip());
        authenticator.admit(header, address).await
    }
}

/// A service behind the door: each of its requests has its [`Caller`] and its [`Span`] among the extensions.
#[derive(Debug, Clone)]
pub(super) struct Guarded<S> {
    door: Door,
    engine: Engine,
    traces: Arc<Traces>,
    room: Room,
    service: S,
}

impl<S> Guarded<S> {
    pub(super) fn new(door: Door, engine: Engine, traces: Arc<Traces>, service: S) -> Self {
        let room = Room::beside(engine.config().limits.memory_bytes);
        Self { door, engine, traces, room, service }
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let (door, engine, traces) = (self.door.clone(), self.engine.clone(), Arc::clone(&self.traces));
        let room = self.room.clone();
        // The one that was asked whether it is ready is the one that is called.
        let ready = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, ready);
        Box::pin(async move {
            let peer = request.extensions().get::<TcpConnectInfo>().cloned();
            let address = peer.as_ref().and_then(TcpConnectInfo::remote_addr).map(|address| address.ip());
            let span = span_of(&traces, &request, address);
            match door.admit(request.headers(), peer.as_ref()).await {
                Ok(caller) => {
                    span.note("user.name", caller.name());
                    request.extensions_mut().insert(caller);
                    request.extensions_mut().insert(span.clone());
                    let (head, body) = request.into_parts();
                    let is_upload = head.uri.path().ends_with("/DoPut");
                    let kept = if is_upload { Kept::UntilThere } else { Kept::UntilAnswered };
                    let (body, _held) = room.let_in(body, kept);
                    let response = service.call(http::Request::from_parts(head, Body::new(body))).await?;
                    // One that ended with its headers; how a stream ends is noted with its end.
                    if let Some(status) = Status::from_header_map(response.headers()) {
                        note_status(&span, &status);
                    }
                    Ok(response)
                }
                Err(error) => {
                    span.fail(error.kind().name());
                    // Not the name: people type their password there.
                    let entry = AuditEntry {
                        act: Act::LoginRefused,
                        user: None,
                        address,
                        object: request.uri().path(),
                        outcome: error.message(),
                    };
                    engine.totals().not_let_in();
                    let noted = engine.audit().record(&entry);
                    Ok(status_of(noted.as_ref().err().unwrap_or(&error)).into_http())
                }
            }
        })
    }
}

/// The calls of the protocol; a client may ask for others, whose names are of its own making.
const CALLS: [&str; 10] = [
    "Handshake",
    "ListFlights",
    "GetFlightInfo",
    "PollFlightInfo",
    "GetSchema",
    "DoGet",
    "DoPut",
    "DoExchange",
    "DoAction",
    "ListActions",
];

/// Begins the span of a call.
fn span_of(traces: &Traces, request: &http::Request<Body>, address: Option<IpAddr>) -> Span {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let call = request.uri().path().rsplit('/').next().filter(|call| CALLS.contains(call)).unwrap_or("unknown");
    let span = traces.call(&format!("FlightService/{call}"), header("traceparent"), header("tracestate"));
    span.note("rpc.system", "grpc");
    span.note("rpc.service", "arrow.flight.protocol.FlightService");
    span.note("rpc.method", call);
    if let Some(address) = address {
        span.note("client.address", address.to_string());
    }
    span
}

/// Notes how a call ended.
pub(super) fn note_status(span: &Span, status: &Status) {
    let code = status.code();
    span.note("rpc.grpc.status_code", u64::from(code as u32));
    if code != Code::Ok {
        span.fail(&format!("{code:?}"));
    }
}

/// Returns who sent a request.
///
/// # Errors
/// `Internal` where it did not come through the door.
pub(super) fn caller_of<T>(request: &tonic::Request<T>) -> Result<Caller> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Error::new(ErrorKind::Internal, "a call has no caller"))
}
