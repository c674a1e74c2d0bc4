//! Which months are published, which change, and what is recorded of it.

use topline::publish::{Months, Outcome, Unchanged, Verdict, materialize, verify};

use super::{PAID, Shop, due, live, publish, published, rows, try_publish, with_outcome};
use crate::project::{assert_says, cents, texts};

fn is_new(outcome: &Outcome) -> bool {
    *outcome == Outcome::New
}

fn is_restated(outcome: &Outcome) -> bool {
    *outcome == Outcome::Restated
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_what_the_metrics_say_and_a_second_run_writes_nothing() {
    let shop = Shop::new();
    let engine = shop.open().await;
    assert_eq!(rows(&engine, "select count(*) from meta.runs").await, ["0"]);
    let report = publish(&engine, &[]).await;
    assert_eq!(report.version, Some(0));
    assert!(report.metrics.len() > 20, "{} metrics", report.metrics.len());
    let mut compared = 0;
    for metric in report.metrics.keys() {
        let found = published(&engine, metric).await;
        assert_eq!(found, live(&engine, metric).await, "{metric}");
        compared += found.len();
    }
    assert!(compared > 100, "{compared} rows");
    assert!(!with_outcome(&report, is_new).is_empty());
    let columns =
        rows(&engine, "select column_name from meta.columns where table_schema = 'published' and description is null")
            .await;
    assert!(columns.is_empty(), "columns without a meaning: {columns:?}");

    let before = shop.listing();
    assert_eq!(publish(&engine, &[]).await.version, None);
    assert_eq!(publish(&shop.open().await, &[]).await.version, None);
    // Every month computed again, and none written.
    let mut again = due(&[]);
    again.months = Months::Between("2026-01".parse().expect("a month"), "2026-03".parse().expect("a month"));
    let report = materialize(&engine, &again, &|_| {}).await.expect("it publishes");
    assert_eq!(report.version, None, "{:?}", with_outcome(&report, |outcome| *outcome != Outcome::Unchanged));
    assert_eq!(shop.listing(), before);
    assert_eq!(rows(&engine, "select version, kind from meta.runs").await, ["0 | published"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_payment_restates_its_months_and_each_number_is_recorded() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &[]).await;
    let months = "select month, paid from published.paid order by month";
    let before = shop.listing();
    shop.pay_late(5_000);
    assert_eq!(rows(&engine, months).await[1], "2026-02-01 | 100.00");
    let report = publish(&engine, &[]).await;
    assert_eq!(report.version, Some(1));
    assert_eq!(with_outcome(&report, is_restated), ["paid 2026-02", "revenue 2026-02"]);
    assert!(with_outcome(&report, is_new).is_empty());
    assert_eq!(rows(&engine, months).await[1], "2026-02-01 | 150.00");
    let restated = rows(
        &engine,
        "select metric, month, \"column\", value_before, value_after, difference, reason, files \
         from meta.restatements order by metric, \"column\"",
    )
    .await;
    let of_february = |metric: &str, column: &str, values: &str| {
        format!("{metric} | 2026-02-01 | {column} | {values} | late data | +billing/payments/late.parquet")
    };
    assert_eq!(
        restated,
        [
            of_february("paid", "paid", "100.00 | 150.00 | 50.0"),
            of_february("paid", "payments", "1 | 2 | 1.0"),
            of_february("revenue", "collected", "100.00 | 150.00 | 50.0"),
            of_february("revenue", "net_collected", "100.00 | 150.00 | 50.0"),
        ]
    );
    assert_eq!(report.restatements, 4);
    // The files of other months are the same ones, and those of the old version are still there.
    let after = shop.listing();
    assert!(before.iter().all(|(name, about)| name.contains("checked_files") || after.get(name) == Some(about)));
    let new: Vec<&String> =
        after.keys().filter(|name| !before.contains_key(*name) && name.ends_with(".parquet")).collect();
    assert!(new.iter().all(|name| name.contains("month=2026-02-01") || name.contains("restatements")), "{new:?}");

    let february = |call: &str| format!("select paid from {call} where month = '2026-02-01'");
    assert_eq!(rows(&engine, &february("as_of_version('paid', 0)")).await, ["100.00"]);
    assert_eq!(rows(&engine, &february("as_of_version('paid', 1)")).await, ["150.00"]);
    let at = rows(&engine, "select cast(at as varchar) from meta.runs order by version").await;
    let instant = |text: &str| format!("as_of_time('paid', '{}Z')", text.trim_end_matches('Z').replace(' ', "T"));
    assert_eq!(rows(&engine, &february(&instant(&at[0]))).await, ["100.00"]);
    assert_eq!(rows(&engine, &february(&instant(&at[1]))).await, ["150.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_goes_is_restated_too() {
    let shop = Shop::new();
    let engine = shop.open().await;
    shop.pay_late(5_000);
    publish(&engine, &["paid"]).await;
    shop.project.remove("billing/payments/first.parquet");
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(with_outcome(&report, is_restated), ["paid 2026-01", "paid 2026-02", "paid 2026-03"]);
    assert_eq!(rows(&engine, "select month, paid from published.paid").await, ["2026-02-01 | 50.00"]);
    let gone = "select value_before, value_after from meta.restatements where month = '2026-01-01' and \"column\" = 'paid' order by at";
    assert_eq!(rows(&engine, gone).await, ["100.00 | "]);
    // And comes again.
    shop.project.parquet(
        "billing/payments/again.parquet",
        &super::payments(["p1"], ["2026-01-15T10:00:00Z"]).with("amount", crate::project::cents([700])),
    );
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(with_outcome(&report, is_restated), ["paid 2026-01"], "that it had none was published");
    assert_eq!(rows(&engine, gone).await, ["100.00 | ", " | 7.00"]);
    assert_eq!(rows(&engine, "select paid from published.paid order by month").await, ["7.00", "50.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_number_changed_is_recorded() {
    let shop = Shop::new();
    publish(&shop.open().await, &PAID).await;
    let sql = super::PAID_SQL.replace("sum(amount)", "sum(amount) * 2");
    shop.project.text("models/metrics/paid.sql", &sql);
    let engine = shop.open().await;
    let report = publish(&engine, &PAID).await;
    assert_eq!(with_outcome(&report, is_restated), ["paid 2026-01", "paid 2026-02", "paid 2026-03"]);
    let reasons = "select distinct reason from meta.restatements where run_id = (select run_id from meta.runs order by version desc limit 1)";
    assert_eq!(rows(&engine, reasons).await, ["sql"]);
    let engine = shop.open_with(&[("TOPLINE_REPORTING_TIMEZONE", "Pacific/Auckland")]).await;
    shop.pay_late(100);
    let report = publish(&engine, &PAID).await;
    assert_eq!(rows(&engine, reasons).await, ["late data, setting"], "{:?}", report.metrics);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_told_from_late_data() {
    let shop = Shop::new();
    shop.project.text("models/metrics/paid_by_entity.sql", super::BY_ENTITY_SQL);
    shop.project.text("models/metrics/paid_by_entity.toml", super::BY_ENTITY_SIDECAR);
    let metrics = ["paid", "paid_by_entity"];
    // The second customer is that of the account that is merged.
    let others = super::payments(["q1"], ["2026-02-16T10:00:00Z"]).with("customer_id", texts(["b2"]));
    shop.project.parquet("billing/payments/others.parquet", &others.with("amount", cents([700])));
    let engine = shop.open().await;
    publish(&engine, &metrics).await;
    let reasons = "select distinct metric, reason, files from meta.restatements where run_id = \
                   (select run_id from meta.runs order by version desc limit 1) order by metric";
    shop.merge(true);
    publish(&engine, &metrics).await;
    assert_eq!(rows(&engine, reasons).await, ["paid_by_entity | merge | ~crm/accounts.parquet"]);
    // It stands, and other rows of the same table are none.
    shop.pay_late(5_000);
    publish(&engine, &metrics).await;
    let late = |metric: &str, files: &str| format!("{metric} | late data | {files}");
    let payment = "+billing/payments/late.parquet";
    assert_eq!(rows(&engine, reasons).await, [late("paid", payment), late("paid_by_entity", payment)]);
    shop.merge(false);
    shop.pay_late(6_000);
    publish(&engine, &metrics).await;
    let files = "~billing/payments/late.parquet";
    let both = format!("paid_by_entity | late data, merge | {files}, ~crm/accounts.parquet");
    assert_eq!(rows(&engine, reasons).await, [late("paid", files), both]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_new_is_none_that_changed() {
    let shop = Shop::new();
    publish(&shop.open().await, &["paid"]).await;
    let sql =
        super::PAID_SQL.replace("    count(*) as payments,", "    count(*) as payments,\n    min(amount) as least,");
    let sidecar =
        super::PAID_SIDECAR.replace("how many\"],", "how many\"],\n    [\"least\", \"money\", \"the least of them\"],");
    shop.project.text("models/metrics/paid.sql", &sql);
    shop.project.text("models/metrics/paid.toml", &sidecar);
    let engine = shop.open().await;
    let mut one = due(&["paid"]);
    one.months = Months::Between("2026-01".parse().expect("a month"), "2026-01".parse().expect("a month"));
    let report = materialize(&engine, &one, &|_| {}).await.expect("it publishes");
    assert_eq!(report.computed["paid"], "all: its columns changed", "other months would not have it");
    assert_eq!(report.restatements, 0);
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Rewritten).len(), 3);
    assert_eq!(rows(&engine, "select least from published.paid").await, ["100.00"; 3]);
    assert_eq!(publish(&engine, &["paid"]).await.version, None);
    assert_eq!(rows(&engine, "select month from as_of_version('paid', 0)").await.len(), 3);
    assert!(
        verify(&engine, &[], None, &|_| {})
            .await
            .expect("it verifies")
            .iter()
            .all(|found| found.verdict == Verdict::Same)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_month_is_not_published() {
    let shop = Shop::new();
    let engine = shop.open_with(&[("TOPLINE_REPORTING_AS_OF", "2026-03-31T23:59:59Z")]).await;
    let report = publish(&engine, &PAID).await;
    assert_eq!(with_outcome(&report, is_new), ["paid 2026-01", "paid 2026-02", "revenue 2026-01", "revenue 2026-02"]);
    let mut march = due(&PAID);
    march.months = Months::Between("2026-03".parse().expect("a month"), "2026-03".parse().expect("a month"));
    let error = materialize(&engine, &march, &|_| {}).await.expect_err("it has not ended");
    assert_says(
        &shop.project.described(&error),
        "Argument: month 2026-03 has not ended at as_of\n\
         hint: half a month is not published: wait for its end; metrics.NAME shows it as it is now",
    );
    // The month ends, and nothing else is new.
    let report = publish(&shop.open().await, &PAID).await;
    assert_eq!(with_outcome(&report, is_new), ["paid 2026-03", "revenue 2026-03"]);
    assert!(with_outcome(&report, is_restated).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_run_writes_months_again_and_restates_none() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &PAID).await;
    let mut full = due(&PAID);
    full.unchanged = Unchanged::IsRewritten;
    let report = materialize(&engine, &full, &|_| {}).await.expect("it publishes");
    assert_eq!((report.version, report.restatements), (Some(1), 0));
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Rewritten).len(), 6);
    assert_eq!(rows(&engine, "select count(distinct _run_id) from published.paid").await, ["1"]);
    let newest = "select count(*) from published.paid where _run_id = (select run_id from meta.runs where version = 1)";
    assert_eq!(rows(&engine, newest).await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_named() {
    let shop = Shop::new();
    let engine = shop.open().await;
    let error = try_publish(&engine, &["pait"]).await.expect_err("no such metric");
    assert_says(
        &shop.project.described(&error),
        "NotFound: view \"metrics.pait\" does not exist; hint: did you mean \"paid\"?",
    );
    publish(&engine, &["paid"]).await;
    let fault = async |sql: &str| {
        let error = crate::project::answer(&engine, sql).await.expect_err(sql);
        shop.project.described(&error).to_string()
    };
    assert_eq!(
        fault("select * from as_of_version('paid', 7)").await,
        "NotFound: version 7 of what is published does not exist\nhint: select version, at, kind from meta.runs lists them"
    );
    assert_eq!(
        fault("select * from as_of_version('revenue', 0)").await,
        "NotFound: metric \"revenue\" was not published as of version 0\n\
         hint: select version, at, metrics from meta.runs tells since when it is"
    );
    assert_eq!(
        fault("select * from as_of_time('paid', 'yesterday')").await,
        "Argument: expected an instant such as 2026-11-01T00:00:00Z, found \"yesterday\""
    );
    assert_eq!(
        fault("select * from published.pait").await,
        "NotFound: table \"published.pait\" does not exist\nhint: did you mean \"published.paid\"?"
    );
}
