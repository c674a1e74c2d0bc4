//! Actions: preparing and closing statements, cancelling, options of the session.

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, Command, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint, FlightInfo,
    RenewFlightEndpointRequest, Ticket,
};
use bytes::Bytes;
use prost::Message;
use tonic::metadata::AsciiMetadataValue;

use super::client::Client;
use super::handle::Query;
use super::running::Running;
use super::session::{ClosedMessage, OptionsMessage, RefusalMessage, RefusalsMessage};
use super::{cookie, query};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";
const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
const CANCEL_QUERY: &str = "CancelQuery";
const RENEW_FLIGHT_ENDPOINT: &str = "RenewFlightEndpoint";
const SET_SESSION_OPTIONS: &str = "SetSessionOptions";
const GET_SESSION_OPTIONS: &str = "GetSessionOptions";
const CLOSE_SESSION: &str = "CloseSession";

/// The actions that are served, with what they do.
const SERVED: [(&str, &str); 8] = [
    (CREATE_PREPARED_STATEMENT, "Prepares a query; the handle carries it, so nothing has to be kept."),
    (CLOSE_PREPARED_STATEMENT, "Closes a prepared query."),
    (CANCEL_FLIGHT_INFO, "Cancels a query that streams."),
    (CANCEL_QUERY, "Cancels a query that streams; older clients' form."),
    (RENEW_FLIGHT_ENDPOINT, "Gives a ticket for the same query that is good for longer."),
    (SET_SESSION_OPTIONS, "Sets options of the session: schema, types and settings. The client must keep cookies."),
    (GET_SESSION_OPTIONS, "Lists the options of the session."),
    (CLOSE_SESSION, "Forgets the options of the session."),
];

/// Actions of transactions and of another query language, which are part of the protocol.
const NOT_SERVED: [&str; 5] =
    ["BeginTransaction", "EndTransaction", "BeginSavepoint", "EndSavepoint", "CreatePreparedSubstraitPlan"];

/// The status of a session that is closed.
const CLOSED: i32 = 1;

/// What an action gives.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The body of the result; `None` where there is none.
    pub body: Option<Bytes>,
    /// The header that changes what the client keeps of its session.
    pub cookie: Option<AsciiMetadataValue>,
}

/// Returns the actions that are served.
pub(super) fn listed() -> impl Iterator<Item = ActionType> {
    SERVED
        .iter()
        .map(|(name, description)| ActionType { r#type: (*name).to_owned(), description: (*description).to_owned() })
}

/// Does an action.
///
/// # Errors
/// `Argument` where the request cannot be read, `Unsupported` where the action is not served, and what it gives.
pub(super) async fn act(engine: &Engine, running: &Running, client: Client, action: Action) -> Result<Done> {
    match action.r#type.as_str() {
        CREATE_PREPARED_STATEMENT => {
            let request: ActionCreatePreparedStatementRequest = packed(&action)?;
            refuse_transaction(request.transaction_id.as_ref())?;
            let prepared = query::prepare(engine, request.query, &client, &client.origin(running)).await?;
            Ok(Done { body: Some(prepared.encode_to_vec().into()), ..Done::default() })
        }
        CLOSE_PREPARED_STATEMENT => {
            let _: ActionClosePreparedStatementRequest = packed(&action)?;
            Ok(Done::default())
        }
        CANCEL_FLIGHT_INFO => {
            let request: CancelFlightInfoRequest = plain(&action)?;
            let status = cancel(running, &request.info.unwrap_or_default(), &client)?;
            Ok(Done { body: Some(CancelFlightInfoResult::new(status).encode_to_vec().into()), ..Done::default() })
        }
        CANCEL_QUERY => {
            let request: ActionCancelQueryRequest = packed(&action)?;
            let info = FlightInfo::decode(request.info).map_err(|cause| unreadable(&action).with_source(cause))?;
            // The two enumerations have the same numbers.
            let result = ActionCancelQueryResult { result: cancel(running, &info, &client)? as i32 };
            Ok(Done { body: Some(result.as_any().encode_to_vec().into()), ..Done::default() })
        }
        RENEW_FLIGHT_ENDPOINT => {
            let request: RenewFlightEndpointRequest = plain(&action)?;
            let endpoint = request.endpoint.ok_or_else(|| unreadable(&action))?;
            let handle = query_of(endpoint.ticket.as_ref(), &client)?.encode(&client)?;
            let renewed = FlightEndpoint { ticket: Some(query::ticket(handle)), ..endpoint };
            Ok(Done { body: Some(renewed.encode_to_vec().into()), ..Done::default() })
        }
        SET_SESSION_OPTIONS => set_options(engine, client, plain(&action)?),
        GET_SESSION_OPTIONS => {
            let answer = OptionsMessage { options: client.options.listed(engine, &client)? };
            Ok(Done { body: Some(answer.encode_to_vec().into()), ..Done::default() })
        }
        CLOSE_SESSION => {
            let answer = ClosedMessage { status: CLOSED };
            Ok(Done { body: Some(answer.encode_to_vec().into()), cookie: Some(cookie::forgotten()) })
        }
        name if NOT_SERVED.contains(&name) => Err(not_served(name)),
        name => Err(Error::new(ErrorKind::Unsupported, format!("action \"{name}\" does not exist"))
            .with_hint("ListActions names those that do")),
    }
}

/// Refuses a statement that is part of a transaction.
///
/// # Errors
/// `Unsupported` where it names one.
pub(super) fn refuse_transaction(transaction: Option<&Bytes>) -> Result<()> {
    match transaction {
        Some(_) => Err(not_served("a transaction")),
        None => Ok(()),
    }
}

fn not_served(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not supported: topline answers single queries in SQL"))
}

fn set_options(engine: &Engine, mut client: Client, request: OptionsMessage) -> Result<Done> {
    let mut answer = RefusalsMessage::default();
    for (name, value) in request.options {
        if let Err(refusal) = client.options.set(engine, &name, value.into_text()) {
            answer.refusals.insert(name, RefusalMessage { refusal: refusal as i32 });
        }
    }
    Ok(Done { body: Some(answer.encode_to_vec().into()), cookie: Some(client.options.to_cookie(&client)?) })
}

fn cancel(running: &Running, info: &FlightInfo, client: &Client) -> Result<CancelStatus> {
    let mut found = false;
    for endpoint in &info.endpoint {
        if let Some(id) = query_of(endpoint.ticket.as_ref(), client)?.id {
            found |= running.cancel(id);
        }
    }
    Ok(if found { CancelStatus::Cancelled } else { CancelStatus::NotCancellable })
}

/// Returns the query that a ticket stands for.
fn query_of(ticket: Option<&Ticket>, client: &Client) -> Result<Query> {
    let bytes = ticket.map(|ticket| ticket.ticket.clone()).unwrap_or_default();
    match Any::decode(bytes).ok().and_then(|any| Command::try_from(any).ok()) {
        Some(Command::TicketStatementQuery(ticket)) => Query::decode(ticket.statement_handle, client),
        _ => Err(Error::new(ErrorKind::Argument, "the FlightInfo is none of a query")
            .with_hint("send the FlightInfo or the endpoint of a query")),
    }
}

fn plain<M: Message + Default>(action: &Action) -> Result<M> {
    M::decode(action.body.clone()).map_err(|cause| unreadable(action).with_source(cause))
}

fn packed<M: ProstMessageExt>(action: &Action) -> Result<M> {
    let any = Any::decode(action.body.clone()).map_err(|cause| unreadable(action).with_source(cause))?;
    any.unpack().map_err(|cause| unreadable(action).with_source(cause))?.ok_or_else(|| unreadable(action))
}

fn unreadable(action: &Action) -> Error {
    Error::new(ErrorKind::Argument, format!("the request of action \"{}\" cannot be read", action.r#type))
}
