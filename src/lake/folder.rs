//! A folder of this machine as an object store that keeps what it acknowledged, whatever happens to the power.
//!
//! `object_store`'s own local store never syncs: after a crash of the machine, a commit that was acknowledged can be a
//! file of zeros. Here a file is written beside its place and synced before it gets its name, and then its folder is.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path as LocalPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

/// Stands in the name of a file that is not yet whole; such a file is listed, so that it is found once its writer died.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// The store's name in its errors.
const STORE: &str = "warehouse folder";

/// A folder, made by the first write.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
    inner: Arc<OnceLock<LocalFileSystem>>,
}

impl Folder {
    /// Returns the store of a folder that may not exist yet.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, inner: Arc::default() }
    }

    /// Returns the store that reads; `None` while there is no folder.
    fn reader(&self) -> Result<Option<&LocalFileSystem>> {
        if let Some(known) = self.inner.get() {
            return Ok(Some(known));
        }
        if !self.root.is_dir() {
            return Ok(None);
        }
        let opened = LocalFileSystem::new_with_prefix(&self.root)?;
        Ok(Some(self.inner.get_or_init(|| opened)))
    }

    fn place(&self, location: &Path) -> PathBuf {
        location.parts().fold(self.root.clone(), |folder, part| folder.join(part.as_ref()))
    }

    fn missing(&self, location: &Path) -> object_store::Error {
        let source = io::Error::from(io::ErrorKind::NotFound);
        object_store::Error::NotFound { path: location.to_string(), source: source.into() }
    }
}

impl std::fmt::Display for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{STORE} \"{}\"", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (root, place, mode) = (self.root.clone(), self.place(location), options.mode);
        blocking(move || {
            let mut unfinished = Unfinished::create(&root, &place)?;
            for part in &payload {
                unfinished.file.write_all(part)?;
            }
            match mode {
                PutMode::Create => unfinished.name_if_free(&root),
                PutMode::Overwrite => unfinished.name(&root),
                PutMode::Update(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
            }
        })
        .await
        .map_err(|cause| fault(cause, location))?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (root, place) = (self.root.clone(), self.place(location));
        let unfinished =
            blocking(move || Unfinished::create(&root, &place)).await.map_err(|cause| fault(cause, location))?;
        Ok(Box::new(Upload {
            root: self.root.clone(),
            location: location.clone(),
            unfinished: Some(Arc::new(Mutex::new(unfinished))),
            offset: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.reader()? {
            Some(reader) => reader.get_opts(location, options).await,
            None => Err(self.missing(location)),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.reader() {
            Ok(Some(reader)) => reader.delete_stream(locations),
            Ok(None) => locations,
            Err(fault) => stream::once(std::future::ready(Err(fault))).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.reader() {
            Ok(Some(reader)) => in_order(reader.list(prefix)),
            Ok(None) => stream::empty().boxed(),
            Err(fault) => stream::once(std::future::ready(Err(fault))).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.reader()? {
            Some(reader) => reader.list_with_delimiter(prefix).await,
            None => Ok(ListResult { common_prefixes: Vec::new(), objects: Vec::new() }),
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        match self.reader()? {
            Some(reader) => reader.copy_opts(from, to, options).await,
            None => Err(self.missing(from)),
        }
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        match self.reader()? {
            Some(reader) => reader.rename_opts(from, to, options).await,
            None => Err(self.missing(from)),
        }
    }
}

/// Returns what is listed in the order of the names, as object stores list it and as readers of a log expect it.
fn in_order(listed: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    let sorted = async move {
        let mut files: Vec<ObjectMeta> = listed.try_collect().await?;
        files.sort_by(|a, b| a.location.cmp(&b.location));
        Ok::<_, object_store::Error>(stream::iter(files.into_iter().map(Ok)))
    };
    stream::once(sorted).try_flatten().boxed()
}

/// A file that has not got its name yet. Dropping it takes it away.
#[derive(Debug)]
struct Unfinished {
    file: File,
    path: PathBuf,
    place: PathBuf,
}

impl Unfinished {
    fn create(root: &LocalPath, place: &LocalPath) -> io::Result<Self> {
        // Keyed at random: two containers that share the folder can have the same process id.
        static NAMES: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = place.parent().unwrap_or(root);
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            // A new folder is lost with its parent's entry.
            let parents = folder.ancestors().take_while(|parent| parent.starts_with(root));
            for parent in parents.chain(root.parent()).filter(|parent| !parent.as_os_str().is_empty()) {
                sync_folder(parent)?;
            }
        }
        let number = NAMES.hash_one(NEXT.fetch_add(1, Ordering::Relaxed));
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(format!("{UNFINISHED}{number:016x}"));
        let path = folder.join(name);
        let file = File::create_new(&path)?;
        Ok(Self { file, path, place: place.to_owned() })
    }

    fn name(&self, root: &LocalPath) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.place)?;
        sync_folder(self.place.parent().unwrap_or(root))
    }

    fn name_if_free(&self, root: &LocalPath) -> io::Result<()> {
        self.file.sync_all()?;
        fs::hard_link(&self.path, &self.place)?;
        sync_folder(self.place.parent().unwrap_or(root))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing left to take away.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn sync_folder(folder: &LocalPath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems keep entries of folders without being asked to.
#[cfg(not(unix))]
fn sync_folder(_folder: &LocalPath) -> io::Result<()> {
    Ok(())
}

/// A file that is written part by part.
#[derive(Debug)]
struct Upload {
    root: PathBuf,
    location: Path,
    unfinished: Option<Arc<Mutex<Unfinished>>>,
    offset: u64,
}

impl Upload {
    fn ended(&self) -> object_store::Error {
        fault(io::Error::other("the upload has ended"), &self.location)
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset += data.content_length() as u64;
        let location = self.location.clone();
        let Some(unfinished) = self.unfinished.clone() else {
            return std::future::ready(Err(self.ended())).boxed();
        };
        async move {
            blocking(move || {
                let mut unfinished = unfinished.lock().unwrap_or_else(PoisonError::into_inner);
                unfinished.file.seek(SeekFrom::Start(offset))?;
                data.iter().try_for_each(|part| unfinished.file.write_all(part))
            })
            .await
            .map_err(|cause| fault(cause, &location))
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let unfinished = self.unfinished.take().ok_or_else(|| self.ended())?;
        let root = self.root.clone();
        blocking(move || unfinished.lock().unwrap_or_else(PoisonError::into_inner).name(&root))
            .await
            .map_err(|cause| fault(cause, &self.location))?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        self.unfinished.take();
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|cause| Err(io::Error::other(cause)))
}

fn fault(cause: io::Error, location: &Path) -> object_store::Error {
    let (path, kind) = (location.to_string(), cause.kind());
    let source = Box::new(cause);
    match kind {
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source },
        io::ErrorKind::NotFound => object_store::Error::NotFound { path, source },
        io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied { path, source },
        _ => object_store::Error::Generic { store: STORE, source },
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    fn names(folder: &LocalPath) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[tokio::test]
    async fn the_first_write_makes_the_folder_and_nothing_else_does() {
        let temporary = tempfile::tempdir().expect("a folder");
        let root = temporary.path().join("warehouse");
        let store = Folder::new(root.clone());
        assert!(matches!(store.head(&Path::from("a/b")).await, Err(object_store::Error::NotFound { .. })));
        assert!(store.list(None).next().await.is_none());
        assert!(!root.exists());
        store.put(&Path::from("a/b"), PutPayload::from_static(b"x")).await.expect("it writes");
        assert_eq!(store.head(&Path::from("a/b")).await.expect("it is there").size, 1);
        assert_eq!(names(&root.join("a")), ["b"]);
    }

    #[tokio::test]
    async fn a_name_is_given_once() {
        let temporary = tempfile::tempdir().expect("a folder");
        let store = Folder::new(temporary.path().to_owned());
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let place = Path::from("log/0.json");
        store.put_opts(&place, PutPayload::from_static(b"first"), create.clone()).await.expect("it is free");
        let second = store.put_opts(&place, PutPayload::from_static(b"second"), create).await;
        assert!(matches!(second, Err(object_store::Error::AlreadyExists { .. })));
        assert_eq!(store.get(&place).await.expect("there").bytes().await.expect("bytes").as_ref(), b"first");
        assert_eq!(names(&temporary.path().join("log")), ["0.json"]);
    }

    #[tokio::test]
    async fn parts_stand_in_their_order_and_what_is_dropped_leaves_nothing() {
        let temporary = tempfile::tempdir().expect("a folder");
        let store = Folder::new(temporary.path().to_owned());
        let place = Path::from("data/part");
        let mut upload = store.put_multipart(&place).await.expect("it starts");
        let (first, second) =
            (upload.put_part(PutPayload::from_static(b"ab")), upload.put_part(PutPayload::from_static(b"cd")));
        second.await.expect("it writes");
        first.await.expect("it writes");
        upload.complete().await.expect("it ends");
        assert_eq!(store.get(&place).await.expect("there").bytes().await.expect("bytes").as_ref(), b"abcd");
        let mut dropped = store.put_multipart(&Path::from("data/other")).await.expect("it starts");
        dropped.put_part(PutPayload::from_static(b"ab")).await.expect("it writes");
        drop(dropped);
        assert_eq!(names(&temporary.path().join("data")), ["part"]);
    }
}
