//! The HTTP listener: whether the server lives and is ready, and its figures for Prometheus. No rows, no names of users.
//!
//! Off unless `[http] address` is configured. It is bound before the engine opens, so that whoever asks meanwhile is told
//! to wait. Start at [`serve`].

mod figures;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::catalog::TableState;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

/// Connections at once: some scrapers and probes, each of which has one.
const CONNECTIONS_MAX: usize = 64;

/// How long a client may take to send its request, and how long one connection may last in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);

/// The largest request: a line and some headers.
const REQUEST_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;

/// How long a look at sources and warehouse is good: probes come every few seconds, and object stores charge for looks.
const LOOK: Duration = Duration::from_secs(5);

/// How long such a look may take: probes give up after that.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// How far the server is.
#[derive(Debug, Clone)]
enum Stage {
    Starting,
    Serving(Engine),
    Stopping,
}

/// What is found of the sources, or what is wrong with them or the warehouse.
type Found = std::result::Result<Arc<Vec<TableState>>, &'static str>;

/// What the listener is told of the server. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Health {
    stage: Arc<watch::Sender<Stage>>,
    /// When sources and warehouse were looked at last.
    look: Arc<Mutex<Option<(Instant, Found)>>>,
}

impl Default for Health {
    fn default() -> Self {
        Self { stage: Arc::new(watch::Sender::new(Stage::Starting)), look: Arc::default() }
    }
}

impl Health {
    /// Says that queries are answered from now on.
    pub fn serving(&self, engine: Engine) {
        self.stage.send_replace(Stage::Serving(engine));
    }

    /// Says that the server comes to its end.
    pub fn stopping(&self) {
        self.stage.send_replace(Stage::Stopping);
    }

    fn engine(&self) -> Option<Engine> {
        match &*self.stage.borrow() {
            Stage::Serving(engine) => Some(engine.clone()),
            Stage::Starting | Stage::Stopping => None,
        }
    }

    /// Returns why the server is not ready.
    async fn fault(&self) -> Option<&'static str> {
        let Some(engine) = self.engine() else {
            let is_starting = matches!(&*self.stage.borrow(), Stage::Starting);
            return Some(if is_starting { "starting" } else { "stopping" });
        };
        self.found(&engine).await.err()
    }

    /// Looks at sources and warehouse, no more often than every few seconds.
    async fn found(&self, engine: &Engine) -> Found {
        let mut look = self.look.lock().await;
        if let Some((at, found)) = &*look
            && at.elapsed() < LOOK
        {
            return found.clone();
        }
        let found = tokio::time::timeout(LOOK_TIMEOUT, looked_at(engine)).await;
        let found = found.unwrap_or(Err("sources or warehouse do not answer"));
        *look = Some((Instant::now(), found.clone()));
        found
    }
}

/// Looks at what a query needs. What exactly is wrong stands in the log, and not on an open port.
async fn looked_at(engine: &Engine) -> Found {
    let note = |what: &'static str| {
        move |error: Error| {
            tracing::warn!(%error, "not ready: {what}");
            what
        }
    };
    let states = engine.source_states().await.map_err(note("a source cannot be read"))?;
    engine.table_names().await.map_err(note("the warehouse cannot be read"))?;
    Ok(Arc::new(states))
}

/// Takes a port; 0 takes any free one.
///
/// # Errors
/// `Config` where it is in use or may not be taken.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "health and metrics can be read from other machines");
    }
    TcpListener::bind(address).await.map_err(|cause| {
        Error::new(ErrorKind::Config, format!("address \"{address}\" cannot be listened on: {cause}"))
            .with_hint("choose another with [http] address")
            .with_source(cause)
    })
}

/// Answers until `shutdown` ends.
pub async fn serve(listener: TcpListener, health: Health, shutdown: impl Future<Output = ()> + Send) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .with_state(health);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = async { (place.await, listener.accept().await) };
        let (place, connection) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => return,
        };
        match connection {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    let _place = place;
                    answer(stream, router).await;
                });
            }
            Err(error) => {
                // Such as too many open files: those that are open may be closed soon.
                tracing::warn!(%error, "a connection for metrics was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(REQUEST_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // How a connection ends is of no interest: its client has its answer, or has gone.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
}

async fn readiness(State(health): State<Health>) -> Response {
    match health.fault().await {
        None => "ready\n".into_response(),
        Some(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")).into_response(),
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    let Some(engine) = health.engine() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "not serving\n").into_response();
    };
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    // A source that cannot be read is a matter of readiness; the other figures are there all the same.
    let sources = health.found(&engine).await.unwrap_or_default();
    (kind, figures::text(&engine, &sources).await).into_response()
}
