//! Rows as messages: the schema first, then batches cut so that every client takes them.

use std::collections::VecDeque;

use arrow::buffer::Buffer;
use arrow::datatypes::Schema;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow::record_batch::RecordBatch;
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};

use crate::error::{Error, ErrorKind, Result};

/// The largest encoded message of more than one row. Several clients take 4 MiB at most; half of it leaves room for
/// what gRPC adds, and cuts a stream finely enough for a first row to arrive soon.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// What stands before the header of a message in a stream of the IPC format: a mark, and the header's length.
const PREFIX_BYTES: usize = 8;

/// A message as the protocol has it, its body in the parts in which the rows lie in memory: nothing is copied before the
/// system sends it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Where each column lies in the body, or the schema.
    pub header: Bytes,
    /// The body in order.
    pub body: Vec<Bytes>,
}

impl Message {
    /// Returns the length of the body.
    pub(super) fn body_bytes(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }
}

impl From<Message> for FlightData {
    fn from(message: Message) -> Self {
        let mut body = BytesMut::with_capacity(message.body_bytes());
        message.body.iter().for_each(|part| body.put_slice(part));
        Self { data_header: message.header, data_body: body.freeze(), ..Self::default() }
    }
}

/// Returns a schema as answers carry it: an encapsulated message of the IPC format.
///
/// # Errors
/// `Internal` where it cannot be encoded.
pub(super) fn encoded_schema(schema: &Schema) -> Result<Bytes> {
    let options = IpcWriteOptions::default();
    arrow_flight::IpcMessage::try_from(SchemaAsIpc::new(schema, &options))
        .map(|message| message.0)
        .map_err(|cause| Error::new(ErrorKind::Internal, "a schema cannot be encoded").with_source(cause))
}

/// Returns the message of a batch without rows, which any number of times may come between the others.
///
/// # Errors
/// `Internal` where it cannot be encoded.
pub(super) fn empty_message(schema: &Schema) -> Result<Message> {
    Encoder::new(schema)?.message(&RecordBatch::new_empty(schema.clone().into()))
}

/// Returns the messages of a result.
///
/// # Errors
/// `Internal` where the schema cannot be encoded.
pub(super) fn messages_of(
    schema: &Schema,
    rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> Result<impl Stream<Item = Result<Message>> + Send + 'static> {
    let first = Ok(schema_message(schema));
    Ok(futures::stream::once(std::future::ready(first)).chain(row_messages(schema, rows)?))
}

/// Returns the message with which a result begins.
pub(super) fn schema_message(schema: &Schema) -> Message {
    let first = FlightData::from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    Message { header: first.data_header, body: Vec::new() }
}

/// Returns the messages of a result behind the first one.
///
/// # Errors
/// `Internal` where the schema cannot be encoded.
pub(super) fn row_messages(
    schema: &Schema,
    rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> Result<impl Stream<Item = Result<Message>> + Send + 'static> {
    let mut encoder = Encoder::new(schema)?;
    Ok(rows.flat_map(move |batch| {
        let messages = match batch.and_then(|batch| encoder.encode(batch)) {
            Ok(messages) => messages.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(messages)
    }))
}

struct Encoder {
    encoder: StreamEncoder,
}

impl Encoder {
    fn new(schema: &Schema) -> Result<Self> {
        let mut encoder = StreamEncoder::try_new(schema).map_err(unencodable)?;
        // The schema comes with the first batch, and goes out in a message of its own.
        encoder.encode(&RecordBatch::new_empty(schema.clone().into())).map_err(unencodable)?;
        Ok(Self { encoder })
    }

    /// Returns the messages of a batch. One that comes out too large is cut into as many parts as its size asks for;
    /// rows of uneven sizes are cut again, down to a single row.
    fn encode(&mut self, batch: RecordBatch) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        let mut open = VecDeque::from([batch]);
        while let Some(batch) = open.pop_front() {
            let message = self.message(&batch)?;
            let (bytes, rows) = (message.header.len() + message.body_bytes(), batch.num_rows());
            if bytes <= MESSAGE_BYTES_MAX || rows <= 1 {
                messages.push(message);
                continue;
            }
            let part = rows.div_ceil(bytes.div_ceil(MESSAGE_BYTES_MAX) + 1);
            for offset in (0..rows).step_by(part).rev() {
                open.push_front(batch.slice(offset, part.min(rows - offset)));
            }
        }
        Ok(messages)
    }

    /// Returns the message of a batch. Results have no dictionaries, which would be messages of their own: the engine's
    /// wire types are plain.
    fn message(&mut self, batch: &RecordBatch) -> Result<Message> {
        let mut parts: VecDeque<Buffer> = self.encoder.encode(batch).map_err(unencodable)?.into();
        let prefix = take(&mut parts, PREFIX_BYTES)?;
        let length = prefix.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        let header = take(&mut parts, length as usize)?;
        Ok(Message { header: header.into(), body: parts.into_iter().map(shared).collect() })
    }
}

/// Returns a part of the rows as the network takes it.
fn shared(part: Buffer) -> Bytes {
    struct Shared(Buffer);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Shared(part))
}

/// Returns so many bytes from the front of the parts, which end there.
fn take(parts: &mut VecDeque<Buffer>, length: usize) -> Result<Vec<u8>> {
    let mut taken = Vec::with_capacity(length);
    while taken.len() < length {
        let part = parts.pop_front().unwrap_or_default();
        if part.is_empty() || taken.len() + part.len() > length {
            return Err(Error::new(ErrorKind::Internal, "a batch of rows is encoded in an unknown form"));
        }
        taken.extend_from_slice(&part);
    }
    Ok(taken)
}

fn unencodable(cause: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "a batch of rows cannot be encoded").with_source(cause)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, StringArray};
    use arrow_flight::decode::FlightRecordBatchStream;
    use futures::TryStreamExt;

    use super::*;

    fn texts(lengths: impl Iterator<Item = usize>) -> RecordBatch {
        let texts: StringArray = lengths.map(|length| Some("x".repeat(length))).collect();
        RecordBatch::try_from_iter([("text", Arc::new(texts) as _)]).expect("one column")
    }

    async fn sizes(batch: RecordBatch) -> Vec<usize> {
        let lengths: Vec<usize> = batch.column(0).as_string::<i32>().iter().flatten().map(str::len).collect();
        let schema = batch.schema();
        let messages = messages_of(&schema, futures::stream::iter([Ok(batch)])).expect("a schema");
        let messages: Vec<FlightData> = messages.map_ok(FlightData::from).try_collect().await.expect("it encodes");
        let sizes = messages.iter().map(prost::Message::encoded_len).collect();
        let decoded: Vec<RecordBatch> =
            FlightRecordBatchStream::new_from_flight_data(futures::stream::iter(messages.into_iter().map(Ok)))
                .try_collect()
                .await
                .expect("it decodes");
        let arrived: Vec<usize> = decoded
            .iter()
            .flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten().map(str::len).collect::<Vec<_>>())
            .collect();
        assert_eq!(arrived, lengths);
        sizes
    }

    #[tokio::test]
    async fn a_batch_is_cut_by_its_encoded_size() {
        let sizes = sizes(texts(std::iter::repeat_n(4096, 8192))).await;
        assert!(sizes.iter().all(|size| *size <= MESSAGE_BYTES_MAX + 100), "{sizes:?}");
        assert!(sizes.len() < 40, "{} messages", sizes.len());
    }

    #[tokio::test]
    async fn one_huge_row_does_not_take_others_with_it() {
        let sizes = sizes(texts((0..4000).map(|row| if row == 5 { 9_000_000 } else { 1000 }))).await;
        assert_eq!(sizes.iter().filter(|size| **size > MESSAGE_BYTES_MAX + 100).count(), 1, "{sizes:?}");
        assert!(sizes.iter().max().is_some_and(|size| *size < 9_001_000), "{sizes:?}");
    }

    #[tokio::test]
    async fn no_rows_are_a_schema() {
        let schema = texts(std::iter::empty()).schema();
        let messages: Vec<_> = messages_of(&schema, futures::stream::empty()).expect("a schema").collect().await;
        assert_eq!(messages.len(), 1);
    }
}
