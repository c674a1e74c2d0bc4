//! Writing as clients of the protocol do: updates, tickets, prepared statements, uploads.

use std::sync::Arc;
use std::task::Poll;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Int64Array, RecordBatch, StringArray, StringViewArray, UInt32Array,
};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::Notify;
use tonic::transport::{Channel, Endpoint};
use topline::ErrorKind;

use super::{Place, fault, one, rows};
use crate::server;

/// A server over a place, with a client.
struct Server {
    server: server::Server,
    client: FlightSqlServiceClient<Channel>,
}

impl Server {
    async fn start(place: &Place) -> Self {
        let server = server::Server::over(place.open().await).await;
        Self { client: server.client().await, server }
    }

    async fn stop(self) {
        drop(self.client);
        self.server.stop().await;
    }
}

pub(super) async fn connected(url: String) -> FlightSqlServiceClient<Channel> {
    FlightSqlServiceClient::new(Endpoint::from_shared(url).expect("a URL").connect().await.expect("it listens"))
}

/// Returns an upload into a table of the sandbox.
pub(super) fn upload(table: &str, missing: TableNotExistOption, exists: TableExistsOption) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: missing as i32,
            if_exists: exists as i32,
        }),
        table: table.to_owned(),
        schema: Some("sandbox".to_owned()),
        ..CommandStatementIngest::default()
    }
}

pub(super) fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(range));
    RecordBatch::try_from_iter_with_nullable([("n", column, true)]).expect("one column")
}

async fn fetched(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> (Vec<i64>, arrow_flight::Ticket) {
    let info = client.execute(sql.to_owned(), None).await.expect("it plans");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    (again(client, &ticket).await, ticket)
}

async fn again(client: &mut FlightSqlServiceClient<Channel>, ticket: &arrow_flight::Ticket) -> Vec<i64> {
    let stream = client.do_get(ticket.clone()).await.expect("it runs");
    let batches: Vec<RecordBatch> = stream.try_collect().await.expect("it ends");
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_count_their_rows() {
    let place = Place::new();
    let mut server = Server::start(&place).await;
    let client = &mut server.client;
    for (sql, count) in [
        ("create table sandbox.t (n bigint, word varchar)", 0),
        ("insert into sandbox.t values (1, 'x'), (2, null)", 2),
        ("insert into sandbox.t select n + 2, word from sandbox.t", 2),
        ("create view sandbox.v as select sum(n) as n from sandbox.t", 0),
    ] {
        assert_eq!(client.execute_update(sql.to_owned(), None).await.expect("it writes"), count, "{sql}");
    }
    let engine = place.open().await;
    assert_eq!(one(&engine, "select n from sandbox.v").await, "10");
    let refused = client.execute_update("select 1".to_owned(), None).await.expect_err("it writes nothing");
    assert!(refused.to_string().contains("a query is not allowed as an update"), "{refused}");
    assert_eq!(client.execute_update("drop table sandbox.t".to_owned(), None).await.expect("it is there"), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_asked_as_a_query_happens_with_the_first_fetch() {
    let place = Place::new();
    let mut server = Server::start(&place).await;
    let engine = place.open().await;
    let count = "select count(*) from sandbox.t";
    fetched(&mut server.client, "create table sandbox.t (n bigint)").await;
    let insert = "insert into sandbox.t values (1), (2)";
    let info = server.client.execute(insert.to_owned(), None).await.expect("it plans");
    assert_eq!(one(&engine, count).await, "0", "asking writes nothing");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    assert_eq!(again(&mut server.client, &ticket).await, [2]);
    assert_eq!(again(&mut server.client, &ticket).await, [2]);
    assert_eq!(one(&engine, count).await, "2");
    server.stop().await;
    let mut server = Server::start(&place).await;
    assert_eq!(again(&mut server.client, &ticket).await, [2], "the ticket is good after a restart, and done");
    assert_eq!(one(&engine, count).await, "2");
    let (counts, _) = fetched(&mut server.client, insert).await;
    assert_eq!((counts, one(&engine, count).await.as_str()), (vec![2], "4"), "another ticket is another write");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_write_happens_once_for_each_execution_and_all_its_rows_in_one_commit() {
    let place = Place::new();
    let mut server = Server::start(&place).await;
    let engine = place.open().await;
    server
        .client
        .execute_update("create table sandbox.t (n bigint, word varchar)".to_owned(), None)
        .await
        .expect("free");
    let mut prepared =
        server.client.prepare("insert into sandbox.t values (?, ?)".to_owned(), None).await.expect("it plans");
    assert!(prepared.dataset_schema().expect("a schema").fields().is_empty(), "JDBC takes it for an update by that");
    let kinds: Vec<String> = prepared
        .parameter_schema()
        .expect("a schema")
        .fields()
        .iter()
        .map(|field| field.data_type().to_string())
        .collect();
    assert_eq!(kinds, ["Int64", "Utf8"]);
    assert_eq!(one(&engine, "select count(*) from sandbox.t").await, "0", "preparing writes nothing");
    let parameters = RecordBatch::try_from_iter_with_nullable([
        ("1", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef, true),
        ("2", Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])) as ArrayRef, true),
    ])
    .expect("two columns");
    prepared.set_parameters(parameters).expect("they fit");
    for execution in 1..=2 {
        assert_eq!(prepared.execute_update().await.expect("it writes"), 3);
        assert_eq!(one(&engine, "select count(*) from sandbox.t").await, (execution * 3).to_string());
    }
    assert_eq!(place.files("t").len(), 2, "a commit for each execution");
    assert_eq!(rows(&engine, "select distinct n, word from sandbox.t order by n").await, ["1 | a", "2 | ", "3 | c"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_stand_anywhere_in_what_is_inserted() {
    let place = Place::new();
    let mut server = Server::start(&place).await;
    let engine = place.open().await;
    server
        .client
        .execute_update("create table sandbox.t (n bigint, word varchar)".to_owned(), None)
        .await
        .expect("free");
    for sql in
        ["insert into sandbox.t values (?, 'a'), (7, 'b')", "insert into sandbox.t select cast(? as bigint) + 1, 'c'"]
    {
        let mut prepared = server.client.prepare(sql.to_owned(), None).await.expect("it plans");
        prepared.set_parameters(numbers(1..3)).expect("they fit");
        prepared.execute_update().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let all = rows(&engine, "select n, word from sandbox.t order by word, n").await;
    assert_eq!(all, ["1 | a", "2 | a", "7 | b", "7 | b", "2 | c", "3 | c"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_make_extend_and_replace() {
    use TableExistsOption::{Append, Fail, Replace};
    use TableNotExistOption::{Create, Fail as MustExist};
    let place = Place::new();
    let mut server = Server::start(&place).await;
    let engine = place.open().await;
    let mut load = async |command: CommandStatementIngest, batches: Vec<RecordBatch>| {
        server.client.execute_ingest(command, stream::iter(batches.into_iter().map(Ok))).await
    };
    assert!(load(upload("t", MustExist, Append), vec![numbers(0..1)]).await.is_err(), "there is no such table");
    assert_eq!(load(upload("t", Create, Fail), vec![numbers(0..10), numbers(10..20)]).await.expect("free"), 20);
    assert!(load(upload("t", Create, Fail), vec![numbers(0..1)]).await.is_err(), "it exists");
    assert_eq!(load(upload("t", MustExist, Append), vec![numbers(20..30)]).await.expect("it exists"), 10);
    assert_eq!(one(&engine, "select count(*), sum(n) from sandbox.t").await, "30 | 435");
    let words: DictionaryArray<Int32Type> = ["x", "y"].into_iter().collect();
    let other = RecordBatch::try_from_iter([
        ("word", Arc::new(words) as ArrayRef),
        ("plain", Arc::new(UInt32Array::from(vec![u32::MAX, 0])) as ArrayRef),
    ])
    .expect("two columns");
    assert!(load(upload("t", Create, Append), vec![other.clone()]).await.is_err(), "other columns");
    assert_eq!(load(upload("t", Create, Replace), vec![other]).await.expect("it is replaced"), 2);
    assert_eq!(rows(&engine, "select * from sandbox.t order by word").await, ["x | 4294967295", "y | 0"]);
    assert_eq!(load(upload("empty", Create, Fail), vec![numbers(0..0)]).await.expect("free"), 0);
    assert_eq!(one(&engine, "select count(*) from sandbox.empty").await, "0");
    // A megabyte that many rows name: the batch is small, and its values are not.
    let name = u128::from(1_u32 << 20) | u128::from(u32::from_le_bytes(*b"xxxx")) << 32;
    let names = StringViewArray::new(vec![name; 300].into(), vec!["x".repeat(1 << 20).into_bytes().into()], None);
    let named = RecordBatch::try_from_iter([("word", Arc::new(names) as ArrayRef)]).expect("a column");
    let refused = load(upload("t", Create, Append), vec![named]).await.expect_err("they are too large");
    assert!(refused.to_string().contains("take more than 256 MiB"), "{refused}");
    let elsewhere = CommandStatementIngest { schema: Some("metrics".to_owned()), ..upload("t", Create, Fail) };
    let refused = load(elsewhere, vec![numbers(0..1)]).await.expect_err("outside");
    assert!(refused.to_string().contains("read-only outside schema"), "{refused}");
    let temporary = CommandStatementIngest { temporary: true, ..upload("u", Create, Fail) };
    assert!(load(temporary, vec![numbers(0..1)]).await.is_err(), "no temporary tables");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_off_commits_nothing() {
    let place = Place::new();
    let server = Server::start(&place).await;
    let sent = Arc::new(Notify::new());
    let told = Arc::clone(&sent);
    let endless = stream::iter([Ok(numbers(0..1000))]).chain(stream::poll_fn(move |_| {
        told.notify_one();
        Poll::Pending
    }));
    let command = upload("t", TableNotExistOption::Create, TableExistsOption::Append);
    let mut client = server.server.client().await;
    let loading = tokio::spawn(async move { client.execute_ingest(command, endless).await });
    sent.notified().await;
    loading.abort();
    assert!(loading.await.expect_err("it is gone").is_cancelled());
    // The server stops once all its calls have ended.
    server.stop().await;
    let error = fault(&place.open().await, "select * from sandbox.t").await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(place.files("t").is_empty());
}
