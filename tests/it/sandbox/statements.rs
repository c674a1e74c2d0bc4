//! What each statement does, what it refuses, and where.

use datafusion::physical_plan::displayable;
use topline::ErrorKind;

use super::{Place, fault, one, rows, write, writes};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_extended_replaced_and_dropped() {
    let place = Place::new();
    let engine = place.open().await;
    let mut session = engine.session();
    let made = "create table sandbox.deals as select opportunity_id, amount from crm.opportunities limit 7";
    assert_eq!(write(&mut session, made).await.expect("it is free"), 7);
    assert_eq!(one(&engine, "select count(*) from sandbox.deals").await, "7");
    let more = "insert into sandbox.deals select opportunity_id, amount from crm.opportunities limit 5";
    assert_eq!(write(&mut session, more).await.expect("same columns"), 5);
    assert_eq!(one(&engine, "select count(*) from sandbox.deals").await, "12");
    assert_eq!(fault(&engine, made).await.message(), "table \"sandbox.deals\" exists already");
    let kept = made.replace("create table", "create table if not exists");
    assert_eq!(write(&mut session, &kept).await.expect("it is kept"), 0);
    writes(&engine, &["create or replace table sandbox.deals as select 'x' as a, 1 as b"]).await;
    assert_eq!(rows(&engine, "select * from sandbox.deals").await, ["x | 1"]);
    writes(&engine, &["drop table sandbox.deals", "drop table if exists sandbox.deals"]).await;
    let gone = fault(&engine, "select * from sandbox.deals").await;
    assert_eq!((gone.kind(), gone.message()), (ErrorKind::NotFound, "table \"sandbox.deals\" does not exist"));
    writes(&engine, &["create table sandbox.deals as select 2 as c"]).await;
    assert_eq!(rows(&engine, "select * from sandbox.deals").await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_inserted_by_name_and_the_others_are_null() {
    let place = Place::new();
    let engine = place.open().await;
    writes(
        &engine,
        &[
            "create table sandbox.t (a bigint not null, b varchar, day date, share decimal(9, 2))",
            "insert into sandbox.t (day, a) values ('2026-01-31', 1)",
            "insert into sandbox.t values (2, 'x', null, 1.25)",
            "insert into sandbox.t (b, a) select 'y', 3.0",
        ],
    )
    .await;
    assert_eq!(
        rows(&engine, "select a, b, day, share from sandbox.t order by a").await,
        ["1 |  | 2026-01-31 | ", "2 | x |  | 1.25", "3 | y |  | "]
    );
    for (sql, said) in [
        ("insert into sandbox.t values (1.5, 'x', null, null)", "column \"a\": a value of type Float64 would change"),
        ("insert into sandbox.t values (1, 'x', null, 0.125)", "column \"share\""),
        ("insert into sandbox.t values (1, 'x', 'soon', null)", "column \"day\""),
        ("insert into sandbox.t (b) values ('x')", "column \"a\" must not be NULL"),
        ("insert into sandbox.t (c) values ('x')", "has no column \"c\""),
        ("insert into sandbox.t (a, a) values (1, 2)", "column \"a\" is there twice"),
        ("insert into sandbox.t values (1)", "the query has 1 columns, but 4 are inserted into"),
        ("insert into sandbox.t (a) select 1 / (v - 2) from (values (1), (2)) as x(v)", "divide by zero"),
    ] {
        let error = fault(&engine, sql).await;
        assert!(error.to_string().to_lowercase().contains(&said.to_lowercase()), "{sql}: {error}");
    }
    assert_eq!(one(&engine, "select count(*) from sandbox.t").await, "3", "a write that fails writes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_sandbox_is_written_and_the_refusal_says_why() {
    let place = Place::new();
    let engine = place.open().await;
    for sql in [
        "create table metrics.t as select 1 as a",
        "create table t as select 1 as a",
        "create table crm.accounts as select 1 as a",
        "create table topline.published.t as select 1 as a",
        "create view metrics.v as select 1 as a",
        "create or replace view core.v as select 1 as a",
        "insert into crm.accounts select * from crm.accounts",
        "insert into accounts values (1)",
        "drop table crm.accounts",
        "drop view if exists metrics.nrr",
        "drop table if exists nothing",
        "create table other.sandbox.t as select 1 as a",
    ] {
        let error = fault(&engine, sql).await;
        assert_eq!(error.kind(), ErrorKind::Refused, "{sql}");
        assert!(error.message().contains("read-only outside schema \"sandbox\""), "{sql}: {error}");
    }
    for sql in [
        "update sandbox.t set a = 1",
        "delete from sandbox.t",
        "create schema s",
        "drop schema sandbox",
        "create external table sandbox.t stored as csv location '/etc/hostname'",
        "copy (select 1) to '/tmp/x.csv'",
        "create temporary table sandbox.t as select 1 as a",
        "create table sandbox.t (a bigint primary key)",
        "create table sandbox.t (a bigint default 1)",
        "create materialized view sandbox.v as select 1 as a",
        "insert overwrite sandbox.t select 1",
        "explain insert into sandbox.t values (1)",
    ] {
        assert_eq!(fault(&engine, sql).await.kind(), ErrorKind::Refused, "{sql}");
    }
    assert!(!place.warehouse().join("sandbox").exists(), "a refusal leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_a_schema_is_of_the_session() {
    let place = Place::new();
    let engine = place.open().await;
    let mut session = engine.session();
    session.use_schema("sandbox").expect("it is always there");
    assert_eq!(write(&mut session, "create table t as select 1 as a").await.expect("it is free"), 1);
    assert_eq!(write(&mut session, "insert into t values (2)").await.expect("it is there"), 1);
    assert_eq!(one(&engine, "select sum(a) from sandbox.t").await, "3");
    for name in ["\"Deals\"", "\"../x\"", "\"a b\"", "\"\""] {
        let error = fault(&engine, &format!("create table sandbox.{name} as select 1 as a")).await;
        assert_eq!(error.kind(), ErrorKind::Argument, "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_back_as_it_went_in() {
    let place = Place::new();
    let engine = place.open().await;
    let values = "select true as flag, cast(1 as tinyint) as tiny, cast(2 as int) as whole, cast(3 as bigint unsigned) as plain, \
        cast(0.5 as real) as small, 0.25 as double, cast(1.25 as decimal(18, 2)) as money, 'ü' as word, \
        x'00ff' as bytes, date '2026-01-31' as day, timestamp '2026-01-31 01:02:03.000004' as at, \
        arrow_cast('2026-01-31T00:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))') as instant, \
        make_array(1, null) as numbers, cast(null as bigint) as nothing";
    writes(&engine, &[&format!("create table sandbox.types as {values}")]).await;
    assert_eq!(rows(&engine, "select * from sandbox.types").await, rows(&engine, values).await);
    let types = "select column_name, data_type from information_schema.columns where table_schema = 'sandbox' and \
        column_name in ('plain', 'at', 'instant') order by 1";
    assert_eq!(
        rows(&engine, types).await,
        ["at | Timestamp(µs)", "instant | Timestamp(µs, \"UTC\")", "plain | Decimal128(20, 0)",]
    );
    let error = fault(&engine, "create table sandbox.spans as select interval '1 month' as span").await;
    assert!(error.message().contains("column \"span\": a table cannot hold"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_listed_at_once_in_every_process() {
    let place = Place::new();
    let (one_engine, other) = (place.open().await, place.open().await);
    let listed =
        "select table_name, table_type from information_schema.tables where table_schema = 'sandbox' order by 1";
    assert!(rows(&other, listed).await.is_empty());
    writes(
        &one_engine,
        &["create table sandbox.t as select 1 as a", "create view sandbox.v as select a + 1 as b from sandbox.t"],
    )
    .await;
    for engine in [&one_engine, &other] {
        assert_eq!(rows(engine, listed).await, ["t | BASE TABLE", "v | VIEW"]);
        let columns =
            "select table_name, column_name, data_type from meta.columns where table_schema = 'sandbox' order by 1";
        assert_eq!(rows(engine, columns).await, ["t | a | bigint", "v | b | bigint"]);
        let names = engine.table_names().await.expect("the warehouse can be read");
        assert_eq!(names.iter().filter(|(id, _)| id.schema == "sandbox").count(), 2);
        assert_eq!(rows(engine, "select b from sandbox.v").await, ["2"]);
    }
    writes(&other, &["insert into sandbox.t values (10)", "drop view sandbox.v"]).await;
    assert_eq!(one(&one_engine, "select sum(a) from sandbox.t").await, "11");
    assert_eq!(rows(&one_engine, listed).await, ["t | BASE TABLE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_carried_out_once_wherever_and_whenever_it_is_fetched() {
    let place = Place::new();
    let engine = place.open().await;
    writes(&engine, &["create table sandbox.t (a bigint)"]).await;
    let insert = "insert into sandbox.t values (1), (2)";
    let planned = engine.session().prepare(insert).await.expect("it plans");
    let ticket = planned.ticket(42);
    assert_eq!(planned.write(Some(ticket), None).await.expect("the first time"), 2);
    writes(&engine, &["insert into sandbox.t values (3)"]).await;
    for engine in [engine, place.open().await] {
        let again = engine.session().prepare(insert).await.expect("it plans");
        assert_eq!(again.write(Some(ticket), None).await.expect("it is done"), 2);
        assert_eq!(one(&engine, "select sum(a) from sandbox.t").await, "6");
    }
    let engine = place.open().await;
    let made = engine.session().prepare("create table sandbox.new as select 1 as a").await.expect("it plans");
    let dropped = engine.session().prepare("drop table sandbox.t").await.expect("it plans");
    let (make, drop) = (made.ticket(43), dropped.ticket(44));
    assert_eq!(made.clone().write(Some(make), None).await.expect("the first time"), 1);
    assert_eq!(made.write(Some(make), None).await.expect("not: exists already"), 1);
    dropped.clone().write(Some(drop), None).await.expect("the first time");
    writes(&engine, &["create table sandbox.t as select 5 as a"]).await;
    dropped.write(Some(drop), None).await.expect("it is done");
    assert_eq!(one(&engine, "select sum(a) from sandbox.t").await, "5", "another table of the name is not dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_is_not_written_to_is_not_made() {
    let place = Place::new();
    let engine = place.open_with(&[("TOPLINE_SANDBOX_WRITABLE", "false")]).await;
    let error = fault(&engine, "create table sandbox.t as select 1 as a").await;
    assert_eq!(error.message(), "schema \"sandbox\" is read-only on this server");
    assert_eq!(fault(&engine, "drop table if exists sandbox.t").await.kind(), ErrorKind::Refused);
    assert!(!place.warehouse().join("sandbox").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_small_tables_are_held_and_those_of_small_files_with_many_rows_are_not() {
    let place = Place::new();
    let engine = place.open().await;
    let many = "create table sandbox.many as select cast(1 as bigint) as x from generate_series(1, 3000000)";
    writes(&engine, &["create table sandbox.few as select 1 as x", many]).await;
    let bytes: u64 = place.files("many").iter().map(|file| file.metadata().expect("a file").len()).sum();
    assert!(bytes < 1 << 20, "{bytes}");
    for (table, sum, is_held) in [("few", "1", true), ("many", "3000000", false)] {
        for _ in 0..2 {
            assert_eq!(one(&engine, &format!("select sum(x) from sandbox.{table}")).await, sum);
        }
        let statement = engine.session().prepare(&format!("select x from sandbox.{table}")).await.expect("a query");
        let plan = statement.physical_plan(None).await.expect("a plan");
        let plan = displayable(plan.as_ref()).indent(true).to_string();
        assert_eq!(plan.contains("partition_sizes="), is_held, "{plan}");
    }
}
