//! Files that change between the queries of one engine, and queries that run at once.

use futures::future::join_all;
use topline::engine::Engine;

use crate::company::{self, QUESTIONS};
use crate::project::{Project, Table, answer, assert_says, cents, dates, doubles, integers, texts};

async fn laid_out() -> (Project, Engine) {
    let project = Project::new();
    company::lay_out(&project);
    project.remove("campaign/spend.parquet");
    project.parquet("campaign/spend/first.parquet", &company::spend());
    let engine = project.open().await.expect("the project opens");
    (project, engine)
}

const SPEND: &str = "select sum(spend) from attribution_by_channel where model = 'linear'";

async fn spend(engine: &Engine) -> String {
    answer(engine, SPEND).await.expect("a sum").concat()
}

fn more_spend(amount: i64) -> Table {
    company::spend().rows(0, 1).with("amount", cents([amount]))
}

#[tokio::test]
async fn a_new_version_of_a_file_is_seen_by_the_next_query() {
    let (project, engine) = laid_out().await;
    // 120.00 + 80.00 + 25.50 EUR at 1.25, which is 31.875 and rounds to 31.88.
    assert_eq!(spend(&engine).await, "231.88");
    project.parquet("campaign/spend/first.parquet", &more_spend(4_200));
    assert_eq!(spend(&engine).await, "42.00");
    // Of the same size as the version before.
    project.parquet("campaign/spend/first.parquet", &more_spend(4_300));
    assert_eq!(spend(&engine).await, "43.00");
}

#[tokio::test]
async fn a_file_that_comes_or_goes_is_seen_by_the_next_query() {
    let (project, engine) = laid_out().await;
    project.parquet("campaign/spend/second.parquet", &more_spend(1_000));
    assert_eq!(spend(&engine).await, "241.88");
    project.remove("campaign/spend/first.parquet");
    assert_eq!(spend(&engine).await, "10.00");
    project.remove("campaign/spend/second.parquet");
    assert_eq!(answer(&engine, "select count(*) from campaign.spend").await.expect("a count"), ["0"]);
}

#[tokio::test]
async fn a_query_that_is_running_keeps_the_files_that_it_began_with() {
    let (project, engine) = laid_out().await;
    let planned = engine.session().query("select sum(amount) from campaign.spend").await.expect("a running query");
    project.parquet("campaign/spend/second.parquet", &more_spend(1_000));
    let batches = planned.collect().await.expect("an answer");
    let sum = arrow::util::display::array_value_to_string(batches[0].column(0), 0).expect("a sum");
    assert_eq!(sum, "225.50");
}

#[tokio::test]
async fn a_file_that_breaks_the_contract_fails_the_queries_that_read_it_until_it_is_mended() {
    let (project, engine) = laid_out().await;
    assert_eq!(spend(&engine).await, "231.88");
    let fault = async || match answer(&engine, SPEND).await {
        Ok(rows) => panic!("the query is expected to fail, and gave {rows:?}"),
        Err(error) => project.described(&error),
    };
    project.parquet("campaign/spend/second.parquet", &more_spend(1_000).without("currency"));
    assert_says(
        &fault().await,
        r#"Source: campaign/spend/second.parquet: required column "currency" (text) is missing"#,
    );
    assert!(answer(&engine, "select * from mrr").await.is_ok(), "what does not read it goes on");
    project.parquet("campaign/spend/second.parquet", &more_spend(1_000).with("amount", doubles([0.125])));
    assert_says(
        &fault().await,
        r#"Source: campaign/spend/second.parquet: column "amount" does not fit decimal(18,2) without loss in 1 row, the first is 0.125 in row 1"#,
    );
    project.bytes("campaign/spend/second.parquet", b"PAR1");
    assert_says(
        &fault().await,
        "Source: campaign/spend/second.parquet: not a Parquet file, or a truncated one (parquet files are at least 8 bytes long, but file length is 4); hint: write the file again",
    );
    project.parquet("campaign/spend/second.parquet", &more_spend(1_000));
    assert_eq!(spend(&engine).await, "241.88");
    project.parquet("campaign/touches.parquet", &company::touches().with("touch_id", texts(["t"; 5])));
    assert_says(&fault().await, "Source: campaign.touches: the key touch_id is not unique: t (5 rows)");
}

#[tokio::test]
async fn a_location_that_goes_away_is_no_empty_company() {
    let (project, engine) = laid_out().await;
    std::fs::remove_dir_all(project.path("campaign")).expect("the folder is there");
    let error = answer(&engine, SPEND).await.expect_err("the source is gone");
    assert_says(
        &project.described(&error),
        r#"Source: source "campaign": all its tables are gone
hint: is the location still there, and can it be read?"#,
    );
}

#[tokio::test]
async fn a_raw_file_of_another_type_is_named() {
    let project = Project::new();
    project.text("topline.toml", "[sources.shop]\nconnector = \"raw\"\nlocation = \"shop\"\n");
    let orders = Table::new().with("id", integers([1])).with("day", dates(["2026-01-01"]));
    project.parquet("shop/orders/a.parquet", &orders);
    let engine = project.open().await.expect("the project opens");
    let second = Table::new().with("id", texts(["2"])).with("day", dates(["2026-01-02"])).with("new", integers([1]));
    project.parquet("shop/orders/b.parquet", &second);
    let error = answer(&engine, "select sum(id) from shop.orders").await.expect_err("the types contradict");
    assert_says(
        &project.described(&error),
        r#"Source: shop/orders/b.parquet: column "id" is text here and bigint in other files of the table"#,
    );
    project.parquet("shop/orders/b.parquet", &second.with("id", integers([2])));
    assert_eq!(answer(&engine, "select sum(id) from shop.orders").await.expect("a sum"), ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_queries_at_once_answer_as_one_does() {
    let (_project, engine) = laid_out().await;
    let questions: Vec<&str> = QUESTIONS.into_iter().cycle().take(20).collect();
    let at_once = join_all(questions.iter().map(|question| {
        let (engine, question) = (engine.clone(), (*question).to_owned());
        tokio::spawn(async move { answer(&engine, &question).await.expect("an answer") })
    }));
    let at_once = at_once.await;
    let (_project, quiet) = laid_out().await;
    for (place, question) in QUESTIONS.into_iter().enumerate() {
        let alone = answer(&quiet, question).await.expect("an answer");
        assert!(!alone.is_empty(), "{question}");
        for answer in at_once.iter().skip(place).step_by(QUESTIONS.len()) {
            assert_eq!(answer.as_ref().expect("no panic"), &alone, "{question}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_do_not_see_each_others_settings() {
    let (_project, engine) = laid_out().await;
    let runs = (1..=20).map(|days| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let mut session = engine.session();
            session.set("attribution.lookback_days", &days.to_string()).expect("within bounds");
            let rows = session.query("select setting('attribution.lookback_days')").await.expect("a query");
            let batches = rows.collect().await.expect("an answer");
            arrow::util::display::array_value_to_string(batches[0].column(0), 0).expect("a number")
        })
    });
    for (days, found) in (1..=20).zip(join_all(runs).await) {
        assert_eq!(found.expect("no panic"), format!("{days}.0"));
    }
}
