//! Views: planned from their text, in the schema in which they were made.

use topline::ErrorKind;

use super::{Place, fault, one, rows, write, writes};
use crate::company;
use crate::project::{Project, texts};

#[tokio::test(flavor = "multi_thread")]
async fn a_view_keeps_the_schema_it_was_made_in_and_outlives_the_process() {
    let place = Place::new();
    let engine = place.open().await;
    let mut session = engine.session();
    session.use_schema("crm").expect("it is there");
    write(&mut session, "create view sandbox.v as select count(*) as n from accounts").await.expect("it plans");
    let expected = one(&engine, "select count(*) from crm.accounts").await;
    for engine in [engine, place.open().await] {
        assert_eq!(one(&engine, "select n from sandbox.v").await, expected);
        writes(&engine, &["create or replace view sandbox.w as select n + 0 as n from sandbox.v"]).await;
        assert_eq!(one(&engine, "select n from sandbox.w").await, expected);
    }
    let engine = place.open().await;
    assert_eq!(
        fault(&engine, "create view sandbox.v as select 1 as a").await.message(),
        "view \"sandbox.v\" exists already"
    );
    assert_eq!(
        fault(&engine, "insert into sandbox.v values (1)").await.message(),
        "\"sandbox.v\" is a view, and holds no rows"
    );
    assert_eq!(fault(&engine, "drop table sandbox.v").await.message(), "\"sandbox.v\" is a view");
    assert_eq!(fault(&engine, "create or replace table sandbox.v as select 1 as a").await.kind(), ErrorKind::Query);
    writes(&engine, &["drop view sandbox.v"]).await;
    assert_eq!(fault(&engine, "select * from sandbox.v").await.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_table_is_gone_says_so_and_is_listed_all_the_same() {
    let place = Place::new();
    let engine = place.open().await;
    writes(
        &engine,
        &[
            "create table sandbox.t as select 1 as a",
            "create view sandbox.v as select a from sandbox.t",
            "drop table sandbox.t",
        ],
    )
    .await;
    for engine in [engine, place.open().await] {
        let error = fault(&engine, "select * from sandbox.v").await;
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.message(), "view \"sandbox.v\": table \"sandbox.t\" does not exist");
        let columns = "select column_name from information_schema.columns where table_name = 'v'";
        assert_eq!(rows(&engine, columns).await, ["a"]);
        assert_eq!(
            engine.tables().await.expect("one broken view breaks no list").last().map(|table| table.id.name.clone()),
            Some("v".to_owned())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_read_each_other_in_a_circle_are_refused() {
    let place = Place::new();
    let engine = place.open().await;
    writes(
        &engine,
        &[
            "create view sandbox.a as select 1 as n",
            "create view sandbox.b as select n from sandbox.a",
            "create view sandbox.c as select n from sandbox.b",
        ],
    )
    .await;
    for sql in [
        "create or replace view sandbox.a as select n from sandbox.c",
        "create or replace view sandbox.a as select n from sandbox.a",
        "create view sandbox.d as select n from sandbox.d",
    ] {
        assert_eq!(fault(&engine, sql).await.message(), "the view reads itself", "{sql}");
    }
    assert_eq!(rows(&engine, "select n from sandbox.c").await, ["1"]);
    for sql in ["create view sandbox.p as select ? as a", "create view sandbox.q as drop table sandbox.a"] {
        assert!(matches!(fault(&engine, sql).await.kind(), ErrorKind::Query | ErrorKind::Refused), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_multiply_each_other_reach_the_limit_of_a_plan() {
    let place = Place::new();
    let engine = place.open().await;
    writes(&engine, &["create view sandbox.v0 as select 1 as n"]).await;
    let view = |level: usize| {
        let branches = vec![format!("select n from sandbox.v{}", level - 1); 20];
        format!("create view sandbox.v{level} as {}", branches.join(" union all "))
    };
    writes(&engine, &[&view(1), &view(2)]).await;
    let error = fault(&engine, &view(3)).await;
    assert_eq!(error.message(), "the plan has more than the 10000 steps that are allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_behind_a_view_are_checked_like_others() {
    let project = Project::new();
    company::lay_out(&project);
    project.parquet("crm/accounts.parquet", &company::accounts().with("account_id", texts(["a1", "a1", "a1"])));
    let engine = project.open().await.expect("it opens");
    writes(&engine, &["create view sandbox.v as select account_id from crm.accounts"]).await;
    let error = fault(&engine, "select * from sandbox.v").await;
    assert!(error.message().contains("the key account_id is not unique"), "{error}");
}
