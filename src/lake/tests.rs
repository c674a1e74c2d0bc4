//! The lake over a store that fails on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};

use super::*;

/// A store that writes, and then says that it did not.
#[derive(Debug, Default)]
struct Forgetful {
    inner: InMemory,
    is_forgetful: AtomicBool,
}

impl std::fmt::Display for Forgetful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("forgetful")
    }
}

#[async_trait]
impl ObjectStore for Forgetful {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let written = self.inner.put_opts(location, payload, options).await?;
        if self.is_forgetful.load(Ordering::Relaxed) {
            let source = "the acknowledgement was lost".into();
            return Err(object_store::Error::Generic { store: "forgetful", source });
        }
        Ok(written)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn rows(numbers: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("n", column, true)]).expect("one column")
}

async fn file(table: &Table, numbers: &[i64]) -> Vec<NewFile> {
    let rows = rows(numbers);
    let mut writer = table.writer(&rows.schema(), Vec::new());
    writer.write(&rows).await.expect("it writes");
    writer.finish().await.expect("it ends").0
}

fn change(write: WriteId, columns: bool, added: Vec<NewFile>) -> Change {
    let columns = columns.then(|| Columns {
        schema: rows(&[]).schema(),
        partitioned_by: Vec::new(),
        properties: Default::default(),
    });
    Change {
        write,
        operation: "WRITE",
        at_micros: 1_000_000,
        rows: 3,
        columns,
        removal: Removal::Nothing,
        added,
        information: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_acknowledgement_is_lost_is_done_and_that_of_another_is_a_conflict() {
    let store = Arc::new(Forgetful::default());
    let lake = Lake::over(Arc::clone(&store) as Arc<dyn ObjectStore>, "memory".to_owned()).expect("a lake");
    let table = lake.table("sandbox", "t").expect("a table");
    assert!(table.latest(None).await.expect("it can be read").is_none());
    let files = file(&table, &[1, 2, 3]).await;
    store.is_forgetful.store(true, Ordering::Relaxed);
    let write = WriteId::random();
    let made = table.commit(None, &change(write.clone(), true, files)).await.expect("it is durable");
    assert_eq!(made, Commit::Done(0));
    let late = table.commit(None, &change(WriteId::random(), true, Vec::new())).await.expect("it is seen");
    assert_eq!(late, Commit::Conflict);
    assert_eq!(table.find(&write, None, 0).await.expect("it can be read"), Some(3));
    assert_eq!(table.find(&WriteId::random(), None, 0).await.expect("it can be read"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_which_the_last_call_fails_is_an_error_and_goes() {
    let store = Arc::new(Forgetful::default());
    let lake = Lake::over(Arc::clone(&store) as Arc<dyn ObjectStore>, "memory".to_owned()).expect("a lake");
    let rows = rows(&[1, 2, 3]);
    let mut writer = lake.table("sandbox", "t").expect("a table").writer(&rows.schema(), Vec::new());
    writer.write(&rows).await.expect("it is not full yet");
    store.is_forgetful.store(true, Ordering::Relaxed);
    let error = writer.finish().await.expect_err("the last call fails");
    assert_eq!(error.kind(), crate::ErrorKind::Storage);
    while !store.list_with_delimiter(Some(&Path::from("sandbox/t"))).await.expect("a list").objects.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_what_was_committed_up_to_it() {
    let lake = Lake::over(Arc::new(InMemory::new()), "memory".to_owned()).expect("a lake");
    let table = lake.table("sandbox", "t").expect("a table");
    let first = file(&table, &[1]).await;
    table.commit(None, &change(WriteId::random(), true, first)).await.expect("it is free");
    let mut latest = table.latest(None).await.expect("it can be read");
    // Beyond a checkpoint of the log.
    for number in 2..=25 {
        let files = file(&table, &[number]).await;
        let ended =
            table.commit(latest.as_deref(), &change(WriteId::random(), false, files)).await.expect("it is free");
        assert_eq!(ended, Commit::Done(number.unsigned_abs() - 1));
        latest = table.latest(latest.as_ref()).await.expect("it can be read");
    }
    let latest = latest.expect("it exists");
    assert_eq!((latest.version, latest.paths().count()), (24, 25));
    let early = table.at(3).await.expect("it can be read").expect("it exists");
    assert_eq!((early.version, early.paths().count()), (3, 4));
    assert_eq!(table.latest(None).await.expect("it can be read").expect("it exists").paths().count(), 25);
    let paths = latest.paths().take(2).collect();
    let removal = Change { removal: Removal::Paths(paths), ..change(WriteId::random(), false, Vec::new()) };
    table.commit(Some(&latest), &removal).await.expect("it is free");
    assert_eq!(table.at(25).await.expect("it can be read").expect("it exists").paths().count(), 23);
    assert!(table.at(26).await.expect("it can be read").is_none());
    assert_eq!(lake.names("sandbox").await.expect("it can be listed"), ["t"]);
}
