//! A folder of this machine as an object store that keeps what it acknowledged, whatever happens to the power.
//!
//! `object_store`'s own local store never syncs: after a crash of the machine, a commit that was acknowledged can be a
//! file of zeros. Here a file is written beside its place and synced before it gets its name, and then its folder is.

use std::collections::HashSet;
use std::fs::File;
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

use super::disk::Disk;

/// Stands in the name of a file that is not yet whole; such a file is listed, so that it is found once its writer died.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// The store's name in its errors.
const STORE: &str = "warehouse folder";

/// A folder, made by the first write. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Folder {
    ground: Arc<Ground>,
    inner: Arc<OnceLock<LocalFileSystem>>,
}

/// Where files are written.
#[derive(Debug)]
struct Ground {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// The folders whose names are known to last.
    lasting: Mutex<HashSet<PathBuf>>,
}

impl Ground {
    /// Makes a folder and those that lead to it, and makes their names last.
    ///
    /// One that is there already may be the work of a process that died before it synced it, or of one that is about to.
    fn make_lasting(&self, folder: &LocalPath) -> io::Result<()> {
        let is_known = self.lasting.lock().unwrap_or_else(PoisonError::into_inner).contains(folder);
        if is_known && folder.is_dir() {
            return Ok(());
        }
        let Some(parent) = folder.parent() else { return Ok(()) };
        let parent = if parent.as_os_str().is_empty() { LocalPath::new(".") } else { parent };
        // What is above the root and there already is not the warehouse's.
        if parent.starts_with(&self.root) || !parent.is_dir() {
            self.make_lasting(parent)?;
        }
        self.disk.create_folder(folder)?;
        self.disk.sync_folder(parent)?;
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        Ok(())
    }

    fn folder_of<'a>(&'a self, place: &'a LocalPath) -> &'a LocalPath {
        place.parent().unwrap_or(&self.root)
    }
}

impl Folder {
    /// Returns the store of a folder that may not exist yet.
    pub fn new(root: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self { ground: Arc::new(Ground { root, disk, lasting: Mutex::default() }), inner: Arc::default() }
    }

    /// Returns the store that reads; `None` while there is no folder.
    fn reader(&self) -> Result<Option<&LocalFileSystem>> {
        if let Some(known) = self.inner.get() {
            return Ok(Some(known));
        }
        if !self.ground.root.is_dir() {
            return Ok(None);
        }
        let opened = LocalFileSystem::new_with_prefix(&self.ground.root)?;
        Ok(Some(self.inner.get_or_init(|| opened)))
    }

    fn place(&self, location: &Path) -> PathBuf {
        location.parts().fold(self.ground.root.clone(), |folder, part| folder.join(part.as_ref()))
    }

    fn missing(&self, location: &Path) -> object_store::Error {
        let source = io::Error::from(io::ErrorKind::NotFound);
        object_store::Error::NotFound { path: location.to_string(), source: source.into() }
    }
}

impl std::fmt::Display for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{STORE} \"{}\"", self.ground.root.display())
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (ground, place, mode) = (Arc::clone(&self.ground), self.place(location), options.mode);
        blocking(move || {
            let mut unfinished = Unfinished::create(ground, place)?;
            for part in &payload {
                unfinished.file.write_all(part)?;
            }
            match mode {
                PutMode::Create => unfinished.name_if_free(),
                PutMode::Overwrite => unfinished.name(),
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
        let (ground, place) = (Arc::clone(&self.ground), self.place(location));
        let unfinished =
            blocking(move || Unfinished::create(ground, place)).await.map_err(|cause| fault(cause, location))?;
        Ok(Box::new(Upload {
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
    ground: Arc<Ground>,
    file: File,
    path: PathBuf,
    place: PathBuf,
}

impl Unfinished {
    fn create(ground: Arc<Ground>, place: PathBuf) -> io::Result<Self> {
        // Keyed at random: two containers that share the folder can have the same process id.
        static NAMES: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = ground.folder_of(&place);
        ground.make_lasting(folder)?;
        let number = NAMES.hash_one(NEXT.fetch_add(1, Ordering::Relaxed));
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(format!("{UNFINISHED}{number:016x}"));
        let path = folder.join(name);
        let file = ground.disk.create_file(&path)?;
        Ok(Self { ground, file, path, place })
    }

    fn name(&self) -> io::Result<()> {
        self.ground.disk.sync_file(&self.path, &self.file)?;
        self.ground.disk.rename(&self.path, &self.place)?;
        self.sync_folder()
    }

    fn name_if_free(&self) -> io::Result<()> {
        self.ground.disk.sync_file(&self.path, &self.file)?;
        match self.ground.disk.link(&self.path, &self.place) {
            // Whoever is told so builds on what is there, which its own writer may not have synced before it died.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => self.sync_folder().and(Err(cause)),
            linked => linked.and_then(|()| self.sync_folder()),
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.ground.disk.sync_folder(self.ground.folder_of(&self.place))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing left to take away.
        let _ = self.ground.disk.remove(&self.path);
    }
}

/// A file that is written part by part.
#[derive(Debug)]
struct Upload {
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
        blocking(move || unfinished.lock().unwrap_or_else(PoisonError::into_inner).name())
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
    use std::fs;

    use object_store::ObjectStoreExt;

    use super::*;
    use crate::lake::LocalDisk;

    fn folder(root: PathBuf) -> Folder {
        Folder::new(root, Arc::new(LocalDisk))
    }

    fn names(folder: &LocalPath) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[tokio::test]
    async fn the_first_write_makes_the_folder_and_nothing_else_does() {
        let temporary = tempfile::tempdir().expect("a folder");
        let root = temporary.path().join("warehouse");
        let store = folder(root.clone());
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
        let store = folder(temporary.path().to_owned());
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
        let store = folder(temporary.path().to_owned());
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
