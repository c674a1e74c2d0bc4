//! Several writers of one table: no row is lost, none doubled.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use topline::{Error, ErrorKind};

use super::{Place, append, batches, fault, one, rows, writes};

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(range));
    RecordBatch::try_from_iter_with_nullable([("n", column, true)]).expect("one column")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_of_all_writers_are_there_once() {
    /// Writers, each with an engine of its own, as processes have.
    const WRITERS: i64 = 4;
    /// Commits of each; beyond one checkpoint of the log.
    const ROUNDS: i64 = 12;
    let place = Place::new();
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let engine = place.open().await;
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let first = (writer * ROUNDS + round) * 10;
                let rows = numbers(first..first + 10);
                let (schema, session) = (rows.schema(), engine.session());
                session.ingest(append("t"), &schema, batches(vec![Ok(rows)])).await.expect("it gives way and goes on");
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let engine = place.open().await;
    let count = WRITERS * ROUNDS * 10;
    let expected = format!("{count} | {count} | {}", count * (count - 1) / 2);
    assert_eq!(one(&engine, "select count(*), count(distinct n), sum(n) from sandbox.t").await, expected);
    assert_eq!(place.files("t").len() as i64, WRITERS * ROUNDS, "no file but those of commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_ticket_fetched_at_once_by_many_writes_once() {
    let place = Place::new();
    let engine = place.open().await;
    writes(&engine, &["create table sandbox.t (a bigint)"]).await;
    let planned = engine.session().prepare("insert into sandbox.t values (1)").await.expect("it plans");
    let ticket = planned.ticket(7);
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let engine = place.open().await;
        let statement = engine.session().prepare("insert into sandbox.t values (1)").await.expect("it plans");
        tasks.push(tokio::spawn(statement.write(Some(ticket), None)));
    }
    for task in tasks {
        assert_eq!(task.await.expect("no panic").expect("it is done"), 1);
    }
    assert_eq!(one(&engine, "select count(*) from sandbox.t").await, "1");
    assert_eq!(place.files("t").len(), 1, "files that were written in vain are taken away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_make_one_name_one_is_told() {
    let place = Place::new();
    for round in 0..8 {
        let name = format!("t{round}");
        let (one_engine, other) = (place.open().await, place.open().await);
        let make = async |engine: topline::engine::Engine, value: i64| {
            engine.session().run(&format!("create table sandbox.{name} as select {value} as a")).await.map(drop)
        };
        let ended = tokio::join!(make(one_engine, 1), make(other, 2));
        let (won, lost) = match ended {
            (Ok(()), Err(error)) => ("1", error),
            (Err(error), Ok(())) => ("2", error),
            both => panic!("one of the two makes it: {both:?}"),
        };
        assert_eq!(lost.message(), format!("table \"sandbox.{name}\" exists already"));
        assert_eq!(rows(&place.open().await, &format!("select a from sandbox.{name}")).await, [won]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let place = Place::new();
    let engine = place.open().await;
    let rows = numbers(0..1000);
    let schema = rows.schema();
    let broken = vec![Ok(rows), Err(Error::new(ErrorKind::Argument, "the upload broke off"))];
    let error = engine.session().ingest(append("t"), &schema, batches(broken)).await.expect_err("it broke off");
    assert_eq!(error.message(), "the upload broke off");
    assert_eq!(fault(&engine, "select * from sandbox.t").await.kind(), ErrorKind::NotFound);
    writes(&engine, &["create table sandbox.t as select 1 as n"]).await;
    assert_eq!(one(&engine, "select count(*) from sandbox.t").await, "1");
}
