//! Runs that publish nothing, held ones and failed ones, and very many runs.

use std::sync::atomic::{AtomicI64, Ordering};

use topline::ErrorKind;
use topline::publish::{Step, materialize};

use super::{PAID, Shop, due, publish, rows, try_publish};

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_law_holds_the_run_and_the_last_good_months_stay() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &PAID).await;
    shop.pay_late(95_000);
    let report = publish(&engine, &PAID).await;
    let broken: Vec<_> = report.broken.iter().map(|law| (law.law.as_str(), law.rows)).collect();
    assert_eq!(broken, [("nobody_pays_a_thousand", Some(1))]);
    let months = "select sum(paid) from published.paid union all select sum(collected) from published.revenue";
    assert_eq!(rows(&engine, months).await, ["300.00", "300.00"], "the other metric is held too");
    let held = "select version, kind, metrics, reason from meta.runs where kind = 'held'";
    assert_eq!(
        rows(&engine, held).await,
        [
            "1 | held | paid, revenue | nobody_pays_a_thousand of paid is broken, 1 rows: month = 2026-02-01, paid = 1050.00"
        ]
    );
    let before = shop.listing();
    publish(&engine, &PAID).await;
    assert_eq!(shop.listing(), before, "what is known is recorded once, and leaves no file");
    shop.pay_late(5_000);
    assert!(publish(&engine, &PAID).await.broken.is_empty());
    assert_eq!(rows(&engine, months).await, ["350.00", "350.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_is_recorded_once() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &PAID).await;
    shop.project.bytes("billing/payments/late.parquet", b"PAR1");
    for _ in 0..2 {
        let error = try_publish(&engine, &PAID).await.expect_err("the file is broken");
        assert!(error.message().starts_with("billing/payments/late.parquet: not a Parquet file"), "{error}");
    }
    let failed = rows(&engine, "select version, kind, metrics from meta.runs where kind = 'failed'").await;
    assert_eq!(failed, ["1 | failed | paid, revenue"]);
    assert_eq!(rows(&engine, "select count(*) from published.paid").await, ["3"]);
    shop.pay_late(5_000);
    assert_eq!(publish(&engine, &PAID).await.version, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_files_overtake_again_and_again_is_recorded() {
    let shop = Shop::new();
    let engine = shop.open().await;
    let cents = AtomicI64::new(100);
    let overtake = |step: Step<'_>| {
        if matches!(step, Step::Checking(..)) {
            shop.pay_late(cents.fetch_add(1, Ordering::Relaxed));
        }
    };
    let error = materialize(&engine, &due(&PAID), &overtake).await.expect_err("files change all the while");
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(rows(&engine, "select kind, metrics from meta.runs").await, ["failed | paid, revenue"]);
    assert!(!publish(&engine, &PAID).await.metrics.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_metric_with_the_name_of_a_function_is_read_by_whoever_comes_first() {
    let shop = Shop::new();
    for extension in ["sql", "toml"] {
        let text = std::fs::read_to_string(shop.project.path(&format!("models/metrics/paid.{extension}")));
        shop.project.text(&format!("models/metrics/range.{extension}"), &text.expect("a model"));
    }
    publish(&shop.open().await, &["range"]).await;
    assert_eq!(rows(&shop.open().await, "select sum(paid) from published.range").await, ["300.00"]);
    assert_eq!(rows(&shop.open().await, "select count(*) from range(1, 4)").await, ["3"]);
}

/// More entries than `meta.runs` shows.
const MANY: u64 = 5_100;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_at_an_instant_is_known_however_many_runs_there_were_since() {
    let shop = Shop::new();
    publish(&shop.open().await, &["paid"]).await;
    shop.pay_late(5_000);
    publish(&shop.open().await, &["paid"]).await;
    let place = |number: u64| shop.project.path(&format!("warehouse/_topline/ledger/{number:020}.json"));
    let read = |number: u64| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(place(number)).expect("an entry")).expect("JSON")
    };
    let at = |entry: &serde_json::Value| entry["at_micros"].as_i64().expect("an instant");
    let (first, mut entry) = (read(0), read(1));
    let second = at(&entry);
    for number in 2..MANY {
        entry["number"] = serde_json::json!(number);
        entry["at_micros"] = serde_json::json!(at(&entry) + 1);
        std::fs::write(place(number), entry.to_string()).expect("it is written");
    }
    let engine = shop.open().await;
    let instant = |micros: i64| chrono::DateTime::from_timestamp_micros(micros).expect("an instant").to_rfc3339();
    let paid = async |at: i64| {
        let sql = format!("select paid from as_of_time('paid', '{}') where month = '2026-02-01'", instant(at));
        crate::project::answer(&engine, &sql).await
    };
    for (micros, expected) in
        [(at(&first), "100.00"), (second - 1, "100.00"), (second, "150.00"), (at(&entry), "150.00")]
    {
        assert_eq!(paid(micros).await.expect("it was published"), [expected], "{micros}");
    }
    let error = paid(at(&first) - 1).await.expect_err("it was not yet published");
    assert!(error.message().starts_with("nothing was published at "), "{error}");
}
