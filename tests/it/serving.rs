//! `topline serve` as a process: what it uses, and how it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{Action, CancelFlightInfoRequest, FlightInfo, Ticket};
use futures::TryStreamExt;
use prost::Message;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

/// How long a query may go on without its client.
const FREE_WITHIN: Duration = Duration::from_secs(1);

/// How long is looked at what a process uses, and the most of one that rests.
const LOOK: Duration = Duration::from_millis(400);
const QUIET_MAX: Duration = Duration::from_millis(60);

/// What shows that a query computes, and how long that may take on a busy machine.
const BUSY_MIN: Duration = Duration::from_millis(300);
const BUSY_WITHIN: Duration = Duration::from_secs(60);

/// Queries that compute for minutes and give no row, or for ever.
const NASTY: [(&str, &str); 12] = [
    (
        "cross join",
        "select count(*) from generate_series(1, 100000) as a(x) cross join generate_series(1, 10000000) as b(y)
         where x + y < 0",
    ),
    (
        "nested loop",
        "select count(*) from generate_series(1, 300000) as a(x) join generate_series(1, 300000) as b(y)
         on a.x * 3 < b.y - a.x * 1000000",
    ),
    (
        "nested loop that keeps both sides",
        "select count(*) from generate_series(1, 300000) as a(x) full join generate_series(1, 300000) as b(y)
         on a.x * 3 < b.y - a.x * 1000000",
    ),
    (
        "join of many to many",
        "select count(*) from generate_series(1, 1000000) as a(x) join generate_series(1, 1000000) as b(y)
         on a.x % 2 = b.y % 2 where x * y % 10 = 11",
    ),
    ("giant sort", "select x from generate_series(1, 100000000) as t(x) order by x % 1000003, x desc"),
    ("series", "select sum(value % 7) from generate_series(1, 100000000000)"),
    (
        "many groups",
        "select max(n) from (select value % 20000000 as k, count(*) as n from generate_series(1, 10000000000) group by k)",
    ),
    ("distinct", "select count(distinct value * 7 % 1000000007) from generate_series(1, 10000000000)"),
    ("recursion", "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r"),
    ("arrays", "select sum(x) from (select unnest(range(1, 2000)) as x from generate_series(1, 10000000))"),
    (
        "pattern",
        "select count(*) from generate_series(1, 10000000)
         where regexp_like(repeat('ab', 5000 + cast(value as int) % 7), '(a|b)*c$')",
    ),
    (
        "window",
        "select max(s) from (select sum(value) over (order by value) as s from generate_series(1, 10000000000))",
    ),
];

/// A server, ended with the test.
struct Server {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_topline"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .envs(settings.iter().copied())
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stderr = child.stderr.take().expect("it is piped");
        BufReader::new(stderr).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit(' ').next().expect("a word").to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        Self { child, address, folder }
    }

    async fn client(&self) -> FlightSqlServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("a URL");
        FlightSqlServiceClient::new(endpoint.connect().await.expect("it listens"))
    }

    /// Returns the processor time that the process used so far.
    fn used(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
        // User and system time, in hundredths of a second.
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Waits until the process computes.
    async fn is_busy(&self, what: &str) {
        let (before, begin) = (self.used(), Instant::now());
        while self.used() < before + BUSY_MIN {
            assert!(begin.elapsed() < BUSY_WITHIN, "{what}: it does not compute");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Holds that the process ends to compute before it has used what all processors give in the time for it.
    ///
    /// Processor time and not the clock's: on a busy machine the process gets less of either.
    async fn is_free(&self, what: &str) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let limit = self.used() + FREE_WITHIN * u32::try_from(cores).expect("a machine has fewer");
        loop {
            let before = self.used();
            tokio::time::sleep(LOOK).await;
            let used = self.used();
            if used - before <= QUIET_MAX {
                return;
            }
            assert!(used <= limit, "{what}: it computed for more than {FREE_WITHIN:?} after its client went");
        }
    }

    fn terminate(&self) {
        let done = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(done.expect("kill is there").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
        assert!(self.folder.path().exists());
    }
}

fn ticket(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().expect("every endpoint has a ticket")
}

async fn started(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> (FlightInfo, FlightRecordBatchStream) {
    let info = client.execute(sql.to_owned(), None).await.expect("it plans");
    let stream = client.do_get(ticket(&info)).await.expect("it starts");
    (info, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_stream_is_dropped_frees_the_processor() {
    let server = Server::start(&[]);
    let mut client = server.client().await;
    for (what, sql) in NASTY {
        let (_, stream) = started(&mut client, sql).await;
        server.is_busy(what).await;
        drop(stream);
        server.is_free(what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_go_frees_the_processor() {
    let server = Server::start(&[]);
    let sql = "select sum(value % 7) from generate_series(1, 100000000000)";

    let mut client = server.client().await;
    let stream = started(&mut client, sql).await;
    server.is_busy("connection").await;
    drop((client, stream));
    server.is_free("a connection that is closed").await;

    let mut client = server.client().await;
    let (info, stream) = started(&mut client, sql).await;
    server.is_busy("cancel").await;
    let request = CancelFlightInfoRequest::new(info).encode_to_vec();
    let answers = client.do_action(Action::new("CancelFlightInfo", request)).await.expect("it is served");
    assert_eq!(answers.try_collect::<Vec<_>>().await.expect("an answer").len(), 1);
    server.is_free("CancelFlightInfo").await;
    let ended: Result<Vec<_>, _> = stream.try_collect().await;
    assert_eq!(code(ended), Code::Cancelled);

    let mut client = server.client().await;
    let info = client.execute(sql.to_owned(), None).await.expect("it plans");
    let mut request = tonic::Request::new(ticket(&info));
    // The client of the test does not end the call itself, as one whose clock is wrong would not.
    request.metadata_mut().insert("grpc-timeout", "1500m".parse().expect("a header"));
    let mut stream = client.inner_mut().do_get(request).await.expect("it starts").into_inner();
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it has no end"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::DeadlineExceeded, "{end}");
    server.is_free("a deadline").await;
}

fn code<T: std::fmt::Debug>(result: Result<T, FlightError>) -> Code {
    match result.expect_err("it is cut") {
        FlightError::Tonic(status) => status.code(),
        other => panic!("not a status: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_queries_end_and_takes_no_new_ones() {
    let mut server = Server::start(&[("TOPLINE_FLIGHT_GRACE_SECONDS", "60")]);
    let mut client = server.client().await;
    let (_, mut stream) = started(&mut client, "select value from generate_series(1, 20000000)").await;
    let first = stream.try_next().await.expect("it streams").expect("a batch");
    server.terminate();
    // The signal is on its way; until it is there, calls are answered.
    let refused = loop {
        match client.execute("select 1".to_owned(), None).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(code::<()>(Err(refused)), Code::Unavailable);
    let mut rows = first.num_rows();
    while let Some(batch) = stream.try_next().await.expect("it goes on") {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 20_000_000);
    drop((stream, client));
    let ended = tokio::task::spawn_blocking(move || server.child.wait().expect("it ends")).await.expect("no panic");
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_outlasts_the_grace_is_cut_and_the_end_is_clean() {
    let mut server = Server::start(&[("TOPLINE_FLIGHT_GRACE_SECONDS", "0")]);
    let mut client = server.client().await;
    let (_, stream) = started(&mut client, "select value from generate_series(1, 100000000000)").await;
    server.terminate();
    let ended: Result<Vec<_>, _> = stream.map_ok(|batch| batch.num_rows()).try_collect().await;
    let error = ended.expect_err("it is cut").to_string();
    assert!(error.contains("because the server stops"), "{error}");
    drop(client);
    let ended = tokio::task::spawn_blocking(move || server.child.wait().expect("it ends")).await.expect("no panic");
    assert_eq!(ended.code(), Some(0));
}
