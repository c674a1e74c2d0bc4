//! The way of a query: from a text to what a client needs to fetch it, and from a ticket to rows.

use std::sync::Arc;
use std::time::Instant;

use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{ActionCreatePreparedStatementResult, Any, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightData, Ticket};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use prost::Message as _;

use super::client::Client;
use super::columns;
use super::handle::Query;
use super::messages::{Message, encoded_schema, messages_of, row_messages, schema_message};
use super::planned::Planned;
use super::running::{QueryId, Running};
use super::upload::{self, Upload};
use super::workers::Lanes;
use super::write;
use crate::engine::{Engine, Lane, Origin, Statement, Stop, apart};
use crate::error::{Error, ErrorKind, Result};

/// The most bytes of bound parameters: the handle with them stands twice in a FlightInfo, which must fit the 64 MiB
/// that clients and server can be told to take.
const PARAMETER_BYTES_MAX: usize = 30 << 20;

/// The most rows of bound parameters: the query runs once for each, one after the other.
const PARAMETER_ROWS_MAX: usize = 10_000;

/// The flag that a prepared statement is an update, encoded: field 4, for which the library's type has no place.
const IS_UPDATE: &[u8] = &[4 << 3, 1];

/// Returns what preparing a statement gives, packed: a handle, and the columns of result and parameters.
///
/// # Errors
/// `Query` or `Refused` where it does not plan.
pub(super) async fn prepare(engine: &Engine, sql: String, client: &Client, origin: &Origin) -> Result<Any> {
    let query = Query::new(sql, client);
    let statement = plan(engine, &query, origin).await?;
    // A client that does not know of a flag for it takes a statement without columns for an update.
    let columns = if statement.is_write() { Schema::empty() } else { schema_of(&statement) };
    let prepared = ActionCreatePreparedStatementResult {
        prepared_statement_handle: query.encode(client)?,
        dataset_schema: encoded_schema(&columns)?,
        parameter_schema: encoded_schema(&parameter_schema(&statement)?)?,
    };
    let mut packed = prepared.as_any();
    if statement.is_write() {
        packed.value = [&packed.value, IS_UPDATE].concat().into();
    }
    Ok(packed)
}

/// Returns the plan of a query. One that does not plan is among the queries that failed.
///
/// # Errors
/// `Query` or `Refused` where it does not plan, `Config` or `NotFound` where an option of its session is wrong.
pub(super) async fn plan(engine: &Engine, query: &Query, origin: &Origin) -> Result<Statement> {
    let (began, span) = (Instant::now(), origin.span.child("plan"));
    span.note_sql(&query.sql);
    let planned = async { query.options.session(engine)?.prepare(&query.sql).await };
    let planned = async {
        let _place = engine.place_for_planning().await?;
        apart(planned).await
    };
    planned.await.map_err(Error::with_id).inspect_err(|error| {
        span.fail(error.kind().name());
        engine.not_planned(Origin { sql: query.sql.clone(), ..origin.clone() }, began.elapsed(), error);
    })
}

/// Returns the columns of a statement's result as clients see them everywhere: prepared, announced and streamed.
pub(super) fn schema_of(statement: &Statement) -> Schema {
    columns::of_result(&statement.schema())
}

/// Returns the columns by which clients bind parameters.
fn parameter_schema(statement: &Statement) -> Result<Schema> {
    let fields = statement.parameters()?.into_iter().map(|field| match field.data_type() {
        // JDBC writes milliseconds, whatever the unit.
        DataType::Timestamp(_, zone) => {
            Field::new(field.name(), DataType::Timestamp(TimeUnit::Millisecond, zone.clone()), field.is_nullable())
        }
        _ => field.as_ref().clone(),
    });
    Ok(columns::of_result(&Schema::new(fields.collect::<Vec<_>>())))
}

/// What a client needs to fetch a query.
pub(super) struct Announced {
    /// The columns.
    pub schema: Schema,
    /// What fetches the rows, one part of them each.
    pub tickets: Vec<Bytes>,
    /// Whether the rows come in an order that the query asks for.
    pub is_ordered: bool,
}

/// Returns the columns of a query and the tickets that fetch it.
///
/// # Errors
/// As [`plan`], and `Argument` where parameters are not bound.
pub(super) async fn announce(
    engine: &Engine,
    running: &Running,
    planned: &Planned,
    query: Query,
    client: &Client,
) -> Result<Announced> {
    let origin = client.origin(running);
    let statement = plan(engine, &query, &origin).await?;
    check_bound(&statement, &query)?;
    let parts = parts_of(engine, &statement, &query, client, &origin).await?;
    let since = |id: QueryId| statement.ticket(id.0).since;
    let ticket = |query: Query, id: QueryId| {
        let query = Query { id: Some(id), since: since(id), ..query };
        Ok(ticket(query.encode(client)?).ticket)
    };
    let (schema, is_ordered) = (schema_of(&statement), statement.is_ordered());
    if !parts.is_empty() {
        let tickets = parts.into_iter().map(|part| ticket(part, running.new_id())).collect::<Result<_>>()?;
        return Ok(Announced { schema, tickets, is_ordered });
    }
    let id = running.new_id();
    let tickets = vec![ticket(query, id)?];
    if !statement.is_write() {
        planned.keep(id, statement);
    }
    Ok(Announced { schema, tickets, is_ordered })
}

/// Returns the queries for the parts of a result, all at the same instant; none where it is not cut.
async fn parts_of(
    engine: &Engine,
    statement: &Statement,
    query: &Query,
    client: &Client,
    origin: &Origin,
) -> Result<Vec<Query>> {
    if query.parameters.is_some() || !client.reads_parts()? || statement.parts().await?.is_empty() {
        return Ok(Vec::new());
    }
    let query = Query { options: query.options.at_one_instant(engine)?, ..query.clone() };
    let parts = plan(engine, &query, origin).await?.parts().await?;
    Ok(parts.into_iter().map(|part| Query { part: Some(part), ..query.clone() }).collect())
}

/// Returns the ticket that carries a query.
pub(super) fn ticket(statement_handle: Bytes) -> Ticket {
    Ticket::new(TicketStatementQuery { statement_handle }.as_any().encode_to_vec())
}

/// A query as it runs.
pub(super) struct Opened {
    /// Its columns.
    pub schema: Schema,
    /// Its messages; dropping them cancels it.
    pub messages: BoxStream<'static, Result<Message>>,
    /// What ends it where it does not look up.
    pub stop: Stop,
}

/// Opens a query, planned already or not. A statement that writes is done by then.
///
/// # Errors
/// As [`announce`]; what running it gives comes in the stream.
pub(super) async fn open(
    engine: &Engine,
    lanes: Arc<Lanes>,
    query: Query,
    planned: Option<Statement>,
    origin: Origin,
) -> Result<Opened> {
    let mut statement = match planned {
        Some(statement) => statement,
        None => plan(engine, &query, &origin).await?,
    };
    check_bound(&statement, &query)?;
    let (schema, stop) = (schema_of(&statement), statement.stop());
    let run = statement.begin(origin)?;
    if statement.is_write() {
        let answer = lanes.of(Lane::Heavy).run(write::of_ticket(statement, query)).await?;
        let messages = messages_of(&schema, futures::stream::iter([Ok(answer)]))?.boxed();
        return Ok(Opened { schema, messages, stop });
    }
    let columns = schema.clone();
    let made = async move {
        let (lane, rows) = rows_of(&lanes, statement, query).await?;
        let messages = row_messages(&columns, rows)?.boxed();
        Ok(lanes.of(lane).pump(messages, run))
    };
    // The columns go out at once, also where the rows have to wait.
    let first = futures::stream::iter([Ok(schema_message(&schema))]);
    let messages = first.chain(futures::stream::once(made).try_flatten()).boxed();
    Ok(Opened { schema, messages, stop })
}

type Rows = BoxStream<'static, Result<RecordBatch>>;

/// Returns the rows of a query, which has not begun, and where it is to run.
async fn rows_of(lanes: &Lanes, statement: Statement, query: Query) -> Result<(Lane, Rows)> {
    let quick = lanes.of(Lane::Quick);
    let ready = match (query.parameters, query.part) {
        (None, None) => quick.run(statement.prepared(None)).await?,
        (None, Some(part)) => quick.run(statement.part(part)).await?,
        (Some(parameters), _) if parameters.num_rows() == 1 => quick.run(statement.bound(parameters, 0)).await?,
        (Some(parameters), _) => {
            let rows = futures::stream::iter(0..parameters.num_rows()).then(move |row| {
                let ready = statement.clone().bound(parameters.clone(), row);
                async move { ready.await?.rows().await }
            });
            return Ok((Lane::Heavy, rows.try_flatten().boxed()));
        }
    };
    let ready = ready.entered().await?;
    Ok((ready.lane(), futures::stream::once(ready.rows()).try_flatten().boxed()))
}

pub(super) fn check_bound(statement: &Statement, query: &Query) -> Result<()> {
    let expected = statement.parameters()?.len();
    let found = query.parameters.as_ref().map_or(0, RecordBatch::num_columns);
    if expected == found {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Argument, format!("the query has {expected} parameters, but {found} are bound"))
        .with_hint("prepare the query and bind a value for each parameter"))
}

/// Returns the handle of a prepared statement with parameters bound.
///
/// # Errors
/// `Argument` where handle or parameters are wrong, `Limit` where these are too many.
pub(super) async fn bind(
    engine: &Engine,
    handle: Bytes,
    messages: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
    client: &Client,
    origin: &Origin,
) -> Result<Bytes> {
    let mut query = Query::decode(handle, client)?;
    let rows = parameter_rows(messages).await?;
    query.parameters = match rows {
        Some(rows) => Some(plan(engine, &query, origin).await?.bind(&rows)?),
        None => None,
    };
    query.encode(client)
}

/// Returns the rows of parameters that a client sends; `None` where it sends none.
///
/// # Errors
/// `Argument` where they cannot be read, `Limit` where they are too many.
pub(super) async fn parameter_rows(
    messages: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
) -> Result<Option<RecordBatch>> {
    let mut batches = Upload::new(messages);
    let unreadable = |cause| upload::unreadable("the parameters cannot be read", cause);
    let (mut read, mut bytes, mut rows) = (Vec::new(), 0, 0);
    while let Some(batch) = batches.try_next().await.map_err(unreadable)? {
        // Not the buffers' capacity: those of one message are one allocation, which each column would count whole.
        for column in batch.columns() {
            bytes += column.to_data().get_slice_memory_size().map_err(|cause| unreadable(cause.into()))?;
        }
        rows += batch.num_rows();
        if bytes > PARAMETER_BYTES_MAX || rows > PARAMETER_ROWS_MAX {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("the parameters have more than {PARAMETER_ROWS_MAX} rows or {} MiB", PARAMETER_BYTES_MAX >> 20),
            )
            .with_hint("bind fewer rows at once"));
        }
        read.push(batch);
    }
    // What clients send that bind nothing: no message, or a batch without columns and rows.
    let Some(first) = read.first().filter(|first| first.num_columns() > 0 || rows > 0) else { return Ok(None) };
    concat_batches(&first.schema(), &read)
        .map(Some)
        .map_err(|cause| Error::new(ErrorKind::Argument, "the parameters cannot be read").with_source(cause))
}
