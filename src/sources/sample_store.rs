//! The sample company as an object store, from the bytes that the binary brings along.

use std::sync::Arc;

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::{Error, ErrorKind, Result};

static SAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/data/sample");

/// Returns a store with the sample's files of one schema.
pub(super) async fn open(schema: &str) -> Result<Arc<dyn ObjectStore>> {
    let store = InMemory::new();
    let mut folders: Vec<&Dir> = SAMPLE.get_dir(schema).into_iter().collect();
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            let relative = file.path().strip_prefix(schema).unwrap_or(file.path());
            let path = Path::from(relative.to_string_lossy().as_ref());
            store.put(&path, Bytes::from_static(file.contents()).into()).await.map_err(|cause| {
                Error::new(ErrorKind::Internal, "the sample cannot be laid out in memory").with_source(cause)
            })?;
        }
    }
    Ok(Arc::new(store))
}
