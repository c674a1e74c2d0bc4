//! What tickets and prepared statements carry: the whole query, so that any instance can run it at any time.

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use prost::Message;

use super::running::QueryId;
use super::session::SessionOptions;
use crate::error::{Error, ErrorKind, Result};

/// Says that the bytes are a handle of ours, in this form: "TL" and a number.
const FORM: u32 = 0x544c_0001;

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
}

impl Query {
    /// Returns the bytes that a client keeps.
    ///
    /// # Errors
    /// `Internal` where the parameters cannot be encoded.
    pub(super) fn encode(&self) -> Result<Bytes> {
        let parameters = self.parameters.as_ref().map(encode_rows).transpose()?;
        let message = HandleMessage {
            form: FORM,
            sql: self.sql.clone(),
            options: self.options.entries().clone(),
            parameters,
            id: self.id.map(|id| id.0),
        };
        Ok(message.encode_to_vec().into())
    }

    /// Returns the query that a client kept.
    ///
    /// # Errors
    /// `Argument` where the bytes are none of ours.
    pub(super) fn decode(bytes: Bytes) -> Result<Self> {
        let message =
            HandleMessage::decode(bytes).ok().filter(|message| message.form == FORM).ok_or_else(unreadable)?;
        let parameters = message.parameters.map(decode_rows).transpose()?;
        Ok(Self {
            sql: message.sql,
            options: SessionOptions::of_entries(message.options),
            parameters,
            id: message.id.map(QueryId),
        })
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Argument, "the handle or ticket is none of this server's")
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
        }
    }

    #[test]
    fn a_query_comes_back_as_it_was_sent() {
        let bytes = query().encode().expect("it encodes");
        assert_eq!(Query::decode(bytes).expect("it decodes"), query());
    }

    proptest! {
        #[test]
        fn broken_bytes_are_an_error_of_the_client(flips in prop::collection::vec((0_usize..10_000, 1_u8..), 1..6), cut in 0_usize..10_000) {
            let mut bytes = query().encode().expect("it encodes").to_vec();
            for (place, flip) in flips {
                let place = place % bytes.len();
                bytes[place] ^= flip;
            }
            bytes.truncate(1 + cut % bytes.len());
            if let Err(error) = Query::decode(bytes.into()) {
                prop_assert_eq!(error.kind(), ErrorKind::Argument);
            }
        }
    }
}
