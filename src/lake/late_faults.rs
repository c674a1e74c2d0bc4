//! Faults of writes that are told when a file is whole: the writer of Delta's files panics where the last of its calls
//! fails, as it does on a full disk.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// The first fault of some writes.
#[derive(Debug, Clone, Default)]
pub(super) struct LateFault(Arc<Mutex<Option<Error>>>);

impl LateFault {
    /// Returns the fault; from then on there is none.
    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_there(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn keep(&self, fault: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    fn or_done(&self, ended: Result<PutResult>) -> PutResult {
        ended.unwrap_or_else(|fault| {
            self.keep(fault);
            PutResult { e_tag: None, version: None }
        })
    }
}

/// A store to which writes end well; what went wrong is in the fault.
#[derive(Debug)]
pub(super) struct TellsLater {
    store: Arc<dyn ObjectStore>,
    fault: LateFault,
}

impl TellsLater {
    pub(super) fn new(store: Arc<dyn ObjectStore>, fault: LateFault) -> Self {
        Self { store, fault }
    }
}

impl fmt::Display for TellsLater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for TellsLater {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        Ok(self.fault.or_done(self.store.put_opts(location, payload, options).await))
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.store.put_multipart_opts(location, options).await?;
        Ok(Box::new(Upload { upload, fault: self.fault.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct Upload {
    upload: Box<dyn MultipartUpload>,
    fault: LateFault,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, fault) = (self.upload.put_part(data), self.fault.clone());
        async move {
            if let Err(cause) = part.await {
                fault.keep(cause);
            }
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.fault.is_there() {
            // What cannot be taken away now is so later.
            let _ = self.upload.abort().await;
            return Ok(PutResult { e_tag: None, version: None });
        }
        Ok(self.fault.or_done(self.upload.complete().await))
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}
