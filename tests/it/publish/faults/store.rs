//! The warehouse's store as one process meets it: calls fail, are answered wrongly or late, break off, or are the last.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::watch;

/// What a call that fails is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The connection is reset.
    Reset,
    /// 503, the retries of the client included.
    Unavailable,
    /// No answer in time.
    TimedOut,
    /// 409: another writes there at this moment. Whether anything is there is not said.
    Conflict,
    /// 412: something is there, which may be what this call wrote before its answer was lost and it was tried again.
    Precondition,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and fails.
    Before(Answer),
    /// It is done, and fails all the same.
    After(Answer),
    /// It fails, and is done so many calls later, by whichever process makes them.
    Late(u32),
    /// What it reads breaks off in the middle.
    Torn,
    /// The code that called panics, before or after it is done.
    Panic(When),
    /// The process ends, before or after it is done.
    Kill(When),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// What happens to some calls in a row.
#[derive(Debug, Clone)]
pub struct Moment {
    pub calls: Range<u32>,
    pub fault: Fault,
}

/// A deed of a call that was given up, with the number of the call before which it is done.
pub type Late = (u32, BoxFuture<'static, ()>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    /// The process is to end: no call comes to an end any more.
    Dying,
    /// It has ended: what it left running reaches nothing.
    Gone,
}

/// The store of one process. Several of them share what lies behind. Cheap to clone.
#[derive(Clone)]
pub struct Process {
    inner: Arc<dyn ObjectStore>,
    shared: Arc<Shared>,
}

struct Shared {
    moments: Vec<Moment>,
    visit: Mutex<Option<Late>>,
    late: Mutex<Vec<Late>>,
    calls: AtomicU32,
    life: watch::Sender<Life>,
    /// The task of the process, as opposed to those that libraries start: it ends and panics, they only fail.
    task: Option<tokio::task::Id>,
}

/// What a call came to.
struct Done<T> {
    value: T,
    is_torn: bool,
}

impl Process {
    /// Returns the store of a process to whose calls things happen, and that finds undone deeds of others.
    pub fn new(inner: Arc<dyn ObjectStore>, moments: Vec<Moment>, late: Vec<Late>) -> Self {
        let (visit, late, calls) = (Mutex::default(), Mutex::new(late), AtomicU32::new(0));
        let (life, task) = (watch::Sender::new(Life::Running), tokio::task::try_id());
        Self { inner, shared: Arc::new(Shared { moments, visit, late, calls, life, task }) }
    }

    /// Does something of another process's before a call of this one.
    pub fn visit(&self, call: u32, visit: BoxFuture<'static, ()>) {
        *self.shared.visit.lock().unwrap_or_else(PoisonError::into_inner) = Some((call, visit));
    }

    /// Returns how many calls there were.
    pub fn calls(&self) -> u32 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Has deeds done before calls of this process, counted from its next; returns those that it had.
    pub fn inherit(&self, late: Vec<Late>) -> Vec<Late> {
        let calls = self.calls();
        let late = late.into_iter().map(|(call, deed)| (calls + call, deed)).collect();
        std::mem::replace(&mut *self.shared.late.lock().unwrap_or_else(PoisonError::into_inner), late)
    }

    /// Ends the process: no call comes to an end any more.
    pub fn kill(&self) {
        self.shared.life.send_if_modified(|life| {
            let is_running = *life == Life::Running;
            *life = if is_running { Life::Dying } else { *life };
            is_running
        });
    }

    /// Returns once the process is to end.
    pub async fn dying(&self) {
        let _ = self.shared.life.subscribe().wait_for(|life| *life != Life::Running).await;
    }

    /// Takes down that the process has ended, and returns the deeds that it gave up, with the calls
    /// before which they are done, counted from its end.
    pub fn bury(&self) -> Vec<Late> {
        self.shared.life.send_replace(Life::Gone);
        let calls = self.calls();
        let late = self.inherit(Vec::new()).into_iter();
        late.map(|(call, deed)| (call.saturating_sub(calls), deed)).collect()
    }

    /// Makes a call, unless something happens to it.
    async fn call<T: Send + 'static>(&self, what: &Path, deed: BoxFuture<'static, Result<T>>) -> Result<Done<T>> {
        self.require_life(what).await?;
        let number = self.shared.calls.fetch_add(1, Ordering::Relaxed);
        for deed in self.due(number) {
            deed.await;
        }
        let whole = |value| Done { value, is_torn: false };
        let moment = self.shared.moments.iter().find(|moment| moment.calls.contains(&number));
        let Some(moment) = moment else {
            let done = deed.await;
            self.require_life(what).await?;
            return done.map(whole);
        };
        match moment.fault {
            Fault::Before(answer) => return Err(answered(answer, what)),
            Fault::After(answer) => return deed.await.and_then(|_| Err(answered(answer, what))),
            Fault::Late(calls) => {
                let mut late = self.shared.late.lock().unwrap_or_else(PoisonError::into_inner);
                late.push((number + calls, deed.map(drop).boxed()));
                return Err(answered(Answer::TimedOut, what));
            }
            Fault::Torn => return deed.await.map(|value| Done { value, is_torn: true }),
            Fault::Panic(when) => {
                if when == When::After {
                    drop(deed.await);
                }
                if !self.is_own_task() {
                    return Err(answered(Answer::Reset, what));
                }
                // Not `panic!`, which would tell of it on the terminal.
                std::panic::resume_unwind(Box::new("planned"));
            }
            Fault::Kill(When::Before) => {}
            Fault::Kill(When::After) => drop(deed.await),
        }
        self.kill();
        self.require_life(what).await?;
        Err(answered(Answer::Reset, what))
    }

    /// Waits where the process is to end, and fails where it has.
    async fn require_life(&self, what: &Path) -> Result<()> {
        if *self.shared.life.borrow() == Life::Running {
            return Ok(());
        }
        // The process cannot end while its own task waits for a call of another's.
        if !self.is_own_task() {
            return Err(answered(Answer::Reset, what));
        }
        let _ = self.shared.life.subscribe().wait_for(|life| *life == Life::Gone).await;
        Err(answered(Answer::Reset, what))
    }

    fn is_own_task(&self) -> bool {
        tokio::task::try_id() == self.shared.task
    }

    /// Returns what is done before a call.
    fn due(&self, number: u32) -> Vec<BoxFuture<'static, ()>> {
        let is_due = |(call, _): &mut Late| *call <= number;
        let mut late = self.shared.late.lock().unwrap_or_else(PoisonError::into_inner);
        let mut visit = self.shared.visit.lock().unwrap_or_else(PoisonError::into_inner);
        late.extract_if(.., is_due).chain(visit.take_if(is_due)).map(|(_, deed)| deed).collect()
    }
}

fn answered(answer: Answer, what: &Path) -> Error {
    let (path, source) = (what.to_string(), format!("{answer:?}").into());
    match answer {
        Answer::Conflict => Error::AlreadyExists { path, source },
        Answer::Precondition => Error::Precondition { path, source },
        _ => Error::Generic { store: "faults", source },
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process with {:?}", self.shared.moments)
    }
}

#[async_trait]
impl ObjectStore for Process {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (inner, place) = (Arc::clone(&self.inner), location.clone());
        let deed = async move { inner.put_opts(&place, payload, options).await };
        self.call(location, deed.boxed()).await.map(|done| done.value)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (inner, place) = (Arc::clone(&self.inner), location.clone());
        let deed = async move { inner.put_multipart_opts(&place, options).await };
        let upload = self.call(location, deed.boxed()).await?.value;
        Ok(Box::new(Upload {
            process: self.clone(),
            location: location.clone(),
            inner: Arc::new(tokio::sync::Mutex::new(upload)),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (inner, place) = (Arc::clone(&self.inner), location.clone());
        let deed = async move { inner.get_opts(&place, options).await };
        let Done { value, is_torn } = self.call(location, deed.boxed()).await?;
        if !is_torn {
            return Ok(value);
        }
        let (meta, range, attributes) = (value.meta.clone(), value.range.clone(), value.attributes.clone());
        let bytes = value.bytes().await?;
        let half: Result<Bytes> = Ok(bytes.slice(..bytes.len() / 2));
        let payload = GetResultPayload::Stream(stream::iter([half, Err(answered(Answer::Reset, location))]).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let process = self.clone();
        let deleted = locations.and_then(move |location| {
            let (process, inner, place) = (process.clone(), Arc::clone(&process.inner), location.clone());
            async move {
                process.call(&location, async move { inner.delete(&place).await }.boxed()).await?;
                Ok(location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (process, prefix) = (self.clone(), prefix.cloned());
        let what = prefix.clone().unwrap_or_default();
        let listed = async move {
            let listed = process.inner.list(prefix.as_ref()).try_collect::<Vec<_>>();
            let Done { value, is_torn } = process.call(&what, listed.boxed()).await?;
            let end = if is_torn { value.len() / 2 } else { value.len() };
            let torn = is_torn.then(|| Err(answered(Answer::Reset, &what)));
            let files: Vec<Result<ObjectMeta>> = value.into_iter().take(end).map(Ok).chain(torn).collect();
            Ok::<_, Error>(stream::iter(files))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
        let what = prefix.clone().unwrap_or_default();
        let deed = async move { inner.list_with_delimiter(prefix.as_ref()).await };
        self.call(&what, deed.boxed()).await.map(|done| done.value)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (inner, source, target) = (Arc::clone(&self.inner), from.clone(), to.clone());
        let deed = async move { inner.copy_opts(&source, &target, options).await };
        self.call(from, deed.boxed()).await.map(|done| done.value)
    }
}

/// A file that is written part by part.
#[derive(Debug)]
struct Upload {
    process: Process,
    location: Path,
    inner: Arc<tokio::sync::Mutex<Box<dyn MultipartUpload>>>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (process, location) = (self.process.clone(), self.location.clone());
        // Parts have the order in which they are handed over, whatever the order in which they are written.
        let part = self.inner.try_lock().expect("no part comes while a file is completed").put_part(data);
        async move { process.call(&location, part).await.map(|done| done.value) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let inner = Arc::clone(&self.inner);
        let deed = async move { inner.lock().await.complete().await };
        self.process.call(&self.location, deed.boxed()).await.map(|done| done.value)
    }

    async fn abort(&mut self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        let deed = async move { inner.lock().await.abort().await };
        self.process.call(&self.location, deed.boxed()).await.map(|done| done.value)
    }
}
