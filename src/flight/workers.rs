//! Threads for queries, apart from those of the network: a query that computes does not keep others waiting for an
//! answer, and a fault in one is an error of that one.

use std::future::Future;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::engine::{Lane, Run, STACK_BYTES, limit_of_panic};
use crate::error::{Error, ErrorKind, Result};

/// Messages that wait for a slow client: one that is sent and one that is ready, so that neither side idles.
const MESSAGES_WAITING_MAX: usize = 2;

/// The threads of small queries and calls, and those of large queries: the system shares the processors among all of
/// them, so that none of the small waits until a large one gives way. Where there are too few, the small go first.
#[derive(Debug)]
pub(super) struct Lanes {
    quick: Workers,
    heavy: Workers,
}

impl Lanes {
    /// Starts threads, so many for each lane.
    ///
    /// # Errors
    /// `Internal` where the machine gives none.
    pub(super) fn start(threads: usize) -> Result<Self> {
        let quick = Workers::start(threads.max(QUICK_THREADS_MIN), Haste::Usual)?;
        Ok(Self { quick, heavy: Workers::start(threads, Haste::Patient)? })
    }

    /// Returns the threads of a lane.
    pub(super) fn of(&self, lane: Lane) -> &Workers {
        match lane {
            Lane::Quick => &self.quick,
            Lane::Heavy => &self.heavy,
        }
    }
}

/// Threads of small queries: one that takes its time does not keep the others waiting.
const QUICK_THREADS_MIN: usize = 2;

/// How the system treats threads where more want to run than there are processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// As all others.
    Usual,
    /// They give way to others: theirs is work of seconds.
    Patient,
}

/// The priority of patient threads, of 0 to 99: 10 of niceness, with which they have a tenth of the time of another.
const PATIENT: u8 = 25;

/// The threads. Dropping them ends what runs on them.
#[derive(Debug)]
pub(super) struct Workers {
    runtime: Option<Runtime>,
}

impl Workers {
    /// Starts threads.
    ///
    /// # Errors
    /// `Internal` where the machine gives none.
    fn start(threads: usize, haste: Haste) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(move || be(haste))
            .enable_all()
            .build()
            .map_err(|cause| Error::new(ErrorKind::Internal, "no threads can be started").with_source(cause))?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Does work on the threads; it ends when the future that is returned is dropped.
    ///
    /// # Errors
    /// As the work, and `Internal` where it panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut tasks = self.spawn(work);
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(cause)) => Err(panicked(cause)),
            None => Err(stopped()),
        }
    }

    /// Returns a stream whose items are made on the threads, as steps of a query; dropping it ends the making.
    pub(super) fn pump<T: Send + 'static>(
        &self,
        items: BoxStream<'static, Result<T>>,
        run: Arc<Run>,
    ) -> BoxStream<'static, Result<T>> {
        let (sender, receiver) = mpsc::channel(MESSAGES_WAITING_MAX);
        let tasks = self.spawn(pour(items, sender, run));
        let next = |(mut receiver, mut tasks): (mpsc::Receiver<Result<T>>, JoinSet<()>)| async move {
            if let Some(item) = receiver.recv().await {
                return Some((item, (receiver, tasks)));
            }
            // The end of the channel is the end of the rows only if the work came to its end.
            match tasks.join_next().await {
                Some(Err(cause)) => Some((Err(panicked(cause)), (receiver, tasks))),
                _ => None,
            }
        };
        futures::stream::unfold((receiver, tasks), next).boxed()
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinSet<T> {
        let mut tasks = JoinSet::new();
        if let Some(runtime) = &self.runtime {
            tasks.spawn_on(work, runtime.handle());
        }
        tasks
    }
}

/// Takes the priority for the thread that calls. Where the system has none, all threads are as others.
fn be(haste: Haste) {
    if haste == Haste::Patient
        && let Ok(value) = ThreadPriorityValue::try_from(PATIENT)
        && let Err(cause) = set_current_thread_priority(ThreadPriority::Crossplatform(value))
    {
        tracing::debug!(?cause, "threads of large queries keep the usual priority");
    }
}

/// Makes items as a client takes them, until it is gone, an item is an error, or the query is ended.
async fn pour<T>(mut items: BoxStream<'static, Result<T>>, sender: mpsc::Sender<Result<T>>, run: Arc<Run>) {
    loop {
        let item = match run.step(items.next()).await {
            Ok(Some(item)) => item,
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let (room, is_last) = (run.wait(sender.reserve()).await, item.is_err());
        match room {
            Ok(Ok(room)) => room.send(item),
            Ok(Err(_)) => return,
            Err(error) => {
                // Its memory is free before the client, who may never come back, is told.
                drop((items, run));
                let _ = sender.send(Err(error)).await;
                return;
            }
        }
        if is_last {
            return;
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not wait for its threads inside another.
            runtime.shutdown_background();
        }
    }
}

fn panicked(cause: JoinError) -> Error {
    let error = limit_of_panic(&cause.to_string());
    error.unwrap_or_else(|| Error::new(ErrorKind::Internal, "the query failed inside topline")).with_source(cause)
}

fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "the server stops")
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;
    use crate::config::{Config, Environment};
    use crate::engine::{Engine, Origin};
    use crate::traces::Span;

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_one_query() {
        let workers = Workers::start(1, Haste::Patient).expect("a thread");
        let failed: Result<()> = workers.run(async { panic!("a test's panic") }).await;
        assert_eq!(failed.expect_err("it panicked").kind(), ErrorKind::Internal);
        let failed: Result<()> = workers.run(async { panic!("byte array offset overflow") }).await;
        let error = failed.expect_err("it panicked");
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert_eq!(error.message(), "a text or list column of one batch of rows is larger than 2 GiB");
        assert_eq!(workers.run(async { Ok(7) }).await.ok(), Some(7));
    }

    #[tokio::test]
    async fn a_stream_that_panics_does_not_end_as_if_it_were_whole() {
        let (workers, run) = (Workers::start(1, Haste::Patient).expect("a thread"), run().await);
        let items = futures::stream::iter(0..3).map(|item| if item < 2 { Ok(item) } else { panic!("a test's panic") });
        let all: Result<Vec<i32>> = workers.pump(items.boxed(), run).try_collect().await;
        assert_eq!(all.expect_err("it panicked").kind(), ErrorKind::Internal);
    }

    #[tokio::test]
    async fn a_stream_arrives_in_order() {
        let (workers, run) = (Workers::start(2, Haste::Usual).expect("threads"), run().await);
        let all: Result<Vec<i32>> =
            workers.pump(futures::stream::iter(0..100).map(Ok).boxed(), run).try_collect().await;
        assert_eq!(all.expect("no error"), (0..100).collect::<Vec<_>>());
    }

    async fn run() -> Arc<Run> {
        let config = Config::sample(&Environment::default()).expect("the sample");
        let engine = Engine::open(config).await.expect("it opens");
        let mut statement = engine.session().prepare("select 1").await.expect("it plans");
        let origin = Origin { id: 1, client: String::new(), sql: "select 1".to_owned(), span: Span::default() };
        statement.begin(origin).expect("it begins")
    }
}
