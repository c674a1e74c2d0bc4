//! Traces of calls, as a collector gets them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use futures::TryStreamExt;
use prost::Message;
use tokio::net::TcpListener;
use topline::config::{Config, Environment, TracesConfig};
use topline::domain::secret::Secret;
use topline::engine::Engine;

use crate::server::{Server, run};

/// A span, as far as it is looked at, in the numbers of the protocol.
#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(fixed64, tag = "7")]
    start: u64,
    #[prost(fixed64, tag = "8")]
    end: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
    #[prost(message, optional, tag = "15")]
    status: Option<SpanStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct SpanStatus {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(int64, optional, tag = "3")]
    number: Option<i64>,
}

/// A message whose second field is a list: of scopes in a resource, of spans in a scope.
#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

impl Span {
    fn text(&self, key: &str) -> Option<String> {
        self.value(key)?.text
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.value(key)?.number
    }

    fn value(&self, key: &str) -> Option<Value> {
        self.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()
    }
}

/// A collector on a free port, which keeps what it is sent.
struct Collector {
    url: String,
    requests: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v1/traces", listener.local_addr().expect("it is bound"));
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let kept = Arc::clone(&requests);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            kept.lock().expect("no panic").push((headers, body));
        };
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<(HeaderMap, Bytes)> {
        self.requests.lock().expect("no panic").clone()
    }

    fn exports(&self) -> Vec<ResourceSpans> {
        let decoded =
            |(_, body): (HeaderMap, Bytes)| Export::decode(body).expect("a message of the protocol").resources;
        self.requests().into_iter().flat_map(decoded).collect()
    }

    fn spans(&self) -> Vec<Span> {
        self.exports().into_iter().flat_map(|export| export.scopes).flat_map(|scope| scope.spans).collect()
    }
}

fn traces(url: &str) -> TracesConfig {
    TracesConfig {
        endpoint: url.parse().expect("a URL"),
        headers: vec![("api-key".to_owned(), Secret::new("open sesame"))],
        service: "warehouse".to_owned(),
        ratio: 0.0,
        has_sql: false,
    }
}

async fn server(traces: Option<TracesConfig>) -> Server {
    let config = Config::sample(&Environment::default()).expect("the sample");
    Server::over(Engine::open(Config { traces, ..config }).await.expect("it opens")).await
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: [u8; 16] = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
const CALLER_ID: [u8; 8] = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_seen_below_the_span_of_its_caller_without_what_it_asks_for() {
    let collector = Collector::start().await;
    let server = server(Some(traces(&collector.url))).await;
    let mut client = server.client().await;
    run(&mut client, "select 'unseen' as unseen").await;
    client.set_header("traceparent", PARENT);
    run(&mut client, "select account_id, 'literal' as x from crm.accounts limit 7").await;
    run(&mut client, "select cast('literal' || account_id as int) as x from crm.accounts").await;
    run(&mut client, "select literal from crm.accounts").await;
    server.stop().await;
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace_id == TRACE_ID), "the first call is none of the share: {spans:#?}");
    let named = |name: &str| spans.iter().filter(|span| span.name == name).cloned().collect::<Vec<_>>();
    let below = |parent: &Span, name: &str| {
        let found = spans.iter().find(|span| span.parent_span_id == parent.span_id && span.name == name);
        found.cloned().unwrap_or_else(|| panic!("{} has no {name}: {spans:#?}", parent.name))
    };
    let calls = named("FlightService/DoGet");
    assert_eq!((named("FlightService/GetFlightInfo").len(), calls.len()), (3, 2));
    for call in named("FlightService/GetFlightInfo").iter().chain(&calls) {
        assert_eq!(call.parent_span_id, CALLER_ID);
        assert_eq!(call.text("user.name").as_deref(), Some("anonymous"));
        assert!(call.end >= call.start && call.start > 1_700_000_000_000_000_000);
    }
    let is_failed = |span: &Span| span.status.as_ref().is_some_and(|status| status.code == 2);
    let [done, failed] = [0, 1].map(|place| below(&calls[place], "query"));
    assert_eq!(
        (done.number("db.response.returned_rows"), done.text("topline.state").as_deref()),
        (Some(7), Some("done"))
    );
    assert_eq!(done.text("topline.query_id").map(|id| id.len()), Some(16));
    assert!(!is_failed(&done) && !is_failed(&calls[0]));
    let (prepared, ran) = (below(&done, "prepare"), below(&done, "run"));
    assert!(prepared.start <= ran.start && ran.end <= calls[0].end);
    assert!(is_failed(&failed) && is_failed(&calls[1]));
    assert_eq!(
        (failed.text("error.type").as_deref(), failed.text("topline.state").as_deref()),
        (Some("query"), Some("failed"))
    );
    let unplanned = named("plan").into_iter().filter(is_failed).collect::<Vec<_>>();
    assert_eq!(unplanned.len(), 1, "{spans:#?}");
    let exports = collector.exports();
    let service = &exports[0].resource.as_ref().expect("a resource").attributes[0];
    assert_eq!(
        (service.key.as_str(), service.value.clone().and_then(|value| value.text).as_deref()),
        ("service.name", Some("warehouse"))
    );
    for (headers, body) in collector.requests() {
        assert_eq!(
            (&headers["api-key"], &headers["content-type"]),
            (&"open sesame".parse().expect("a header"), &"application/x-protobuf".parse().expect("a header"))
        );
        let text = String::from_utf8_lossy(&body);
        assert!(!text.contains("literal") && !text.contains("select"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_queries_and_calls_without_a_caller_are_seen_where_that_is_configured() {
    let collector = Collector::start().await;
    let server = server(Some(TracesConfig { ratio: 1.0, has_sql: true, ..traces(&collector.url) })).await;
    let mut client = server.client().await;
    run(&mut client, "select 'seen' as x").await;
    client.set_header("traceparent", PARENT.replace("-01", "-00"));
    run(&mut client, "select 'unseen' as x").await;
    server.stop().await;
    let spans = collector.spans();
    let texts: Vec<_> = spans.iter().filter_map(|span| span.text("db.query.text")).collect();
    assert_eq!(texts, ["select 'seen' as x"; 2], "of the plan and of the query");
    assert_eq!(spans.iter().filter(|span| span.parent_span_id.is_empty()).count(), 2, "each call begins a trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_unless_it_is_configured_and_a_collector_that_is_away_changes_nothing() {
    let collector = Collector::start().await;
    let off = server(None).await;
    let mut client = off.client().await;
    client.set_header("traceparent", PARENT);
    run(&mut client, "select 1").await;
    off.stop().await;
    assert_eq!(collector.requests().len(), 0);
    let gone = server(Some(TracesConfig { ratio: 1.0, ..traces("http://127.0.0.1:1/v1/traces") })).await;
    let mut client = gone.client().await;
    let info = client.execute("select 1".to_owned(), None).await.expect("it plans");
    let rows = client.do_get(info.endpoint[0].ticket.clone().expect("a ticket")).await.expect("it starts");
    assert_eq!(rows.try_collect::<Vec<_>>().await.expect("it is answered").len(), 1);
    gone.stop().await;
}
