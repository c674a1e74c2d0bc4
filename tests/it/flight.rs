//! The Flight SQL server over the sample, asked by a client of the protocol.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandGetPrimaryKeys, CommandGetTables, CommandStatementQuery, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{Action, CancelFlightInfoRequest, CancelFlightInfoResult, FlightDescriptor, FlightInfo, Ticket};
use futures::TryStreamExt;
use prost::Message;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::Channel;
use topline::config::{Config, Environment};
use topline::engine::Engine;
use topline::{ErrorKind, flight};

use crate::server::Server;

/// Rows without end in practice: 10^9 of them.
const ENDLESS: &str = "with d(v) as (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) \
    select a.v from d as a cross join d as b cross join d as c cross join d as e cross join d as f \
    cross join d as g cross join d as h cross join d as i cross join d as j";

async fn started() -> Server {
    Server::over(crate::support::sample().await).await
}

async fn started_with(environment: &Environment) -> Server {
    let config = Config::sample(environment).expect("the sample's configuration");
    Server::over(Engine::open(config).await.expect("the sample opens")).await
}

async fn rows(client: &mut FlightSqlServiceClient<Channel>, info: FlightInfo) -> Result<Vec<RecordBatch>, FlightError> {
    let announced = info.clone().try_decode_schema()?;
    let ticket = info.endpoint[0].ticket.clone().expect("every endpoint has a ticket");
    let batches: Vec<RecordBatch> = client.do_get(ticket).await?.try_collect().await?;
    for batch in &batches {
        assert_eq!(*batch.schema(), announced, "announced and streamed");
    }
    Ok(batches)
}

async fn query(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> Result<Vec<RecordBatch>, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    rows(client, info).await
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn texts(batches: &[RecordBatch], column: usize) -> Vec<String> {
    let text =
        |batch: &RecordBatch| batch.column(column).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
    batches.iter().flat_map(|batch| -> Vec<String> { text(batch) }).collect()
}

fn status<T: std::fmt::Debug>(result: Result<T, FlightError>) -> (Code, String) {
    match result.expect_err("it is refused") {
        FlightError::Tonic(status) => (status.code(), status.message().to_owned()),
        other => panic!("not a status: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_gives_its_rows_with_the_types_that_clients_read() {
    let server = started().await;
    let mut client = server.client().await;
    let batches = query(&mut client, "select 7 as n, 'x' as t, 1.5 as d").await.expect("it runs");
    assert_eq!(numbers(&batches), [7]);
    let schema = batches[0].schema();
    assert_eq!(schema.field(1).data_type(), &DataType::Utf8);
    assert_eq!(schema.field(1).metadata()["ARROW:FLIGHT:SQL:TYPE_NAME"], "VARCHAR");
    assert!(!schema.field(1).metadata().contains_key("ARROW:FLIGHT:SQL:REMARKS"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_union_has_the_type_of_both_sides() {
    let server = started().await;
    let mut client = server.client().await;
    let batches = query(&mut client, "select 1 as n union all select 1.5 order by n").await.expect("it runs");
    let values: Vec<f64> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<arrow::datatypes::Float64Type>().values().to_vec())
        .collect();
    assert_eq!(values, [1.0, 1.5]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_bound_and_each_row_of_them_runs_once() {
    let server = started().await;
    let mut client = server.client().await;
    let sql = "select v from (values (1), (2), (3)) as t(v) where v >= ? and 'x' = ? order by v limit ?";
    let mut prepared = client.prepare(sql.to_owned(), None).await.expect("it prepares");
    let kinds: Vec<_> =
        prepared.parameter_schema().expect("a schema").fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(kinds, [DataType::Int64, DataType::Utf8, DataType::Int64]);
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(Int64Array::from(vec![2, 1]))),
        ("b", Arc::new(StringArray::from(vec!["x", "x"]))),
        ("c", Arc::new(Int64Array::from(vec![5, 1]))),
    ];
    prepared.set_parameters(RecordBatch::try_from_iter(columns).expect("one length")).expect("it is set");
    let info = prepared.execute().await.expect("it binds");
    assert_eq!(numbers(&rows(&mut client, info).await.expect("it runs")), [2, 3, 1]);
    prepared.close().await.expect("it closes");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_are_missing_are_named() {
    let server = started().await;
    let mut client = server.client().await;
    let mut prepared = client.prepare("select cast($1 as bigint) as n".to_owned(), None).await.expect("it prepares");
    let (code, text) = status(prepared.execute().await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.contains("the query has 1 parameters, but 0 are bound"), "{text}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_is_asked_for_in_milliseconds() {
    let server = started().await;
    let mut client = server.client().await;
    let prepared = client.prepare("select cast(? as timestamp) as t".to_owned(), None).await.expect("it prepares");
    let kind = prepared.parameter_schema().expect("a schema").field(0).data_type().clone();
    assert_eq!(kind, DataType::Timestamp(TimeUnit::Millisecond, None));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_by_pattern_with_what_their_columns_mean() {
    let server = started().await;
    let mut client = server.client().await;
    let command = CommandGetTables {
        db_schema_filter_pattern: Some("cr_".to_owned()),
        table_name_filter_pattern: Some("acc%".to_owned()),
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.get_tables(command).await.expect("it lists");
    let batches = rows(&mut client, info).await.expect("it lists");
    assert_eq!(texts(&batches, 1), ["crm"]);
    assert_eq!(texts(&batches, 2), ["accounts"]);
    let bytes = batches[0].column(4).as_binary::<i32>().value(0).to_vec();
    let schema = Schema::try_from(arrow_flight::IpcMessage(bytes.into())).expect("a schema");
    let column = schema.field_with_name("account_id").expect("accounts have ids");
    assert_eq!(column.metadata()["ARROW:FLIGHT:SQL:TABLE_NAME"], "accounts");
    assert!(!column.metadata()["ARROW:FLIGHT:SQL:REMARKS"].is_empty());
    let key = CommandGetPrimaryKeys { table: "accounts".to_owned(), ..CommandGetPrimaryKeys::default() };
    let info = client.get_primary_keys(key).await.expect("it lists");
    assert_eq!(texts(&rows(&mut client, info).await.expect("it lists"), 3), ["account_id"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_in_the_information_schema() {
    let server = started().await;
    let mut client = server.client().await;
    let sql = "select usage.column_name from information_schema.table_constraints as constraints \
        join information_schema.key_column_usage as usage \
        on usage.constraint_schema = constraints.constraint_schema \
        and usage.constraint_name = constraints.constraint_name \
        where constraints.constraint_type = 'PRIMARY KEY' and constraints.table_schema = 'crm' \
        and constraints.table_name = 'accounts' order by usage.ordinal_position";
    assert_eq!(texts(&query(&mut client, sql).await.expect("it runs"), 0), ["account_id"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_is_refused_with_the_reason() {
    let server = started().await;
    let mut client = server.client().await;
    for sql in ["insert into crm.accounts values (1)", "create table t as select 1", "copy (select 1) to '/tmp/x.csv'"]
    {
        let asked = status(client.execute(sql.to_owned(), None).await);
        let prepared = status(client.prepare(sql.to_owned(), None).await.map(|_| ()));
        let put = status(client.execute_update(sql.to_owned(), None).await);
        for (code, text) in [asked, prepared, put] {
            assert_eq!(code, Code::PermissionDenied, "{sql}");
            assert!(text.contains("read-only"), "{text}");
        }
    }
    let (code, _) = status(client.begin_transaction().await);
    assert_eq!(code, Code::Unimplemented);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_that_are_none_are_the_clients_fault() {
    let server = started().await;
    let mut client = server.client().await;
    let handle = TicketStatementQuery { statement_handle: b"zz".to_vec().into() };
    let command = CommandStatementQuery { query: "select 1".to_owned(), ..CommandStatementQuery::default() };
    for ticket in
        [vec![], b"x".to_vec(), vec![255; 40], handle.as_any().encode_to_vec(), command.as_any().encode_to_vec()]
    {
        let (code, text) = status(client.do_get(Ticket::new(ticket)).await.map(|_| ()));
        assert_eq!(code, Code::InvalidArgument, "{text}");
    }
    let descriptor = FlightDescriptor::new_path(vec!["a".to_owned()]);
    let answer = client.inner_mut().get_flight_info(descriptor).await;
    assert_eq!(answer.expect_err("no flights by path").code(), Code::InvalidArgument);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_served_by_another_instance_with_the_same_warehouse() {
    let warehouse = tempfile::tempdir().expect("a folder");
    let location = warehouse.path().display().to_string();
    let environment = Environment::from_variables([("TOPLINE_WAREHOUSE_LOCATION".to_owned(), location)]);
    let (one, other) = (started_with(&environment).await, started_with(&environment).await);
    let info = one.client().await.execute("select 7 as n".to_owned(), None).await.expect("it plans");
    one.stop().await;
    let mut client = other.client().await;
    assert_eq!(numbers(&rows(&mut client, info.clone()).await.expect("it runs")), [7]);
    assert_eq!(numbers(&rows(&mut client, info).await.expect("it runs again")), [7]);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_streams_is_cancelled() {
    let server = started().await;
    let mut client = server.client().await;
    let info = client.execute(ENDLESS.to_owned(), None).await.expect("it plans");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let mut stream = client.do_get(ticket).await.expect("it starts");
    assert!(stream.try_next().await.expect("a first batch").is_some());
    let request = CancelFlightInfoRequest::new(info).encode_to_vec();
    let mut answers = client.do_action(Action::new("CancelFlightInfo", request)).await.expect("it is served");
    let body = answers.try_next().await.expect("an answer").expect("one result").body;
    assert_eq!(CancelFlightInfoResult::decode(body).expect("its message").status, 1);
    let ended: Result<Vec<_>, _> = stream.try_collect().await;
    assert_eq!(status(ended).0, Code::Cancelled);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_stream_is_dropped_gives_its_memory_back() {
    let config = Config::sample(&crate::project::environment(&[("TOPLINE_LIMITS_MEMORY", "256 MB")]));
    let engine = Engine::open(config.expect("the sample's configuration")).await.expect("the sample opens");
    let server = Server::over(engine.clone()).await;
    let mut client = server.client().await;
    for sql in [
        "select value from generate_series(1, 100000000) order by value % 1000003, value desc",
        "select max(n) from (select value % 20000000 as k, count(*) as n from generate_series(1, 10000000000) group by k)",
        "select count(distinct value * 7 % 1000000007) from generate_series(1, 10000000000)",
        "select count(*) from generate_series(1, 1000000) as a(x) join generate_series(1, 1000000) as b(y)
         on a.x % 2 = b.y % 2 where x * y % 10 = 11",
        "select max(s) from (select sum(value) over (partition by value % 3) as s from generate_series(1, 10000000000))",
    ] {
        let info = client.execute(sql.to_owned(), None).await.expect("it plans");
        let stream = client.do_get(info.endpoint[0].ticket.clone().expect("a ticket")).await.expect("it starts");
        until(|| engine.memory_in_use() >= HELD_MIN, sql).await;
        drop(stream);
        until(|| engine.memory_in_use() == 0, sql).await;
    }
    server.stop().await;
}

/// What shows that a query holds memory, in bytes.
const HELD_MIN: usize = 4 << 20;

/// Waits for what happens soon, or on a machine that has much else to do in a minute.
async fn until(happened: impl Fn() -> bool, what: &str) {
    let begin = Instant::now();
    while !happened() {
        assert!(begin.elapsed() < Duration::from_secs(60), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_does_not_keep_the_server_up() {
    let server = started().await;
    let mut client = server.client().await;
    let info = client.execute(ENDLESS.to_owned(), None).await.expect("it plans");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let mut stream = client.do_get(ticket).await.expect("it starts");
    assert!(stream.try_next().await.expect("a first batch").is_some());
    drop(stream);
    server.stop().await;
    let late = client.execute("select 1".to_owned(), None).await;
    assert!(late.is_err(), "nothing listens");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let engine = crate::support::sample().await;
    let error = flight::bind(address, &engine).await.expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), format!("address \"{address}\" is in use by another program"));
    assert!(error.hint().is_some_and(|hint| hint.contains("another port")));
}
