//! What is seen of a server from outside, and what is written down of what is done.

use std::path::Path;

use futures::TryStreamExt;
use tokio::sync::oneshot;
use topline::config::{AuditConfig, Config, Environment, Location, Warehouse};
use topline::engine::Engine;
use topline::http::{self, Health};

use crate::server::Server;
use crate::support;

async fn got(url: &str) -> (u16, String) {
    let answer = reqwest::get(url).await.expect("it is answered");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

#[tokio::test]
async fn health_follows_the_server_and_metrics_have_its_figures() {
    let listener = http::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (health, (stop, stopped)) = (Health::default(), oneshot::channel::<()>());
    let listening = tokio::spawn(http::serve(listener, health.clone(), async { drop(stopped.await) }));
    let at = |path: &str| format!("{url}{path}");
    assert_eq!(got(&at("/healthz")).await, (200, "ok\n".to_owned()));
    assert_eq!(got(&at("/readyz")).await, (503, "starting\n".to_owned()));
    assert_eq!(got(&at("/metrics")).await.0, 503);
    let engine = support::sample().await;
    health.serving(engine.clone());
    assert_eq!(got(&at("/readyz")).await, (200, "ready\n".to_owned()));
    let server = Server::over(engine).await;
    let mut client = server.client().await;
    for sql in ["select 1", "select * from crm.accounts", "select cast(name as int) from crm.accounts"] {
        let info = client.execute(sql.to_owned(), None).await.expect("it plans");
        let rows = client.do_get(info.endpoint[0].ticket.clone().expect("a ticket")).await.expect("it starts");
        drop(rows.try_collect::<Vec<_>>().await);
    }
    let (status, text) = got(&at("/metrics")).await;
    assert_eq!(status, 200);
    for line in [
        "topline_queries_total{state=\"done\"} 2",
        "topline_queries_total{state=\"failed\"} 1",
        "topline_query_duration_seconds_count 3",
        "topline_rows_sent_total 301",
        "topline_queries_waiting{lane=\"heavy\"} 0",
        "topline_memory_bytes 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("anonymous") && !text.contains("select"), "neither users nor queries: {text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(name.starts_with("topline_") && value.parse::<f64>().is_ok(), "{line}");
    }
    let long = reqwest::Client::new().get(at("/healthz")).header("x", "y".repeat(64 << 10)).send().await;
    assert!(long.is_err() || long.is_ok_and(|answer| answer.status().as_u16() == 431), "headers have a bound");
    health.stopping();
    assert_eq!(got(&at("/readyz")).await, (503, "stopping\n".to_owned()));
    server.stop().await;
    drop(stop);
    listening.await.expect("no panic");
}

async fn audited(folder: &Path) -> Engine {
    let config = Config::sample(&Environment::default()).expect("the sample");
    let warehouse =
        Warehouse { location: Location::Local(folder.join("warehouse")), is_configured: true, is_accelerating: false };
    let path = folder.join("audit.log");
    let audit = Some(AuditConfig { path, max_bytes: 1 << 20, keep: 3, is_required: true });
    Engine::open(Config { warehouse, audit, ..config }).await.expect("it opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_refusals_are_written_down_and_nothing_is_done_that_cannot_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::over(audited(folder.path()).await).await;
    let mut client = server.client().await;
    assert_eq!(
        client.execute_update("create table sandbox.kept as select 1 as x".to_owned(), None).await.ok(),
        Some(1)
    );
    client.execute("copy crm.accounts to 'x.csv'".to_owned(), None).await.expect_err("it is refused");
    let log = folder.path().join("audit.log");
    let text = std::fs::read_to_string(&log).expect("it is there");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let told: Vec<_> = lines.iter().map(|line| [&line["act"], &line["object"], &line["outcome"]]).collect();
    let table = "create table sandbox.kept";
    assert_eq!(told[0].map(|word| word.as_str().unwrap_or_default().to_lowercase()), ["written", table, "begun"]);
    assert_eq!(told[1].map(|word| word.as_str().unwrap_or_default().to_lowercase()), ["written", table, "1 rows"]);
    assert_eq!(told[2][0], "refused");
    assert!(told[2][2].as_str().is_some_and(|why| why.starts_with("copy is not allowed")), "{text}");
    assert_eq!((&lines[2]["user"], &lines[2]["address"]), (&"anonymous".into(), &"127.0.0.1".into()));
    std::fs::remove_file(&log).expect("it was there");
    std::fs::create_dir(&log).expect("a folder in its place");
    let refused = client.execute_update("create table sandbox.lost as select 1 as x".to_owned(), None).await;
    assert!(refused.expect_err("it cannot be written down").to_string().contains("so it is not done"));
    std::fs::remove_dir(&log).expect("it is there");
    let names = client.execute("select 1 from sandbox.lost".to_owned(), None).await;
    assert!(names.expect_err("it was not made").to_string().contains("does not exist"));
    server.stop().await;
}
