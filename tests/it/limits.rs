//! Each limit is reached, and says which it is.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tonic::transport::Channel;
use tonic::{Code, Status};
use topline::Result;
use topline::auth::Caller;
use topline::config::{Config, Environment, Limits};
use topline::engine::{Engine, Origin, Session};
use topline::traces::Span;

use crate::server::Server;

/// How long is waited for what happens at once on any machine.
const SOON: Duration = Duration::from_secs(60);

/// A large query that has no row for hours.
const LONG: &str = "select count(*) from generate_series(1, 100000) as a(x) cross join generate_series(1, 100000000) as b(y) \
                    where x * y % 7 = 8";

/// A large query whose rows have no end.
const ENDLESS: &str = "select value from generate_series(1, 1000000000000)";

/// A large query that is done in a moment.
const SHORT: &str = "select count(*) from generate_series(1, 1000)";

async fn engine(limits: impl FnOnce(Limits) -> Limits) -> Engine {
    let config = Config::sample(&Environment::default()).expect("the sample");
    let limits = limits(config.limits);
    Engine::open(Config { limits, ..config }).await.expect("it opens")
}

type Client = FlightSqlServiceClient<Channel>;

async fn stream(client: &mut Client, sql: &str) -> Result<FlightRecordBatchStream, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    client.do_get(info.endpoint[0].ticket.clone().expect("a ticket")).await
}

async fn rows(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, Status> {
    let done = async { stream(client, sql).await?.try_collect::<Vec<_>>().await };
    done.await.map_err(Status::from)
}

/// Runs a query in the background; returns what it comes to.
async fn background(server: &Server, sql: &'static str) -> tokio::task::JoinHandle<Result<Vec<RecordBatch>, Status>> {
    let mut client = server.client().await;
    tokio::spawn(async move { rows(&mut client, sql).await })
}

/// Returns the ids of the queries in a state whose text begins like this, once there are so many.
async fn ids(client: &mut Client, state: &str, text: &str, count: usize) -> Vec<String> {
    let sql = format!(
        "select query_id from meta.queries where state = '{state}' and starts_with(sql, '{}')",
        text.replace('\'', "''")
    );
    let found = async {
        loop {
            let batches = rows(client, &sql).await.expect("it is answered");
            let texts: Vec<String> = batches.iter().flat_map(crate::support::texts).flatten().collect();
            if texts.len() >= count {
                return texts;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, found).await.expect("it is seen")
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("it happens soon")
}

#[tokio::test(flavor = "multi_thread")]
async fn large_queries_wait_in_a_queue_and_small_ones_do_not() {
    let engine = engine(|limits| Limits { queries: 1, queue: 1, ..limits }).await;
    let server = Server::over(engine).await;
    let mut client = server.client().await;
    let first = background(&server, LONG).await;
    let running = ids(&mut client, "running", LONG, 1).await;
    let waiting = background(&server, SHORT).await;
    ids(&mut client, "queued", SHORT, 1).await;
    let full = soon(rows(&mut client, SHORT)).await.expect_err("the queue is full");
    assert_eq!(full.code(), Code::Unavailable);
    assert_eq!(
        full.message(),
        "the server is busy: 1 queries wait already, the limit of [limits] queue; hint: try again in a moment"
    );
    soon(rows(&mut client, "select count(*) from crm.accounts")).await.expect("a small query has its own place");
    let killed = soon(rows(&mut client, &format!("kill '{}'", running[0]))).await.expect("it runs");
    assert_eq!(crate::support::texts(&killed[0])[0][0], running[0]);
    let error = soon(first).await.expect("no panic").expect_err("it was killed");
    assert_eq!((error.code(), error.message()), (Code::Cancelled, "the query was killed by \"anonymous\""));
    soon(waiting).await.expect("no panic").expect("its turn came");
    assert_eq!(ids(&mut client, "cancelled", LONG, 1).await, running);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_has_an_end() {
    let server = Server::over(engine(|limits| Limits { queries: 1, queue_seconds: 0, ..limits }).await).await;
    let mut client = server.client().await;
    let first = background(&server, LONG).await;
    let running = ids(&mut client, "running", LONG, 1).await;
    let late = soon(rows(&mut client, SHORT)).await.expect_err("there is no place");
    assert_eq!(late.code(), Code::Unavailable);
    assert!(late.message().contains("[limits] queue_seconds"), "{late}");
    soon(rows(&mut client, &format!("kill '{}'", running[0]))).await.expect("it runs");
    soon(first).await.expect("no panic").expect_err("it was killed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_gives_its_place_away() {
    let server = Server::over(engine(|limits| Limits { queries: 1, ..limits }).await).await;
    let (mut slow, mut client) = (server.client().await, server.client().await);
    let mut unread = stream(&mut slow, ENDLESS).await.expect("it begins");
    unread.try_next().await.expect("it goes on").expect("a first batch");
    soon(rows(&mut client, SHORT)).await.expect("the place is free after a while");
    soon(unread.try_next()).await.expect("it goes on").expect("another batch");
    drop(unread);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_rows_bytes_and_disk_have_limits_of_their_own() {
    let small = |limits| Limits {
        memory_bytes: 192 << 20,
        memory_per_query_bytes: 64 << 20,
        temporary_disk_bytes: 4 << 20,
        threads: 2,
        ..limits
    };
    let server = Server::over(engine(small).await).await;
    let mut client = server.client().await;
    for (sql, name) in [
        ("select array_agg(value) from generate_series(1, 20000000)", "memory_per_query"),
        ("select value from generate_series(1, 20000000) order by value % 1000003", "temporary_disk"),
    ] {
        let error = soon(rows(&mut client, sql)).await.expect_err("there is a limit");
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert!(error.message().ends_with(&format!("or raise [limits] {name}")), "{sql}: {error}");
    }
    server.stop().await;
    let server = Server::over(engine(|limits| Limits { rows: Some(1000), ..limits }).await).await;
    let error = rows(&mut server.client().await, ENDLESS).await.expect_err("there is a limit");
    assert_eq!(error.message().split(';').next(), Some("the result has more than 1000 rows"));
    server.stop().await;
    let server = Server::over(engine(|limits| Limits { result_bytes: Some(1000), ..limits }).await).await;
    let error = rows(&mut server.client().await, ENDLESS).await.expect_err("there is a limit");
    assert_eq!(error.message().split(';').next(), Some("the result has more than 1000 bytes"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_does_not_fit_goes_on_with_its_rows_on_disk() {
    let small = |limits| Limits { memory_bytes: 100 << 20, memory_per_query_bytes: 100 << 20, threads: 2, ..limits };
    let engine = engine(small).await;
    let both = "select count(*) as n from (select value as x, value || repeat('.', 60) as t from generate_series(1, 1000000)) as a
        join (select value as x, value || repeat('.', 60) as t from generate_series(1, 1000000)) as b on a.x = b.x
        where a.t <> b.t || 'x'";
    let answer = engine.session().query(both).await.expect("it plans").collect().await.expect("it has an answer");
    assert_eq!(crate::support::texts(&answer[0]), [["1000000"]]);
    assert_eq!(engine.memory_in_use(), 0);
}

fn begun(session: &Session, id: u64, sql: &str) -> impl Future<Output = Result<Vec<RecordBatch>>> + Send + 'static {
    let (session, sql) = (session.clone(), sql.to_owned());
    async move {
        let mut statement = session.prepare(&sql).await?;
        let _run = statement.begin(Origin { id, client: "a test".to_owned(), sql, span: Span::default() })?;
        statement.execute(None).await?.collect().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_and_end_their_own_queries_and_leave_places_to_others() {
    let config = Config::sample(&Environment::default()).expect("the sample");
    let mut security = config.security.clone();
    security.users = Some("users.toml".into());
    let limits = Limits { queries: 2, queries_per_user: 1, queue_seconds: 0, ..config.limits };
    let engine = Engine::open(Config { limits, security, ..config }).await.expect("it opens");
    let session_of = async |name| {
        let caller = Caller::granted(name, None, BTreeMap::new());
        engine.as_user(&caller).await.expect("there are no roles").session()
    };
    let (ann, bob) = (session_of("ann").await, session_of("bob").await);
    let long = tokio::spawn(begun(&ann, 7, LONG));
    let seen = |session: &Session, of: &str| {
        let sql = format!("select sql from meta.queries where user_name = '{of}' and state = 'running'");
        let session = session.clone();
        async move {
            let batches = session.query(&sql).await.expect("it plans").collect().await.expect("it answers");
            batches.iter().map(RecordBatch::num_rows).sum::<usize>()
        }
    };
    soon(async {
        while seen(&ann, "ann").await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(seen(&bob, "ann").await, 0, "others do not see it");
    assert_eq!(seen(&engine.session(), "ann").await, 1, "who runs the server does");
    assert!(soon(begun(&ann, 8, SHORT)).await.expect_err("she has her place").message().contains("busy"));
    soon(begun(&bob, 9, SHORT)).await.expect("he has another");
    let kill = "kill query '0000000000000007'";
    let refused = bob.query(kill).await.expect("it plans").collect().await.expect_err("it is not his");
    assert_eq!(refused.message(), "query \"0000000000000007\" does not run");
    ann.query(kill).await.expect("it plans").collect().await.expect("it is hers");
    let ended = soon(long).await.expect("no panic").expect_err("it was killed");
    assert_eq!(ended.message(), "the query was killed by \"ann\"");
    let wrong = ann.query("kill 7").await.expect_err("no quotes");
    assert_eq!(wrong.message(), "kill takes the id of a query in quotes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_many_rows_share_goes_out_in_batches_that_memory_holds() {
    let session = engine(|limits| limits).await.session();
    // A view is 16 bytes of each row, and what it names a megabyte.
    let sql = "with named as (select arrow_cast(repeat('x', 1000000), 'Utf8View') as name)
               select named.name, length(named.name) as letters from named cross join generate_series(1, 300)";
    let mut rows = session.query(sql).await.expect("it begins");
    let mut counts = Vec::new();
    while let Some(batch) = rows.try_next().await.expect("it goes on") {
        assert!(batch.get_array_memory_size() <= 257 << 20, "{} rows", batch.num_rows());
        counts.push(batch.num_rows());
    }
    assert_eq!(counts.iter().sum::<usize>(), 300, "{counts:?}");
    assert!(counts.len() > 1, "{counts:?}");
}
