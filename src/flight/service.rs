//! The server's side of the protocol: every call, on the threads for queries, with its errors as statuses.
//!
//! Implements `FlightService` itself and not arrow-flight's `FlightSqlService` above it: that one answers GetSchema and
//! PollFlightInfo with "unimplemented", lists transactions among its actions and calls a broken command its own fault.

use std::future::Future;
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

use super::actions::{self, Done};
use super::calls::Calls;
use super::guard::{Door, caller_of};
use super::running::Running;
use super::status::status_of;
use super::workers::Workers;
use crate::auth::seal::Seal;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    calls: Arc<Calls>,
    workers: Workers,
    door: Door,
}

type Messages<T> = BoxStream<'static, Result<T, Status>>;

impl Service {
    /// Returns the service of an engine, with its threads started.
    ///
    /// # Errors
    /// `Internal` where the machine gives no threads.
    pub(super) fn new(engine: Engine, running: Arc<Running>, door: Door, seal: Seal) -> Result<Self> {
        let workers = Workers::start(engine.config().limits.threads)?;
        Ok(Self { calls: Arc::new(Calls { engine, running, seal: Arc::new(seal) }), workers, door })
    }

    async fn answer<T, F>(&self, call: impl FnOnce(Arc<Calls>) -> F) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let result = self.workers.run(call(Arc::clone(&self.calls))).await;
        result.map(Response::new).map_err(|error| status_of(&error))
    }
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
        let token = caller_of(&request).and_then(|caller| self.door.token(request.metadata(), &caller));
        let mut response = Response::new(one(HandshakeResponse::default()));
        response.metadata_mut().insert("authorization", token.map_err(|error| status_of(&error))?);
        Ok(response)
    }

    async fn list_flights(&self, _request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        not_served("ListFlights")
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        self.answer(|calls| async move { calls.info(request).await }).await
    }

    /// Answers as GetFlightInfo does: planning is quick, and the rest is the stream.
    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        self.answer(|calls| async move { Ok(PollInfo::new().with_info(calls.info(request).await?)) }).await
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        self.answer(|calls| async move { calls.schema(request).await }).await
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let found = self.answer(|calls| async move { calls.fetch(request).await }).await;
        let (id, messages) = found?.into_inner();
        let messages = self.calls.running.track(id, self.workers.pump(messages));
        Ok(Response::new(messages.map_err(|error| status_of(&error)).boxed()))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        self.answer(|calls| async move { Ok(one(calls.put(request).await?)) }).await
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let done = self.answer(|calls| async move { calls.act(request).await }).await?;
        let Done { body, cookie } = done.into_inner();
        let results: Vec<_> = body.into_iter().map(|body| Ok(ActionResult { body })).collect();
        let mut response = Response::new(futures::stream::iter(results).boxed());
        if let Some(cookie) = cookie {
            response.metadata_mut().insert("set-cookie", cookie);
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
