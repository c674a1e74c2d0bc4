//! Statements that write, and rows that a client uploads: each carried out once for each call or ticket.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::Int64Array;
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{CommandStatementIngest, DoPutUpdateResult, TableExistsOption, TableNotExistOption};
use arrow_flight::{FlightData, PutResult};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::Status;

use super::actions::refuse_transaction;
use super::handle::Query;
use super::query::{check_bound, parameter_rows, plan};
use super::upload::{self, Upload};
use crate::engine::{CATALOG, Engine, Exists, Ingest, Missing, Origin, Session, Statement};
use crate::error::{Error, ErrorKind, Result};

/// The longest silence of an upload: it has one of the few places for writers.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Why one ends that is silent for longer.
const SILENT: &str = "the upload was silent for a minute";

/// Carries out a statement that came as an update, with the parameters that come behind it, all in one commit.
///
/// # Errors
/// `Refused` where it is a query, `Argument` or `Limit` where the parameters are wrong, and what the write gives.
pub(super) async fn update(
    engine: &Engine,
    mut query: Query,
    messages: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
    origin: Origin,
) -> Result<PutResult> {
    let mut statement = plan(engine, &query, &origin).await?;
    if let Some(rows) = parameter_rows(messages).await? {
        query.parameters = Some(statement.bind(&rows)?);
    }
    check_bound(&statement, &query)?;
    let _run = statement.begin(Origin { sql: query.sql, ..origin })?;
    Ok(count(statement.write(None, query.parameters).await?))
}

/// Carries out a write that a ticket stands for, unless it is done already; returns its answer, a row.
///
/// # Errors
/// `Argument` where the ticket has no id, and what the write gives.
pub(super) async fn of_ticket(statement: Statement, query: Query) -> Result<RecordBatch> {
    let Some(id) = query.id else {
        return Err(Error::new(ErrorKind::Argument, "a statement that writes has no ticket of its own")
            .with_hint("ask for one with GetFlightInfo, or send the statement as an update"));
    };
    let schema = statement.schema();
    let ticket = crate::engine::WriteTicket { number: id.0, since: query.since };
    let rows = statement.write(Some(ticket), query.parameters).await?;
    let counts = Int64Array::from(vec![i64::try_from(rows).unwrap_or(i64::MAX)]);
    RecordBatch::try_new(schema, vec![Arc::new(counts)])
        .map_err(|cause| Error::new(ErrorKind::Internal, "the answer to a write cannot be made").with_source(cause))
}

/// Loads the rows that a client uploads into a table of the sandbox.
///
/// # Errors
/// `Argument` where the upload cannot be read, `Unsupported` where it asks for a temporary table or a transaction, and what
/// the write gives.
pub(super) async fn ingest(
    session: &Session,
    command: CommandStatementIngest,
    messages: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
) -> Result<PutResult> {
    refuse_transaction(command.transaction_id.as_ref())?;
    if command.temporary {
        return Err(Error::new(ErrorKind::Unsupported, "a temporary table is not supported")
            .with_hint("make one in schema sandbox, and drop it"));
    }
    if let Some(catalog) = command.catalog.as_ref().filter(|catalog| !catalog.is_empty() && *catalog != CATALOG) {
        return Err(Error::new(ErrorKind::NotFound, format!("catalog \"{catalog}\" does not exist"))
            .with_hint(format!("there is \"{CATALOG}\"")));
    }
    let options = command.table_definition_options.unwrap_or_default();
    let missing = match options.if_not_exist() {
        TableNotExistOption::Fail => Missing::Fails,
        TableNotExistOption::Create | TableNotExistOption::Unspecified => Missing::IsMade,
    };
    let exists = match options.if_exists() {
        TableExistsOption::Append => Exists::IsExtended,
        TableExistsOption::Replace => Exists::IsReplaced,
        TableExistsOption::Fail | TableExistsOption::Unspecified => Exists::Fails,
    };
    let schema = command.schema.filter(|schema| !schema.is_empty());
    let ingest = Ingest { schema, table: command.table, missing, exists };
    let patient = tokio_stream::StreamExt::timeout(messages, SILENCE_MAX);
    let patient = patient.map(|message| message.unwrap_or_else(|_| Err(FlightError::from(Status::cancelled(SILENT)))));
    let mut batches = Upload::new(patient.boxed());
    let first = batches.try_next().await.map_err(unreadable)?;
    let Some(columns) = batches.schema().cloned() else {
        return Err(
            Error::new(ErrorKind::Argument, "the upload has no columns").with_hint("send the schema of the rows first")
        );
    };
    let rows = stream::iter(first.map(Ok)).chain(batches.map_err(unreadable)).boxed();
    Ok(count(session.ingest(ingest, &columns, rows).await?))
}

fn count(rows: u64) -> PutResult {
    let result = DoPutUpdateResult { record_count: i64::try_from(rows).unwrap_or(i64::MAX) };
    PutResult { app_metadata: result.encode_to_vec().into() }
}

fn unreadable(cause: FlightError) -> Error {
    upload::unreadable("the upload broke off, or cannot be read; nothing of it was stored", cause)
}
