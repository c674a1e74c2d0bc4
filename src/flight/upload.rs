//! What clients upload, checked before it is decoded: the decoder takes lengths at their word, and memory that cannot be had
//! ends the process.

use std::collections::HashMap;
use std::io::{Read, copy, sink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use arrow::ipc::{CompressionType, RecordBatch as BatchHeader, root_as_message};
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{Stream, StreamExt, TryStreamExt};

use crate::error::{Error, ErrorKind};

/// The most bytes of a message once it is decompressed: as many as one may have that is not.
const DECOMPRESSED_BYTES_MAX: u64 = super::MESSAGE_BYTES_IN_MAX as u64;

/// The most rows or elements of a column of a message: those of types without content take no bytes of it.
const ELEMENTS_MAX: i64 = 1 << 24;

/// The most bytes of all dictionaries of an upload: four messages. They stay in memory until others come in their place.
const DICTIONARY_BYTES_MAX: u64 = 4 * DECOMPRESSED_BYTES_MAX;

/// The bytes before a compressed buffer that say how long it is without compression.
const PREFIX_BYTES: usize = 8;

/// What stands there where it is not compressed after all.
const NOT_COMPRESSED: i64 = -1;

/// The batches of an upload.
pub(super) struct Upload {
    batches: FlightRecordBatchStream,
    is_broken: bool,
}

impl Upload {
    /// Returns the batches in messages.
    pub(super) fn new(messages: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static) -> Self {
        // A descriptor can come alone, in a message that is none of the format.
        let with_content = messages.try_filter(|message| std::future::ready(!message.data_header.is_empty()));
        let mut dictionaries = Dictionaries { bytes: HashMap::new(), bytes_max: DICTIONARY_BYTES_MAX };
        let checked = with_content
            .map(move |message| message.and_then(|message| check(&message, &mut dictionaries).map(|()| message)));
        Self { batches: FlightRecordBatchStream::new_from_flight_data(checked), is_broken: bool::default() }
    }

    /// Returns the columns, once they were read.
    pub(super) fn schema(&self) -> Option<&SchemaRef> {
        self.batches.schema()
    }
}

impl Stream for Upload {
    type Item = Result<RecordBatch, FlightError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_broken {
            return Poll::Ready(None);
        }
        // The decoder panics at some of what does not fit together, in which nothing of this server has a part.
        let polled = catch_unwind(AssertUnwindSafe(|| self.batches.poll_next_unpin(context)));
        polled.unwrap_or_else(|_| {
            self.is_broken = true;
            Poll::Ready(Some(Err(malformed("its parts do not fit together"))))
        })
    }
}

/// The dictionaries that the decoder has.
struct Dictionaries {
    /// The bytes of each, by its number.
    bytes: HashMap<i64, u64>,
    bytes_max: u64,
}

impl Dictionaries {
    /// Notes a dictionary that came, in the place of the one before or behind it.
    fn note(&mut self, number: i64, bytes: u64, is_more: bool) -> Result<(), FlightError> {
        let own = self.bytes.entry(number).or_default();
        *own = if is_more { own.saturating_add(bytes) } else { bytes };
        let all = self.bytes.values().fold(0_u64, |all, bytes| all.saturating_add(*bytes));
        if all <= self.bytes_max {
            return Ok(());
        }
        let message = format!("the dictionaries of the upload have more than {} MiB", self.bytes_max >> 20);
        let error =
            Error::new(ErrorKind::Limit, message).with_hint("send plain columns, or fewer values in a dictionary");
        Err(FlightError::ExternalError(Box::new(error)))
    }
}

fn malformed(why: &str) -> FlightError {
    FlightError::DecodeError(format!("a message of the upload is malformed: {why}"))
}

/// Returns the error of an upload in the words of who reads it, or the one that says more.
pub(super) fn unreadable(message: &str, cause: FlightError) -> Error {
    if let FlightError::ExternalError(inner) = &cause
        && let Some(error) = inner.downcast_ref::<Error>()
    {
        return error.clone();
    }
    Error::new(ErrorKind::Argument, message).with_source(cause)
}

/// Checks that a message has what its header says, and is not too long without compression.
fn check(message: &FlightData, dictionaries: &mut Dictionaries) -> Result<(), FlightError> {
    let header = root_as_message(&message.data_header).map_err(|_| malformed("its header cannot be read"))?;
    if let Some(batch) = header.header_as_record_batch() {
        check_batch(&batch, &message.data_body)?;
    }
    if let Some(dictionary) = header.header_as_dictionary_batch()
        && let Some(batch) = dictionary.data()
    {
        let bytes = check_batch(&batch, &message.data_body)?;
        dictionaries.note(dictionary.id(), bytes, dictionary.isDelta())?;
    }
    Ok(())
}

/// Returns the bytes that a batch takes in memory.
fn check_batch(batch: &BatchHeader<'_>, body: &[u8]) -> Result<u64, FlightError> {
    let lengths = batch.nodes().into_iter().flatten().map(|node| node.length());
    for length in lengths.chain([batch.length()]) {
        if !(0..=ELEMENTS_MAX).contains(&length) {
            return Err(too_large(format!("{ELEMENTS_MAX} elements in a column")));
        }
    }
    let codec = batch.compression().map(|compression| compression.codec());
    let mut decompressed = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let content = range.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?));
        let content = content.ok_or_else(|| malformed("a column lies outside of it"))?;
        if let Some(codec) = codec.filter(|_| !content.is_empty()) {
            decompressed = decompressed.saturating_add(decompressed_bytes(codec, content)?);
        }
        if decompressed > DECOMPRESSED_BYTES_MAX {
            return Err(too_large(format!("{} MiB without compression", DECOMPRESSED_BYTES_MAX >> 20)));
        }
    }
    Ok(decompressed.max(body.len() as u64))
}

/// Returns the bytes of a buffer without compression.
fn decompressed_bytes(codec: CompressionType, content: &[u8]) -> Result<u64, FlightError> {
    let (prefix, compressed) =
        content.split_first_chunk::<PREFIX_BYTES>().ok_or_else(|| malformed("a column is cut"))?;
    let bytes = match i64::from_le_bytes(*prefix) {
        NOT_COMPRESSED => compressed.len() as u64,
        bytes => u64::try_from(bytes).map_err(|_| malformed("a column has a length below 0"))?,
    };
    // The decoder of this one goes on to the end of what is there, whatever was said.
    if codec == CompressionType::LZ4_FRAME && i64::from_le_bytes(*prefix) > 0 && bytes <= DECOMPRESSED_BYTES_MAX {
        let mut found = lz4_flex::frame::FrameDecoder::new(compressed).take(bytes + 1);
        let found = copy(&mut found, &mut sink()).map_err(|_| malformed("a column cannot be decompressed"))?;
        if found != bytes {
            return Err(malformed("a column is not as long as it says"));
        }
    }
    Ok(bytes)
}

fn too_large(what: String) -> FlightError {
    let error = Error::new(ErrorKind::Limit, format!("a message of the upload has more than {what}"));
    FlightError::ExternalError(Box::new(error.with_hint("send fewer rows in a message")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::Int32Type;
    use arrow::ipc::writer::IpcWriteOptions;
    use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};

    use super::*;

    const ROWS: i64 = 10_000;

    /// Returns the messages of an upload: columns, then rows.
    async fn messages(codec: Option<CompressionType>) -> Vec<FlightData> {
        let texts = StringArray::from_iter_values((0..ROWS).map(|row| format!("text {}", row % 7)));
        let rows = RecordBatch::try_from_iter([
            ("a", Arc::new(Int64Array::from_iter_values(0..ROWS)) as _),
            ("b", Arc::new(texts) as _),
        ]);
        let options = IpcWriteOptions::default().try_with_compression(codec).expect("the codec is known");
        let rows = futures::stream::iter([Ok(rows.expect("two columns"))]);
        let messages = FlightDataEncoderBuilder::new().with_options(options).build(rows);
        messages.try_collect().await.expect("they can be encoded")
    }

    async fn read(messages: Vec<FlightData>) -> Result<usize, Error> {
        let upload = Upload::new(futures::stream::iter(messages.into_iter().map(Ok)));
        let batches: Vec<_> = upload.try_collect().await.map_err(|cause| unreadable("it cannot be read", cause))?;
        Ok(batches.iter().map(RecordBatch::num_rows).sum())
    }

    fn with_body(messages: &[FlightData], change: impl FnOnce(&mut Vec<u8>)) -> Vec<FlightData> {
        let mut messages = messages.to_vec();
        let rows = messages.last_mut().expect("a message with rows");
        let mut body = rows.data_body.to_vec();
        change(&mut body);
        rows.data_body = body.into();
        messages
    }

    #[tokio::test]
    async fn a_length_that_is_no_ones_memory_is_an_error_of_the_client() {
        for codec in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
            let good = messages(Some(codec)).await;
            assert_eq!(read(good.clone()).await.expect("it is as it says"), 10_000, "{codec:?}");
            let said = |length: i64| {
                with_body(&good, |body| {
                    let place = body.windows(8).position(|bytes| bytes == (ROWS * 8).to_le_bytes());
                    let place = place.expect("the length of the first column");
                    body[place..place + 8].copy_from_slice(&length.to_le_bytes());
                })
            };
            for length in [1 << 33, 1 << 45, i64::MAX] {
                let error = read(said(length)).await.expect_err("nobody has so much");
                assert_eq!(error.kind(), ErrorKind::Limit, "{codec:?} {length}");
                assert_eq!(error.message(), "a message of the upload has more than 64 MiB without compression");
            }
            for length in [-2, i64::MIN, 1, 5, ROWS * 8 - 1, ROWS * 8 + 1] {
                let error = read(said(length)).await.expect_err("it is another length");
                assert_eq!(error.kind(), ErrorKind::Argument, "{codec:?} {length}");
            }
        }
    }

    #[tokio::test]
    async fn dictionaries_that_stay_have_an_end() {
        let words: DictionaryArray<Int32Type> =
            (0..1_000).map(|row| format!("word {row}")).collect::<Vec<_>>().iter().map(String::as_str).collect();
        let rows = RecordBatch::try_from_iter([("a", Arc::new(words.clone()) as _), ("b", Arc::new(words) as _)]);
        let rows = futures::stream::iter([Ok(rows.expect("two columns"))]);
        let messages = FlightDataEncoderBuilder::new().with_dictionary_handling(DictionaryHandling::Resend).build(rows);
        let messages: Vec<FlightData> = messages.try_collect().await.expect("they can be encoded");
        let of_each: Vec<_> = messages.iter().filter(|message| message.data_body.len() > 8_000).cloned().collect();
        assert_eq!(of_each.len(), 2 + 1, "a dictionary for each column, and the rows");
        let bytes_max = of_each[0].data_body.len() as u64 * 3 / 2;
        let mut held = Dictionaries { bytes: HashMap::new(), bytes_max };
        for _ in 0..3 {
            check(&of_each[0], &mut held).expect("it comes in the place of the one before");
        }
        let both = check(&of_each[1], &mut held).map_err(|cause| unreadable("it cannot be read", cause));
        assert_eq!(both.expect_err("they are too many").kind(), ErrorKind::Limit);
        held = Dictionaries { bytes: HashMap::new(), bytes_max };
        held.note(0, bytes_max / 2, false).expect("there is room");
        held.note(0, bytes_max / 2, true).expect("there is room");
        held.note(0, bytes_max / 2, true).expect_err("there is none");
    }

    #[tokio::test]
    async fn what_is_cut_or_changed_is_an_error_of_the_client() {
        let good = messages(None).await;
        assert_eq!(read(good.clone()).await.expect("it is as it says"), 10_000);
        for bytes in [0, 8, 1000] {
            let error = read(with_body(&good, |body| body.truncate(bytes))).await.expect_err("it is cut");
            assert_eq!(error.kind(), ErrorKind::Argument, "{bytes}");
        }
        let header = good.last().expect("a message with rows").data_header.clone();
        for place in 0..header.len() {
            for bit in [0, 7] {
                let mut changed = header.to_vec();
                changed[place] ^= 1 << bit;
                let mut messages = good.clone();
                messages.last_mut().expect("a message with rows").data_header = changed.into();
                if let Err(error) = read(messages).await {
                    assert!(matches!(error.kind(), ErrorKind::Argument | ErrorKind::Limit), "{place}: {error}");
                }
            }
        }
    }
}
