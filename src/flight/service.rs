//! The server's side of the protocol: every call, on the threads for queries, with its errors as statuses.
//!
//! Implements `FlightService` itself and not arrow-flight's `FlightSqlService` above it: that one answers GetSchema and
//! PollFlightInfo with "unimplemented", lists transactions among its actions and calls a broken command its own fault.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, Result as ActionResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::actions;
use super::calls::{Calls, Download};
use super::client::Client;
use super::guard::{Door, caller_of};
use super::messages::Message;
use super::pace::{SILENCE_MAX, paced, patience_of};
use super::running::Running;
use super::status::{status_of, stopping};
use super::workers::Lanes;
use crate::audit::{Act, AuditEntry};
use crate::auth::seal::Seal;
use crate::engine::{Engine, Lane};
use crate::error::{Error, ErrorKind, Result};
use crate::traces::Span;

/// The header that changes what a client keeps of its session.
const SET_COOKIE: &str = "set-cookie";

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    calls: Arc<Calls>,
    door: Door,
}

type Messages<T> = BoxStream<'static, Result<T, Status>>;

impl Service {
    /// Returns the service of an engine, with its threads started.
    ///
    /// # Errors
    /// `Internal` where the machine gives no threads.
    pub(super) fn new(engine: Engine, running: Arc<Running>, door: Door, seal: Seal) -> Result<Self> {
        let lanes = Arc::new(Lanes::start(engine.config().limits.threads)?);
        let (planned, seal) = (Arc::default(), Arc::new(seal));
        Ok(Self { calls: Arc::new(Calls { engine, running, planned, lanes, seal }), door })
    }

    /// Does a call with the options of its session; the answer renews these where it is time for it.
    async fn answer<R, T, F>(
        &self,
        lane: Lane,
        request: Request<R>,
        call: impl FnOnce(Arc<Calls>, Client, R) -> F,
    ) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let _running = self.calls.running.begin().ok_or_else(stopping)?;
        let client = self.calls.client(&request).map_err(|error| status_of(&error))?;
        let renewed = client.options.renewed(&client);
        let (user, address, span) = (client.caller.clone(), request.remote_addr(), client.span.clone());
        let done = match self.calls.of_caller(&client.caller).await {
            Ok(calls) => self.calls.lanes.of(lane).run(call(calls, client, request.into_inner())).await,
            Err(error) => Err(error),
        };
        let done = done.map_err(|error| {
            span.fail(error.kind().name());
            status_of(&refused(&self.calls.engine, user.name(), address, "call", error))
        });
        let mut response = Response::new(done?);
        if let Some(cookie) = renewed {
            response.metadata_mut().insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    /// Writes down that a caller logged in, and counts it.
    fn logged_in(&self, user: &str, address: Option<SocketAddr>) -> Result<()> {
        let engine = &self.calls.engine;
        let (address, object) = (address.map(|address| address.ip()), "Handshake");
        let entry = AuditEntry { act: Act::Login, user: Some(user), address, object, outcome: "done" };
        engine.audit().record(&entry)?;
        engine.totals().logged_in();
        Ok(())
    }

    /// Returns the messages of a ticket. Dropping them cancels the query, as the client's deadline does.
    ///
    /// # Errors
    /// Those of [`Calls::fetch`], and that the server is stopping.
    pub(super) async fn download(&self, request: Request<Ticket>) -> Result<Response<Messages<Message>>, Status> {
        let running = self.calls.running.begin().ok_or_else(stopping)?;
        let patience = patience_of(request.metadata());
        let span = request.extensions().get::<Span>().cloned().unwrap_or_default();
        let (caller, address) = (caller_of(&request).map_err(|error| status_of(&error))?, request.remote_addr());
        let found =
            self.answer(Lane::Quick, request, |calls, client, ticket| async move { calls.fetch(client, ticket).await });
        Ok(found.await?.map(|Download { id, filler, messages, stop }| {
            let messages = self.calls.running.track(id, messages);
            // A limit may be reached while rows go out.
            let (engine, object, seen) = (self.calls.engine.clone(), format!("query {:016x}", id.0), span.clone());
            let messages = messages.map_err(move |error| {
                seen.fail(error.kind().name());
                refused(&engine, caller.name(), address, &object, error)
            });
            let paced = paced(messages.boxed(), filler, SILENCE_MAX, patience);
            // The call runs as long as its stream.
            running.until_the_end_of(paced, stop, span).boxed()
        }))
    }
}

/// Returns an error as its caller gets it. One that refuses something is counted and written down.
fn refused(engine: &Engine, user: &str, address: Option<SocketAddr>, object: &str, error: Error) -> Error {
    if !engine.totals().refused(&error) {
        return error;
    }
    let (address, outcome) = (address.map(|address| address.ip()), error.message());
    let entry = AuditEntry { act: Act::Refused, user: Some(user), address, object, outcome };
    engine.audit().record(&entry).err().unwrap_or(error)
}

fn one<T: Send + 'static>(item: T) -> Messages<T> {
    futures::stream::iter([Ok(item)]).boxed()
}

fn not_served<T>(what: &str) -> Result<T, Status> {
    Err(status_of(
        &Error::new(ErrorKind::Unsupported, format!("{what} is not supported"))
            .with_hint("ask with the commands of Flight SQL"),
    ))
}

#[async_trait]
impl FlightService for Service {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoActionStream = Messages<ActionResult>;
    type ListActionsStream = Messages<ActionType>;
    type DoExchangeStream = Messages<FlightData>;

    /// Answers at once, because some clients send nothing and keep the stream open.
    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let token = caller_of(&request).and_then(|caller| {
            let token = self.door.token(request.metadata(), &caller)?;
            self.logged_in(caller.name(), request.remote_addr()).map(|()| token)
        });
        let mut response = Response::new(one(HandshakeResponse::default()));
        response.metadata_mut().insert("authorization", token.map_err(|error| status_of(&error))?);
        Ok(response)
    }

    async fn list_flights(&self, _request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        not_served("ListFlights")
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        self.answer(
            Lane::Quick,
            request,
            |calls, client, descriptor| async move { calls.info(client, descriptor).await },
        )
        .await
    }

    /// Answers as GetFlightInfo does, and at once that there is nothing left to poll for: planning is quick, and the rest
    /// is the stream.
    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let info = self.get_flight_info(request).await?;
        Ok(info.map(|info| PollInfo { progress: Some(1.0), ..PollInfo::new().with_info(info) }))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        self.answer(
            Lane::Quick,
            request,
            |calls, client, descriptor| async move { calls.schema(client, descriptor).await },
        )
        .await
    }

    /// Answers in messages that are copied; the network is answered without that, by [`super::download`].
    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        Ok(self.download(request).await?.map(|messages| messages.map_ok(FlightData::from).boxed()))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        self.answer(Lane::Heavy, request, |calls, client, messages| async move {
            Ok(one(calls.put(client, messages).await?))
        })
        .await
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let done = self
            .answer(Lane::Quick, request, |calls, client, action| async move { calls.act(client, action).await })
            .await?;
        let mut cookie = None;
        let mut response = done.map(|done| {
            cookie = done.cookie;
            futures::stream::iter(done.body.map(|body| Ok(ActionResult { body }))).boxed()
        });
        if let Some(cookie) = cookie {
            response.metadata_mut().insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(futures::stream::iter(actions::listed().map(Ok)).boxed()))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        not_served("DoExchange")
    }
}
