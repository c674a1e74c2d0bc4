//! What each call does: which command goes where.

use std::sync::Arc;

use arrow_flight::sql::{Any, Command, DoPutPreparedStatementResult};
use arrow_flight::{
    Action, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, PutResult, SchemaAsIpc, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use prost::Message as _;
use tonic::{Request, Status, Streaming};

use super::actions::{self, Done, refuse_transaction};
use super::client::Client;
use super::handle::Query;
use super::messages::{Message, empty_message, messages_of};
use super::planned::Planned;
use super::query::{self, Announced, Opened};
use super::running::{QueryId, Running};
use super::workers::Lanes;
use super::{metadata, write};
use crate::auth::Caller;
use crate::auth::seal::Seal;
use crate::engine::{Engine, Origin, Stop};
use crate::error::{Error, ErrorKind, Result};

/// The calls of the protocol over an engine.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    /// The engine; for a call, as its caller sees it.
    pub engine: Engine,
    /// What streams now.
    pub running: Arc<Running>,
    /// What was planned and is about to stream.
    pub planned: Arc<Planned>,
    /// Where queries compute.
    pub lanes: Arc<Lanes>,
    /// What seals all that clients keep.
    pub seal: Arc<Seal>,
}

/// An answer as it streams.
pub(super) struct Download {
    /// The id by which it is cancelled.
    pub id: QueryId,
    /// A message without rows.
    pub filler: Message,
    /// The messages; dropping them cancels the query.
    pub messages: BoxStream<'static, Result<Message>>,
    /// What ends the query where it does not look up.
    pub stop: Stop,
}

impl Calls {
    /// Returns who asks, and in which session.
    ///
    /// # Errors
    /// As [`Client::of_request`].
    pub(super) fn client<T>(&self, request: &Request<T>) -> Result<Client> {
        Client::of_request(request, &self.engine, &self.seal)
    }

    /// Returns the calls over what a caller sees. All that a call reads, it reads through these.
    ///
    /// # Errors
    /// As [`Engine::as_user`].
    pub(super) async fn of_caller(&self, caller: &Caller) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { engine: self.engine.as_user(caller).await?, ..self.clone() }))
    }

    /// Returns what a client needs to fetch the answer to a command.
    ///
    /// # Errors
    /// `Argument` or `Unsupported` where it is no command that is served, and what planning gives.
    pub(super) async fn info(&self, client: Client, descriptor: FlightDescriptor) -> Result<FlightInfo> {
        let command = command_of(descriptor.cmd.clone())?;
        let Announced { schema, tickets, is_ordered } = match metadata::schema_of(&command) {
            Some(schema) => {
                let schema = schema.as_ref().clone();
                Announced { schema, tickets: vec![descriptor.cmd.clone()], is_ordered: true }
            }
            None => {
                let query = query_of(command, &client)?;
                query::announce(&self.engine, &self.running, &self.planned, query, &client).await?
            }
        };
        let info = FlightInfo::new().with_descriptor(descriptor).with_ordered(is_ordered);
        let endpoint = |ticket| FlightEndpoint::new().with_ticket(Ticket::new(ticket));
        tickets
            .into_iter()
            .fold(info, |info, ticket| info.with_endpoint(endpoint(ticket)))
            .try_with_schema(&schema)
            .map_err(|cause| Error::new(ErrorKind::Internal, "a schema cannot be encoded").with_source(cause))
    }

    /// Returns the columns of the answer to a command.
    ///
    /// # Errors
    /// As [`Calls::info`].
    pub(super) async fn schema(&self, client: Client, descriptor: FlightDescriptor) -> Result<SchemaResult> {
        let command = command_of(descriptor.cmd)?;
        let schema = match metadata::schema_of(&command) {
            Some(schema) => schema.as_ref().clone(),
            None => {
                let query = query_of(command, &client)?;
                query::schema_of(&query::plan(&self.engine, &query, &client.origin(&self.running)).await?)
            }
        };
        SchemaResult::try_from(SchemaAsIpc::new(&schema, &Default::default()))
            .map_err(|cause| Error::new(ErrorKind::Internal, "a schema cannot be encoded").with_source(cause))
    }

    /// Returns the answer that a ticket stands for.
    ///
    /// # Errors
    /// `Argument` where it is no ticket of ours, and what planning gives.
    pub(super) async fn fetch(&self, client: Client, ticket: Ticket) -> Result<Download> {
        let query = match command_of(ticket.ticket)? {
            Command::TicketStatementQuery(ticket) => Query::decode(ticket.statement_handle, &client)?,
            Command::CommandPreparedStatementQuery(prepared) => {
                Query::decode(prepared.prepared_statement_handle, &client)?
            }
            command => {
                let types = client.options.session(&self.engine)?.wire_types();
                let rows = metadata::rows_of(&self.engine, types, command).await?;
                let schema = rows.schema();
                let messages = messages_of(&schema, futures::stream::iter([Ok(rows)]))?.boxed();
                return Ok(Download {
                    id: self.running.new_id(),
                    filler: empty_message(&schema)?,
                    messages,
                    stop: Stop::default(),
                });
            }
        };
        let id = query.id.unwrap_or_else(|| self.running.new_id());
        let (engine, lanes) = (self.engine.clone(), Arc::clone(&self.lanes));
        // What was planned under another role is planned anew.
        let planned = self.planned.take(id).filter(|statement| statement.is_of(&engine));
        let origin = Origin { id: id.0, sql: query.sql.clone(), ..client.origin(&self.running) };
        let opening = futures::stream::once(async move { query::open(&engine, lanes, query, planned, origin).await });
        // A write is done before its answer starts, and can be cancelled all the same.
        match self.running.track(id, opening.boxed()).next().await {
            Some(opened) => {
                let Opened { schema, messages, stop } = opened?;
                Ok(Download { id, filler: empty_message(&schema)?, messages, stop })
            }
            None => Err(Error::new(ErrorKind::Internal, "a query has no answer")),
        }
    }

    /// Returns the answer to an upload: parameters are bound, statements that write and rows are carried out.
    ///
    /// # Errors
    /// `Argument` or `Limit` where the parameters are wrong, `Refused` where it would write outside the sandbox, and what
    /// writing gives.
    pub(super) async fn put(&self, client: Client, mut messages: Streaming<FlightData>) -> Result<PutResult> {
        let first = messages.message().await.map_err(broken_off)?;
        let first = first.ok_or_else(|| Error::new(ErrorKind::Argument, "the upload has no message"))?;
        let descriptor = first.flight_descriptor.clone().unwrap_or_default();
        let all = futures::stream::iter([Ok(first)]).chain(messages.map_err(Into::into));
        match command_of(descriptor.cmd)? {
            Command::CommandPreparedStatementQuery(command) => {
                let origin = client.origin(&self.running);
                let handle =
                    query::bind(&self.engine, command.prepared_statement_handle, all, &client, &origin).await?;
                let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) };
                Ok(PutResult { app_metadata: result.encode_to_vec().into() })
            }
            Command::CommandStatementUpdate(command) => {
                refuse_transaction(command.transaction_id.as_ref())?;
                let query = Query::new(command.query, &client);
                write::update(&self.engine, query, all, client.origin(&self.running)).await
            }
            Command::CommandPreparedStatementUpdate(command) => {
                let query = Query::decode(command.prepared_statement_handle, &client)?;
                write::update(&self.engine, query, all, client.origin(&self.running)).await
            }
            Command::CommandStatementIngest(command) => {
                let session = client.options.session(&self.engine)?;
                write::ingest(&session, command, all).await
            }
            command => Err(unsupported(&command)),
        }
    }

    /// Does an action.
    ///
    /// # Errors
    /// As [`actions::act`].
    pub(super) async fn act(&self, client: Client, action: Action) -> Result<Done> {
        actions::act(&self.engine, &self.running, client, action).await
    }
}

/// Returns the command in a descriptor or ticket.
fn command_of(bytes: Bytes) -> Result<Command> {
    let unreadable = || {
        Error::new(ErrorKind::Argument, "the descriptor or ticket is no command of Flight SQL")
            .with_hint("ask with a client of Flight SQL; topline serves no other flights")
    };
    let any = Any::decode(bytes).map_err(|cause| unreadable().with_source(cause))?;
    match Command::try_from(any).map_err(|cause| unreadable().with_source(cause))? {
        Command::Unknown(any) if any.type_url.is_empty() => Err(unreadable()),
        Command::Unknown(any) => {
            Err(Error::new(ErrorKind::Unsupported, format!("\"{}\" is not supported", any.type_url)))
        }
        command => Ok(command),
    }
}

/// Returns the query that a command asks for.
fn query_of(command: Command, client: &Client) -> Result<Query> {
    match command {
        Command::CommandStatementQuery(command) => {
            refuse_transaction(command.transaction_id.as_ref())?;
            Ok(Query::new(command.query, client))
        }
        Command::CommandPreparedStatementQuery(command) => Query::decode(command.prepared_statement_handle, client),
        command => Err(unsupported(&command)),
    }
}

fn unsupported(command: &Command) -> Error {
    let name = command.type_url().rsplit('.').next().unwrap_or_default().to_owned();
    Error::new(ErrorKind::Unsupported, format!("\"{name}\" is not supported in this call"))
}

fn broken_off(cause: Status) -> Error {
    let kind = if cause.code() == tonic::Code::OutOfRange { ErrorKind::Limit } else { ErrorKind::Argument };
    Error::new(kind, format!("the upload broke off: {}", cause.message())).with_source(cause)
}
