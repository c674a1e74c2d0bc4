//! The way of spans to the collector: a bounded queue, and a task that sends what is in it.
//!
//! A collector that is slow or away costs spans, and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::messages::{Attribute, Export, Resource, ResourceSpans, Scope, ScopeSpans, SpanMessage};
use crate::config::TracesConfig;
use crate::error::{Error, ErrorKind, Result};

/// Spans that wait for the collector: some megabytes, and several seconds of a busy server.
const WAITING_MAX: usize = 8_192;

/// Spans that are sent at once: some 200 KB, which collectors take by their defaults.
const AT_ONCE_MAX: usize = 512;

/// How long a span waits for others: a person who looks for it does not notice.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the collector may take to answer; more spans wait meanwhile.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last spans may take at a stop, which others wait for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where spans are handed over, and the task that sends them.
#[derive(Debug)]
pub(super) struct Sender {
    spans: mpsc::Sender<SpanMessage>,
    lost: Arc<AtomicU64>,
    task: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Sender {
    /// Starts the task on the runtime of the caller.
    ///
    /// # Errors
    /// `Config` where a header is none, `Internal` where HTTP cannot be spoken.
    pub(super) fn start(config: &TracesConfig) -> Result<Self> {
        let client = Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .redirect(Policy::none())
            .default_headers(headers(config)?)
            .build()
            .map_err(|cause| Error::new(ErrorKind::Internal, "HTTP requests cannot be made").with_source(cause))?;
        let ((spans, waiting), (close, closed)) = (mpsc::channel(WAITING_MAX), oneshot::channel());
        let lost = Arc::new(AtomicU64::new(0));
        let line = Line {
            client,
            endpoint: config.endpoint.clone(),
            service: config.service.clone(),
            lost: Arc::clone(&lost),
            is_down: false,
        };
        let task = tokio::spawn(line.run(waiting, closed));
        Ok(Self { spans, lost, task: Mutex::new(Some((close, task))) })
    }

    /// Hands a span over. Where too many wait already it is lost.
    pub(super) fn send(&self, span: SpanMessage) {
        if self.spans.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends what waits, as far as the collector takes it in time.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((close, mut task)) = task else { return };
        drop(close);
        if tokio::time::timeout(CLOSE_TIMEOUT, &mut task).await.is_err() {
            task.abort();
        }
    }
}

fn headers(config: &TracesConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    for (name, value) in &config.headers {
        let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value.reveal()).ok());
        let Some((name, mut value)) = pair else {
            return Err(Error::new(ErrorKind::Config, format!("header \"{name}\" for the collector is none of HTTP")));
        };
        value.set_sensitive(IS_SECRET);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Headers carry what opens the collector.
const IS_SECRET: bool = true;

/// The line to the collector.
struct Line {
    client: Client,
    endpoint: Url,
    service: String,
    lost: Arc<AtomicU64>,
    is_down: bool,
}

impl Line {
    async fn run(mut self, mut waiting: mpsc::Receiver<SpanMessage>, closed: oneshot::Receiver<()>) {
        let mut closed = std::pin::pin!(closed);
        let mut spans = Vec::with_capacity(AT_ONCE_MAX);
        loop {
            tokio::select! {
                received = waiting.recv_many(&mut spans, AT_ONCE_MAX) => if received == 0 { break },
                _ = &mut closed => break,
            }
            tokio::select! {
                () = filled(&mut waiting, &mut spans) => {}
                _ = &mut closed => break,
            }
            self.deliver(&mut spans).await;
        }
        waiting.close();
        loop {
            while spans.len() < AT_ONCE_MAX
                && let Ok(span) = waiting.try_recv()
            {
                spans.push(span);
            }
            if spans.is_empty() {
                return;
            }
            self.deliver(&mut spans).await;
        }
    }

    /// Sends spans. Those that are not taken are lost, which is said once, until some are taken again.
    async fn deliver(&mut self, spans: &mut Vec<SpanMessage>) {
        let count = spans.len() as u64;
        let body = self.export(std::mem::take(spans)).encode_to_vec();
        let answer = self.client.post(self.endpoint.clone()).body(body).send().await;
        let fault = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(cause) => Some(root_of(&cause)),
        };
        let Some(fault) = fault else {
            if std::mem::replace(&mut self.is_down, false) {
                tracing::info!(lost = self.lost.load(Ordering::Relaxed), "the collector of traces takes spans again");
            }
            return;
        };
        self.lost.fetch_add(count, Ordering::Relaxed);
        if !std::mem::replace(&mut self.is_down, true) {
            let hint = "look at [traces] endpoint; OTLP over HTTP is port 4318 of most collectors";
            let endpoint = self.endpoint.as_str();
            tracing::warn!(
                endpoint,
                fault,
                hint,
                "the collector of traces takes no spans; they are lost until it does"
            );
        }
    }

    fn export(&self, spans: Vec<SpanMessage>) -> Export {
        let version = env!("CARGO_PKG_VERSION");
        let resource = Resource {
            attributes: vec![
                Attribute::new("service.name", self.service.as_str().into()),
                Attribute::new("service.version", version.into()),
                Attribute::new("process.pid", u64::from(std::process::id()).into()),
            ],
        };
        let scope = Scope { name: env!("CARGO_PKG_NAME").to_owned(), version: version.to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        Export { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }
    }
}

/// Returns what a request failed by in the end, such as that nobody listens there.
fn root_of(cause: &dyn std::error::Error) -> String {
    let root = std::iter::successors(Some(cause), |cause| cause.source()).last();
    root.map_or_else(String::new, ToString::to_string)
}

/// Waits until there are as many spans as are sent at once, or long enough.
async fn filled(waiting: &mut mpsc::Receiver<SpanMessage>, spans: &mut Vec<SpanMessage>) {
    let full = async {
        while spans.len() < AT_ONCE_MAX {
            let room = AT_ONCE_MAX - spans.len();
            if waiting.recv_many(spans, room).await == 0 {
                return;
            }
        }
    };
    // Those that came are sent, however many there are.
    let _ = tokio::time::timeout(PAUSE, full).await;
}
