//! What is seen of a server from outside: health, figures, and its queries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use topline::config::{Config, Environment, Limits};
use topline::engine::Engine;
use topline::http::{self, Health};
use topline::publish::{Months, Request, Unchanged, materialize};

use crate::project::Project;
use crate::server::{Server, run};
use crate::{company, support};

async fn got(url: &str) -> (u16, String) {
    let answer = reqwest::get(url).await.expect("it is answered");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

/// The listener of health and figures.
struct Listening {
    url: String,
    health: Health,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Listening {
    async fn start() -> Self {
        let listener = http::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (health, (stop, stopped)) = (Health::default(), oneshot::channel::<()>());
        let task = tokio::spawn(http::serve(listener, health.clone(), async { drop(stopped.await) }));
        Self { url, health, stop, task }
    }

    async fn got(&self, path: &str) -> (u16, String) {
        got(&format!("{}{path}", self.url)).await
    }

    async fn figures(&self) -> Figures {
        let (status, text) = self.got("/metrics").await;
        assert_eq!(status, 200, "{text}");
        Figures::of(&text)
    }

    async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("no panic");
    }
}

/// What Prometheus reads of a text: each line is checked.
struct Figures {
    kinds: BTreeMap<String, String>,
    values: BTreeMap<String, f64>,
}

impl Figures {
    fn of(text: &str) -> Self {
        let mut figures = Self { kinds: BTreeMap::new(), values: BTreeMap::new() };
        let (mut helped, mut ended, mut open) = (BTreeSet::new(), BTreeSet::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and a text");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
                continue;
            }
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a kind");
                assert!(["counter", "gauge", "histogram"].contains(&kind) && helped.contains(name), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(ended.insert(std::mem::replace(&mut open, name.to_owned())), "{line}: in two places");
                figures.kinds.insert(name.to_owned(), kind.to_owned());
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let name = series.split('{').next().expect("a name");
            let of_histogram = ["_bucket", "_sum", "_count"].iter().any(|end| name == format!("{open}{end}"));
            let is_histogram = figures.kinds.get(&open).is_some_and(|kind| kind == "histogram");
            assert!(if is_histogram { of_histogram } else { name == open }, "{line} below {open}");
            assert!(is_labelled(&series[name.len()..]), "{line}");
            let value = value.parse().expect("a number");
            assert!(figures.values.insert(series.to_owned(), value).is_none(), "{line}: twice");
        }
        figures
    }

    fn value(&self, series: &str) -> f64 {
        *self.values.get(series).unwrap_or_else(|| panic!("{series} is not in {:#?}", self.values))
    }

    /// Returns the series of a figure.
    fn all(&self, name: &str) -> Vec<(&str, f64)> {
        let start = format!("{name}{{");
        let found = self.values.iter().filter(|(series, _)| series.starts_with(&start));
        found.map(|(series, value)| (series.as_str(), *value)).collect()
    }
}

/// Returns whether labels are written as they must be: `{name="value",other="value"}`, or none.
fn is_labelled(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else { return text.is_empty() };
    inner.split("\",").all(|label| {
        let value = label.split_once("=\"").map(|(name, value)| (name, value.trim_end_matches('"')));
        value.is_some_and(|(name, value)| {
            name.chars().all(|letter| letter.is_ascii_lowercase()) && !value.contains(['"', '\n'])
        })
    })
}

#[tokio::test]
async fn health_follows_the_server_and_metrics_have_its_figures() {
    let listening = Listening::start().await;
    assert_eq!(listening.got("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(listening.got("/readyz").await, (503, "starting\n".to_owned()));
    assert_eq!(listening.got("/metrics").await.0, 503);
    let engine = support::sample().await;
    listening.health.serving(engine.clone());
    assert_eq!(listening.got("/readyz").await, (200, "ready\n".to_owned()));
    let server = Server::over(engine).await;
    let mut client = server.client().await;
    for sql in
        ["select 1", "select * from crm.accounts", "select cast(name as int) from crm.accounts", "select nothing"]
    {
        run(&mut client, sql).await;
    }
    let (_, text) = listening.got("/metrics").await;
    assert!(!text.contains("anonymous") && !text.contains("select"), "neither users nor queries: {text}");
    let figures = Figures::of(&text);
    for (series, value) in [
        ("topline_queries_total{state=\"done\"}", 2.0),
        ("topline_queries_total{state=\"failed\"}", 2.0),
        ("topline_query_duration_seconds_count", 4.0),
        ("topline_query_duration_seconds_bucket{le=\"+Inf\"}", 4.0),
        ("topline_query_wait_seconds_count", 4.0),
        ("topline_rows_sent_total", 301.0),
        ("topline_bytes_spilled_total", 0.0),
        ("topline_queries_waiting{lane=\"heavy\"}", 0.0),
        ("topline_memory_bytes", 0.0),
    ] {
        assert_eq!(figures.value(series), value, "{series}");
    }
    assert!(figures.value("topline_bytes_sent_total") > 0.0 && figures.value("topline_memory_limit_bytes") > 0.0);
    let url = format!("{}/healthz", listening.url);
    let long = reqwest::Client::new().get(url).header("x", "y".repeat(64 << 10)).send().await;
    assert!(long.is_err() || long.is_ok_and(|answer| answer.status().as_u16() == 431), "headers have a bound");
    listening.health.stopping();
    assert_eq!(listening.got("/readyz").await, (503, "stopping\n".to_owned()));
    server.stop().await;
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_spills_and_logins_are_counted_by_what_they_are() {
    let config = Config::sample(&Environment::default()).expect("the sample");
    let limits = Limits {
        rows: Some(10),
        memory_bytes: 192 << 20,
        memory_per_query_bytes: 64 << 20,
        threads: 2,
        ..config.limits
    };
    let engine = Engine::open(Config { limits, ..config }).await.expect("it opens");
    let listening = Listening::start().await;
    listening.health.serving(engine.clone());
    let server = Server::over(engine).await;
    let mut client = server.client().await;
    client.handshake("anyone", "anything").await.expect("nobody has to log in");
    for sql in [
        "copy crm.accounts to 'x.csv'",
        "select * from crm.accounts",
        "select value from generate_series(1, 9000000) order by value % 1000003",
    ] {
        run(&mut client, sql).await;
    }
    run(&mut client, &format!("select {}1{}", "(".repeat(60), ")".repeat(60))).await;
    let figures = listening.figures().await;
    for (series, value) in [
        ("topline_logins_total{outcome=\"ok\"}", 1.0),
        ("topline_logins_total{outcome=\"refused\"}", 0.0),
        ("topline_refusals_total{kind=\"authentication\",limit=\"\"}", 0.0),
        ("topline_refusals_total{kind=\"access\",limit=\"\"}", 1.0),
        ("topline_refusals_total{kind=\"limit\",limit=\"rows\"}", 2.0),
        ("topline_refusals_total{kind=\"limit\",limit=\"other\"}", 1.0),
    ] {
        assert_eq!(figures.value(series), value, "{series}");
    }
    listening.counts("topline_bytes_spilled_total").await;
    server.stop().await;
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_goes_makes_the_server_unready_until_it_is_back() {
    let project = Project::new();
    company::lay_out(&project);
    project.text("topline.toml", &format!("{}\n[warehouse]\nlocation = \"warehouse\"\n", company::CONFIGURATION));
    let engine = project.open().await.expect("the project opens");
    let request =
        Request { metrics: vec!["nrr".to_owned()], months: Months::Due, unchanged: Unchanged::IsKept, job: None };
    materialize(&engine, &request, &|_| {}).await.expect("it is published");
    let listening = Listening::start().await;
    listening.health.serving(engine);
    assert_eq!(listening.got("/readyz").await.0, 200);
    let figures = listening.figures().await;
    let files = figures.all("topline_source_newest_file_timestamp_seconds");
    assert!(files.iter().any(|(series, at)| series.contains("\"crm.accounts\"") && *at > 1.7e9), "{files:?}");
    let months = figures.all("topline_published_newest_month_timestamp_seconds");
    assert!(months.iter().any(|(series, at)| series.contains("\"nrr\"") && *at > 1.7e9), "{months:?}");
    for (name, wrong) in [("crm", "a source cannot be read\n"), ("warehouse", "the warehouse cannot be read\n")] {
        let (there, gone) = (project.path(name), project.path("gone"));
        std::fs::rename(&there, &gone).expect("it is there");
        if name == "warehouse" {
            std::fs::write(&there, "no folder").expect("a file in its place");
        }
        listening.becomes((503, wrong.to_owned())).await;
        if name == "warehouse" {
            std::fs::remove_file(&there).expect("it is there");
        }
        std::fs::rename(&gone, &there).expect("it is back");
        listening.becomes((200, "ready\n".to_owned())).await;
    }
    listening.stop().await;
}

impl Listening {
    /// Waits until a figure is more than 0: what a query did is counted when it is over, which its client does not wait for.
    async fn counts(&self, series: &str) {
        let counted = async {
            while self.figures().await.value(series) == 0.0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), counted).await.unwrap_or_else(|_| panic!("{series} stays 0"));
    }

    /// Waits until the server says this of itself, which it does with its next look.
    async fn becomes(&self, wanted: (u16, String)) {
        let seen = async {
            while self.got("/readyz").await != wanted {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), seen).await.unwrap_or_else(|_| panic!("never {wanted:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_do_not_plan_are_among_the_queries_without_where_things_lie() {
    let engine = support::sample().await;
    let server = Server::over(engine.clone()).await;
    let mut client = server.client().await;
    client.execute("select nothing from crm.accounts".to_owned(), None).await.expect_err("there is no such column");
    client.prepare("select from".to_owned(), None).await.expect_err("it does not parse");
    client.execute_update("copy crm.accounts to '/tmp/x'".to_owned(), None).await.expect_err("it is refused");
    let told = "select sql, state, error from meta.queries where state = 'failed' order by began_at";
    let found = support::rows(&engine.session(), told).await;
    let texts: Vec<&str> = found.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(texts, ["select nothing from crm.accounts", "select from", "copy crm.accounts to '/tmp/x'"]);
    assert_eq!(found[0][2], "column \"nothing\" does not exist");
    assert!(found.iter().all(|row| row[1] == "failed" && row[2] != "NULL"), "{found:?}");
    server.stop().await;
}
