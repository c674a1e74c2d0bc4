//! What tickets and prepared statements carry: the whole query, so that any instance with the same key can run it. They
//! are sealed for the user who asked, and no two are alike.

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use prost::Message;

use super::client::Client;
use super::running::QueryId;
use super::session::SessionOptions;
use crate::auth::Caller;
use crate::auth::random::random_bytes;
use crate::auth::seal::Sealed;
use crate::engine::Part;
use crate::error::{Error, ErrorKind, Result};

/// Says that the bytes are a handle of ours, in this form: "TL" and a number.
const FORM: u32 = 0x544c_0002;

/// How long a ticket is good: dashboards fetch theirs a day late at most, and one that leaks is of no use for long.
const TICKET_SECONDS: i64 = 24 * 3600;

/// Bytes by which one handle differs from another of the same text: nobody guesses so many.
const NONCE_BYTES: usize = 16;

/// A query as it travels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    /// The text.
    pub sql: String,
    /// The options of the session in which it was asked.
    pub options: SessionOptions,
    /// The bound parameters: the query runs once for each row. `None` where none are bound.
    pub parameters: Option<RecordBatch>,
    /// The id by which it can be cancelled; `None` for a prepared statement.
    pub id: Option<QueryId>,
    /// Who asks.
    pub caller: Caller,
    /// How far the log of the table that is written was when the ticket was made; `None` where there was none.
    pub since: Option<u64>,
    /// The part of the result that is asked for; `None` is all of it.
    pub part: Option<Part>,
}

#[derive(Clone, PartialEq, Message)]
struct HandleMessage {
    #[prost(fixed32, tag = "1")]
    form: u32,
    #[prost(string, tag = "2")]
    sql: String,
    #[prost(btree_map = "string, string", tag = "3")]
    options: std::collections::BTreeMap<String, String>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    parameters: Option<Bytes>,
    #[prost(fixed64, optional, tag = "5")]
    id: Option<u64>,
    #[prost(bytes = "vec", tag = "6")]
    nonce: Vec<u8>,
    #[prost(int64, optional, tag = "7")]
    expires_at_seconds: Option<i64>,
    #[prost(uint64, optional, tag = "8")]
    since: Option<u64>,
    #[prost(message, optional, tag = "9")]
    part: Option<PartMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct PartMessage {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(uint32, tag = "2")]
    count: u32,
    #[prost(fixed64, tag = "3")]
    print: u64,
}

impl Query {
    /// Returns a query without parameters, as it is asked for by a client.
    pub(super) fn new(sql: String, client: &Client) -> Self {
        Self {
            sql,
            options: client.options.clone(),
            parameters: None,
            id: None,
            caller: client.caller.clone(),
            since: None,
            part: None,
        }
    }

    /// Returns the bytes that the client keeps. With an id they are a ticket, which expires.
    ///
    /// # Errors
    /// `Internal` where the parameters cannot be encoded.
    pub(super) fn encode(&self, client: &Client) -> Result<Bytes> {
        let parameters = self.parameters.as_ref().map(encode_rows).transpose()?;
        let message = HandleMessage {
            form: FORM,
            sql: self.sql.clone(),
            options: self.options.entries().clone(),
            parameters,
            id: self.id.map(|id| id.0),
            nonce: random_bytes::<NONCE_BYTES>()?.to_vec(),
            expires_at_seconds: self.id.map(|_| client.now_seconds() + TICKET_SECONDS),
            since: self.since,
            part: self.part.map(|Part { number, count, print }| PartMessage { number, count, print }),
        };
        Ok(client.seal(Sealed::Handle, message.encode_to_vec()))
    }

    /// Returns the query that a client kept.
    ///
    /// # Errors
    /// `Argument` where the bytes are none that this server sealed for this user, or have expired.
    pub(super) fn decode(bytes: Bytes, client: &Client) -> Result<Self> {
        let opened = client.open(Sealed::Handle, bytes).ok_or_else(unreadable)?;
        let message = HandleMessage::decode(opened).ok().filter(|message| message.form == FORM);
        let message = message.ok_or_else(unreadable)?;
        if message.expires_at_seconds.is_some_and(|expires_at| expires_at <= client.now_seconds()) {
            return Err(Error::new(ErrorKind::Argument, "the ticket has expired")
                .with_hint("ask for a new one with GetFlightInfo"));
        }
        let parameters = message.parameters.map(decode_rows).transpose()?;
        Ok(Self {
            sql: message.sql,
            options: SessionOptions::of_entries(message.options),
            parameters,
            id: message.id.map(QueryId),
            caller: client.caller.clone(),
            since: message.since,
            part: message.part.map(|PartMessage { number, count, print }| Part { number, count, print }),
        })
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Argument, "the handle or ticket is none that this server has given to this user")
        .with_hint("ask for a new one with GetFlightInfo or CreatePreparedStatement")
}

fn encode_rows(rows: &RecordBatch) -> Result<Bytes> {
    let encode = || {
        let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema())?;
        writer.write(rows)?;
        writer.into_inner()
    };
    encode()
        .map(Bytes::from)
        .map_err(|cause| Error::new(ErrorKind::Internal, "the parameters cannot be encoded").with_source(cause))
}

fn decode_rows(bytes: Bytes) -> Result<RecordBatch> {
    let unreadable = |cause| unreadable().with_source(cause);
    let mut reader = StreamReader::try_new(bytes.as_ref(), ALL_COLUMNS).map_err(unreadable)?;
    reader.next().transpose().map_err(unreadable)?.ok_or_else(self::unreadable)
}

/// Returns whether the content of a handle has parameters.
#[cfg(any(test, fuzzing))]
pub(super) fn has_parameters(content: &[u8]) -> bool {
    HandleMessage::decode(content).is_ok_and(|message| message.parameters.is_some())
}

/// The reader's projection: parameters are read whole.
const ALL_COLUMNS: Option<Vec<usize>> = None;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn query() -> Query {
        let rows = RecordBatch::try_from_iter([
            ("$1", Arc::new(Int64Array::from(vec![Some(1), None])) as _),
            ("$2", Arc::new(StringArray::from(vec!["a", "'; --"])) as _),
        ])
        .expect("two columns of two rows");
        Query {
            sql: "select $1, $2".to_owned(),
            options: SessionOptions::of_entries([("schema".to_owned(), "crm".to_owned())].into()),
            parameters: Some(rows),
            id: Some(QueryId(7)),
            caller: Caller::named("ann"),
            since: Some(3),
            part: Some(Part { number: 1, count: 2, print: 3 }),
        }
    }

    #[test]
    fn a_query_comes_back_as_it_was_sent() {
        let ann = Client::of_test("ann");
        let bytes = query().encode(&ann).expect("it encodes");
        assert_eq!(Query::decode(bytes, &ann).expect("it decodes"), query());
    }

    #[test]
    fn a_handle_is_for_the_user_who_was_given_it() {
        let ann = Client::of_test("ann");
        let bytes = query().encode(&ann).expect("it encodes");
        for other in [ann.with_caller("bob"), Client::of_test("ann")] {
            let error = Query::decode(bytes.clone(), &other).expect_err("another user, or another server");
            assert_eq!(error.kind(), ErrorKind::Argument);
        }
    }

    #[test]
    fn no_two_handles_are_alike() {
        let ann = Client::of_test("ann");
        let encode = || query().encode(&ann).expect("it encodes");
        assert_ne!(encode(), encode());
    }

    #[test]
    fn a_ticket_expires_and_a_prepared_statement_does_not() {
        let ann = Client::of_test("ann");
        let ticket = query().encode(&ann).expect("it encodes");
        let prepared = Query { id: None, ..query() }.encode(&ann).expect("it encodes");
        assert!(Query::decode(ticket.clone(), &ann.at_seconds(TICKET_SECONDS - 1)).is_ok());
        let error = Query::decode(ticket, &ann.at_seconds(TICKET_SECONDS)).expect_err("it is a day old");
        assert_eq!(error.to_string(), "the ticket has expired");
        assert!(Query::decode(prepared, &ann.at_seconds(100 * TICKET_SECONDS)).is_ok());
    }

    proptest! {
        #[test]
        fn broken_bytes_are_an_error_of_the_client(flips in prop::collection::vec((0_usize..10_000, 1_u8..), 1..6), cut in 0_usize..10_000) {
            let ann = Client::of_test("ann");
            let whole = query().encode(&ann).expect("it encodes");
            let mut bytes = whole.to_vec();
            for (place, flip) in flips {
                let place = place % bytes.len();
                bytes[place] ^= flip;
            }
            bytes.truncate(1 + cut % bytes.len());
            prop_assume!(bytes != whole);
            let error = Query::decode(bytes.into(), &ann).expect_err("it is sealed");
            prop_assert_eq!(error.kind(), ErrorKind::Argument);
        }
    }
}
