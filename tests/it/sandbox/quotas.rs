//! How much there may be, and what is taken away when nobody needs it.

use topline::ErrorKind;
use topline::domain::clock::Clock;
use topline::engine::Engine;

use super::{Place, fault, files_below, one, writes};

/// An hour, in microseconds.
const HOUR: i64 = 3_600_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_views_are_counted() {
    let place = Place::new();
    let engine = place.open_with(&[("TOPLINE_SANDBOX_TABLES", "2")]).await;
    writes(&engine, &["create table sandbox.a as select 1 as a", "create view sandbox.b as select 1 as a"]).await;
    for sql in ["create table sandbox.c as select 1 as a", "create view sandbox.c as select 1 as a"] {
        let error = fault(&engine, sql).await;
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert_eq!(error.message(), "schema \"sandbox\" has 2 tables and views of the 2 it may have");
        assert_eq!(error.hint(), Some("drop some, or raise [sandbox] tables"));
    }
    writes(
        &engine,
        &[
            "create or replace table sandbox.a as select 2 as a",
            "drop view sandbox.b",
            "create table sandbox.c as select 1 as a",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_counted_of_each_table_and_of_all() {
    let place = Place::new();
    let rows = "select md5(cast(value as varchar)) as word from generate_series(1, 40000)";
    let make = |name: &str| format!("create table sandbox.{name} as {rows}");
    let engine = place.open().await;
    writes(&engine, &[&make("a"), &make("b")]).await;
    let bytes = place.files("a").iter().map(|file| file.metadata().expect("a file").len()).sum::<u64>();
    let (of_table, of_all) = ((bytes + bytes / 2).to_string(), (bytes * 5 / 2).to_string());
    let limits = [("TOPLINE_SANDBOX_TABLE_BYTES", of_table.as_str()), ("TOPLINE_SANDBOX_BYTES", of_all.as_str())];
    let engine = place.open_with(&limits).await;
    let error = fault(&engine, &format!("insert into sandbox.a {rows}")).await;
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(
        error.message().starts_with("table \"sandbox.a\" would have ") && error.message().contains(" it may have"),
        "{error}"
    );
    assert_eq!(place.files("a").len(), 1, "what was written for it is taken away");
    let error = fault(&engine, &make("c")).await;
    assert!(error.message().starts_with("schema \"sandbox\" would have "), "{error}");
    assert!(place.files("c").is_empty());
    writes(&engine, &[&make("a").replace("create", "create or replace"), "drop table sandbox.b", &make("c")]).await;
    assert_eq!(one(&engine, "select count(*) from sandbox.c").await, "40000");
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_taken_away_once_nobody_can_need_them() {
    let place = Place::new();
    let now = Clock::System.now_micros();
    let at = async |micros| Engine::open_at(place.config(&[]), Clock::Fixed(micros)).await.expect("it opens");
    let engine = at(now).await;
    writes(&engine, &["create table sandbox.t as select 1 as a", "create or replace table sandbox.t as select 2 as a"])
        .await;
    let folder = place.warehouse().join("sandbox/t");
    std::fs::write(folder.join("part-00000-left-by-one-that-died.parquet"), b"half").expect("a file");
    std::fs::write(folder.join("_delta_log/00000000000000000009.json.unfinished-7"), b"{").expect("a file");
    writes(&at(now + HOUR / 4).await, &["insert into sandbox.t values (3)"]).await;
    assert_eq!(place.files("t").len(), 4, "a reader or a writer may still be at work");
    writes(&at(now + HOUR).await, &["insert into sandbox.t values (4)"]).await;
    assert_eq!(place.files("t").len(), 4, "the replaced file is gone, and a new one there");
    writes(&at(now + 3 * HOUR).await, &["insert into sandbox.t values (5)"]).await;
    assert_eq!(place.files("t").len(), 4, "what never was of a version is gone, and a new one there");
    let log = files_below(&folder.join("_delta_log"));
    assert!(log.iter().all(|file| file.extension().is_some_and(|end| end == "json")), "{log:?}");
    assert_eq!(one(&at(now + 3 * HOUR).await, "select sum(a) from sandbox.t").await, "14");
    writes(&at(now + 3 * HOUR).await, &["drop table sandbox.t"]).await;
    writes(&at(now + 7 * HOUR).await, &["create table sandbox.u as select 1 as a"]).await;
    assert!(place.files("t").is_empty(), "files of a table that was dropped go too");
}
