//! A large result in several endpoints, over Flight SQL.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tonic::transport::Channel;
use topline::engine::Engine;

use crate::project::{Project, Table};
use crate::server::Server;

const ROWS: i64 = 1_200_000;

const CONFIG: &str = "[sources.lake]\nconnector = \"raw\"\nlocation = \"lake\"\n";

async fn started() -> (Project, Server) {
    let project = Project::new();
    project.text("topline.toml", CONFIG);
    for (file, first) in [("a", 0), ("b", ROWS / 2)] {
        let numbers = Int64Array::from_iter_values(first..first + ROWS / 2);
        project.parquet(&format!("lake/events/{file}.parquet"), &Table::new().with("id", Arc::new(numbers)));
    }
    let config = project.config(&[("TOPLINE_LIMITS_THREADS", "4")]).expect("a configuration");
    let engine = Engine::open(config).await.expect("the project opens");
    (project, Server::over(engine).await)
}

async fn announced(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> FlightInfo {
    client.execute(sql.to_owned(), NO_TRANSACTION).await.expect("it plans")
}

const NO_TRANSACTION: Option<bytes::Bytes> = None;

/// Returns the numbers of one endpoint.
async fn numbers(
    client: &mut FlightSqlServiceClient<Channel>,
    info: &FlightInfo,
    endpoint: usize,
) -> Result<Vec<i64>, FlightError> {
    let ticket = info.endpoint[endpoint].ticket.clone().expect("every endpoint has a ticket");
    let mut numbers = Vec::new();
    let mut batches = client.do_get(ticket).await?;
    while let Some(batch) = batches.try_next().await? {
        numbers.extend(batch.column(0).as_primitive::<Int64Type>().values());
    }
    Ok(numbers)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoints_together_are_the_result() {
    let (_project, server) = started().await;
    for name in ["ADBC Flight SQL Driver v1.8.0 grpc-go/1.71.0", "grpc-java-netty/1.71.0"] {
        let mut client = server.client_named(name).await;
        let info = announced(&mut client, "select id + 1 from lake.events").await;
        assert_eq!((info.endpoint.len(), info.ordered), (4, false), "{name}");
        let mut found = Vec::new();
        for endpoint in 0..info.endpoint.len() {
            let part = numbers(&mut client, &info, endpoint).await.expect("its rows");
            assert!(part.len() < usize::try_from(ROWS).expect("small"), "{name}: a part is not the whole");
            found.extend(part);
        }
        found.sort_unstable();
        assert!(found.into_iter().eq(1..=ROWS), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_may_read_the_first_endpoint_alone_gets_one() {
    let (_project, server) = started().await;
    let sql = "select id from lake.events";
    let mut client = server.client_named("grpc-go/1.64.0").await;
    let info = announced(&mut client, sql).await;
    assert_eq!(info.endpoint.len(), 1);
    assert_eq!(numbers(&mut client, &info, 0).await.expect("all rows").len(), usize::try_from(ROWS).expect("small"));
    client.set_header("parallel_endpoints", "true");
    assert_eq!(announced(&mut client, sql).await.endpoint.len(), 4, "it says that it reads them all");
    let mut client = server.client_named("ADBC Flight SQL Driver v1.8.0").await;
    client.set_header("parallel_endpoints", "false");
    assert_eq!(announced(&mut client, sql).await.endpoint.len(), 1, "it says that it does not");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_all_rows_comes_whole_and_in_its_order() {
    let (_project, server) = started().await;
    let mut client = server.client_named("grpc-java-netty/1.71.0").await;
    for (sql, is_ordered) in [
        ("select id from lake.events order by id desc", true),
        ("select id from (select id, id % 7 as day from lake.events) order by day, id limit 2000000", true),
        ("select distinct id from lake.events", false),
        ("select id from lake.events limit 1100000", false),
        ("select a.id from lake.events as a join lake.events as b on a.id = b.id", false),
        ("select id from lake.events where id < 1000", false),
        ("select id from lake.events where random() < 2", false),
        ("select id from lake.events where now() > to_timestamp(id)", false),
    ] {
        let info = announced(&mut client, sql).await;
        assert_eq!((info.endpoint.len(), info.ordered), (1, is_ordered), "{sql}");
    }
    let info = announced(&mut client, "select id from lake.events order by id desc").await;
    let found = numbers(&mut client, &info, 0).await.expect("all rows");
    assert!(found.into_iter().eq((0..ROWS).rev()));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_of_the_same_files_or_an_error() {
    let (project, server) = started().await;
    let mut client = server.client_named("grpc-java-netty/1.71.0").await;
    let info = announced(&mut client, "select id from lake.events").await;
    numbers(&mut client, &info, 0).await.expect("its rows");
    let more = Table::new().with("id", Arc::new(Int64Array::from(vec![-1])));
    project.parquet("lake/events/c.parquet", &more);
    let error = numbers(&mut client, &info, 1).await.expect_err("there is a file more");
    assert!(error.to_string().contains("the files have changed since the query was cut into parts"), "{error}");
}
