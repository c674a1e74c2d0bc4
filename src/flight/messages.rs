//! Rows as messages: the schema first, then batches cut so that every client takes them.

use std::collections::VecDeque;

use arrow::datatypes::Schema;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::error::{Error, ErrorKind, Result};

/// The largest encoded message of more than one row. Several clients take 4 MiB at most; half of it leaves room for
/// what gRPC adds, and cuts a stream finely enough for a first row to arrive soon.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

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

/// Returns the messages of a result.
pub(super) fn messages_of(
    schema: &Schema,
    rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> impl Stream<Item = Result<FlightData>> + Send + 'static {
    let first = FlightData::from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    let mut encoder = Encoder::new();
    let batches = rows.flat_map(move |batch| {
        let messages = match batch.and_then(|batch| encoder.encode(batch)) {
            Ok(messages) => messages.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(messages)
    });
    futures::stream::once(std::future::ready(Ok(first))).chain(batches)
}

struct Encoder {
    generator: IpcDataGenerator,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl Encoder {
    fn new() -> Self {
        Self {
            generator: IpcDataGenerator::default(),
            options: IpcWriteOptions::default(),
            context: IpcWriteContext::default(),
        }
    }

    /// Returns the messages of a batch. One that comes out too large is cut into as many parts as its size asks for;
    /// rows of uneven sizes are cut again, down to a single row.
    fn encode(&mut self, batch: RecordBatch) -> Result<Vec<FlightData>> {
        let mut messages = Vec::new();
        let mut open = VecDeque::from([batch]);
        while let Some(batch) = open.pop_front() {
            let message = self.message(&batch)?;
            let (bytes, rows) = (message.data_header.len() + message.data_body.len(), batch.num_rows());
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

    fn message(&mut self, batch: &RecordBatch) -> Result<FlightData> {
        // Results have no dictionaries: the engine's wire types are plain.
        let mut dictionaries = DictionaryTracker::new(DICTIONARIES_ARE_FINAL);
        self.generator
            .encode(batch, &mut dictionaries, &self.options, &mut self.context)
            .map(|(_, encoded)| FlightData::from(encoded))
            .map_err(|cause| Error::new(ErrorKind::Internal, "a batch of rows cannot be encoded").with_source(cause))
    }
}

/// Flight knows no replacement of a dictionary.
const DICTIONARIES_ARE_FINAL: bool = true;

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
        let messages: Vec<FlightData> =
            messages_of(&schema, futures::stream::iter([Ok(batch)])).try_collect().await.expect("it encodes");
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
        let messages: Vec<_> = messages_of(&schema, futures::stream::empty()).collect().await;
        assert_eq!(messages.len(), 1);
    }
}
