//! A newer release, or other models, over a warehouse that is there: no history is lost.

use topline::ErrorKind;
use topline::engine::Engine;
use topline::publish::{Months, Outcome, Request, Verdict, close, materialize, reopen, verify};

use super::{PAID_SIDECAR, PAID_SQL, Shop, due, publish, rows, try_publish, with_outcome};
use crate::project::assert_says;

/// Gives the metric other columns: `payments` goes, `least` comes, `paid` is a double, and `label` a text that was a date.
fn remodel(shop: &Shop) {
    let sql = PAID_SQL
        .replace("cast(sum(amount) as decimal(18, 2)) as paid", "cast(sum(amount) as double) as paid")
        .replace("    count(*) as payments,", "    min(amount) as least,\n    cast(min(paid_at) as varchar) as label,");
    let sidecar =
        PAID_SIDECAR.replace("[\"paid\", \"money\", \"payments\"]", "[\"paid\", \"number\", \"payments\"]").replace(
            "[\"payments\", \"count\", \"how many\"]",
            "[\"least\", \"money\", \"least\"],\n    [\"label\", \"text\", \"first\"]",
        );
    shop.project.text("models/metrics/paid.sql", &sql);
    shop.project.text("models/metrics/paid.toml", &sidecar);
}

/// Gives the metric a column `label` of another type than [`remodel`] does.
fn with_label(shop: &Shop) {
    let sql =
        PAID_SQL.replace("    count(*) as payments,", "    count(*) as payments,\n    local_month(paid_at) as label,");
    let sidecar =
        PAID_SIDECAR.replace("\"how many\"],", "\"how many\"],\n    [\"label\", \"date\", \"the month again\"],");
    shop.project.text("models/metrics/paid.sql", &sql);
    shop.project.text("models/metrics/paid.toml", &sidecar);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_go_and_change_their_type_and_old_versions_answer() {
    let shop = Shop::new();
    with_label(&shop);
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let before = rows(&engine, "select * from as_of_version('paid', 0) order by month").await;
    remodel(&shop);
    shop.pay_late(5_000);
    let engine = shop.open().await;
    let report = publish(&engine, &["paid"]).await;
    // The label was a date and is a text, which every row says otherwise.
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Restated).len(), 3, "{:?}", report.metrics);
    assert_eq!(
        rows(&engine, "select month, paid, least from published.paid order by month").await,
        ["2026-01-01 | 100.0 | 100.00", "2026-02-01 | 150.0 | 50.00", "2026-03-01 | 100.0 | 100.00"]
    );
    assert_eq!(
        rows(&engine, "select month, value_before, value_after from meta.restatements where \"column\" = 'paid'").await,
        ["2026-02-01 | 100.0 | 150.0"],
        "a number in another type is the same number"
    );
    assert_eq!(rows(&engine, "select * from as_of_version('paid', 0) order by month").await, before);
    let found = verify(&engine, &[], None, &|_| {}).await.expect("it verifies");
    assert!(found.iter().all(|found| found.verdict == Verdict::Same), "{found:?}");
    assert_eq!(publish(&engine, &["paid"]).await.version, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_month_that_does_not_fit_new_columns_is_said_and_nothing_is_lost() {
    let shop = Shop::new();
    with_label(&shop);
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let february = "2026-02".parse().expect("a month");
    close(&engine, february, "board report", "ann").await.expect("it closes");
    let before = rows(&engine, "select * from published.paid order by month").await;
    remodel(&shop);
    let engine = shop.open().await;
    let error = try_publish(&engine, &["paid"]).await.expect_err("February cannot be read so");
    assert_says(
        &shop.project.described(&error),
        "Model: metric \"paid\" cannot be published: month 2026-02 is closed, and does not fit: 3 problems\n\
         \x20 column \"paid\" was Decimal128(18, 2) and is Float64\n\
         \x20 column \"label\" was Date32 and is Utf8\n\
         \x20 column \"payments\" is gone\n\
         hint: keep what is published beside what is new, or reopen the closed months first: they are published anew then",
    );
    assert_eq!(rows(&engine, "select * from published.paid order by month").await, before);
    reopen(&engine, february, "new columns", "ann").await.expect("it opens");
    publish(&engine, &["paid"]).await;
    assert_eq!(rows(&engine, "select count(*) from published.paid where least = 100").await, ["3"]);
    assert_eq!(rows(&engine, "select * from as_of_version('paid', 0) order by month").await, before);
}

/// Calls the month by another name, with a key or without.
fn rename_month(shop: &Shop, key: &str) {
    shop.project.text("models/metrics/paid.sql", &PAID_SQL.replace(" as month", " as paid_in"));
    let sidecar = PAID_SIDECAR.replace("key = [\"month\"]", key).replace("period = \"month\"", "period = \"paid_in\"");
    let sidecar =
        sidecar.replace("[\"month\", \"date\"", "[\"paid_in\", \"date\"").replace("select month,", "select paid_in,");
    shop.project.text("models/metrics/paid.toml", &sidecar);
}

async fn require_sound(engine: &Engine, metric: &str) {
    let found = verify(engine, &[metric.to_owned()], None, &|_| {}).await.expect("it verifies");
    assert!(found.iter().all(|found| found.verdict == Verdict::Same), "{found:?}");
    assert_eq!(publish(engine, &[metric]).await.version, None, "publishing again does nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_column_of_the_month_gets_another_name() {
    for key in ["key = [\"paid_in\"]", "key = []"] {
        let shop = Shop::new();
        let engine = shop.open().await;
        publish(&engine, &["paid"]).await;
        let before = rows(&engine, "select * from published.paid order by month").await;
        rename_month(&shop, key);
        shop.pay_late(5_000);
        let engine = shop.open().await;
        publish(&engine, &["paid"]).await;
        assert_eq!(
            rows(&engine, "select paid_in, _month, paid from published.paid order by paid_in").await,
            [
                "2026-01-01 | 2026-01-01 | 100.00",
                "2026-02-01 | 2026-02-01 | 150.00",
                "2026-03-01 | 2026-03-01 | 100.00"
            ]
        );
        let restated = "select distinct month from meta.restatements";
        assert_eq!(rows(&engine, restated).await, ["2026-02-01"], "{key}: each month is held against itself");
        assert_eq!(rows(&engine, "select * from as_of_version('paid', 0) order by month").await, before);
        require_sound(&engine, "paid").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_month_is_not_divided_otherwise() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    close(&engine, "2026-02".parse().expect("a month"), "board report", "ann").await.expect("it closes");
    let before = rows(&engine, "select * from published.paid order by month").await;
    rename_month(&shop, "key = [\"paid_in\"]");
    let engine = shop.open().await;
    let error = try_publish(&engine, &["paid"]).await.expect_err("February would move");
    assert_says(
        &shop.project.described(&error),
        "Model: metric \"paid\" cannot be published: month 2026-02 is closed, and does not fit: 2 problems\n\
         \x20 column \"month\" is gone\n\
         \x20 its rows are divided by another column\n\
         hint: keep what is published beside what is new, or reopen the closed months first: they are published anew then",
    );
    assert_eq!(rows(&engine, "select * from published.paid order by month").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_gets_months_and_is_published_whole_again() {
    let shop = Shop::new();
    let whole = PAID_SIDECAR.replace("period = \"month\"\n", "");
    shop.project.text("models/metrics/paid.toml", &whole);
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let all = ["2026-01-01 | 100.00", "2026-02-01 | 100.00", "2026-03-01 | 100.00"];
    let (paid, folders) = ("select month, paid from published.paid order by month", |shop: &Shop| {
        shop.listing().keys().filter(|name| name.starts_with("published/paid/month=")).count()
    });
    assert_eq!((rows(&engine, paid).await, folders(&shop)), (all.map(str::to_owned).to_vec(), 0));
    for (sidecar, months) in [(PAID_SIDECAR, 3), (whole.as_str(), 1)] {
        shop.project.text("models/metrics/paid.toml", sidecar);
        let engine = shop.open().await;
        let report = publish(&engine, &["paid"]).await;
        assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::New).len(), months, "{:?}", report.metrics);
        assert_eq!(rows(&engine, paid).await, all);
        assert_eq!(rows(&engine, "select count(*) from meta.published_months").await, [months.to_string()]);
        assert_eq!(rows(&engine, "select count(*) from meta.restatements").await, ["0"], "no number changed");
        assert_eq!(folders(&shop), 3);
        require_sound(&engine, "paid").await;
    }
    // What changes in the same run is held against what was published whole.
    shop.project.text("models/metrics/paid.toml", PAID_SIDECAR);
    shop.pay_late(5_000);
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let restated = "select \"column\", value_before, value_after from meta.restatements order by 1";
    assert_eq!(rows(&engine, restated).await, ["paid | 100.00 | 150.00", "payments | 1 | 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_rounded_by_its_new_type_is_restated() {
    let shop = Shop::new();
    shop.pay_late(465);
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    shop.project.text("models/metrics/paid.sql", &PAID_SQL.replace("decimal(18, 2)", "bigint"));
    let sidecar = PAID_SIDECAR.replace("[\"paid\", \"money\", \"payments\"]", "[\"paid\", \"count\", \"payments\"]");
    shop.project.text("models/metrics/paid.toml", &sidecar);
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    assert_eq!(
        rows(&engine, "select month, value_before, value_after, round(difference, 2) from meta.restatements").await,
        ["2026-02-01 | 104.65 | 104.00 | -0.65"]
    );
    assert_eq!(rows(&engine, "select paid from published.paid order by month").await, ["100", "104", "100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_some_months_gives_all_of_them_new_columns() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &["paid", "revenue"]).await;
    remodel(&shop);
    shop.pay_late(5_000);
    let engine = shop.open().await;
    let march = "2026-03".parse().expect("a month");
    let request = Request { months: Months::Between(march, march), ..due(&["paid", "revenue"]) };
    let report = materialize(&engine, &request, &|_| {}).await.expect("it publishes");
    assert_eq!(report.computed["paid"], "all: its columns changed");
    assert_eq!(report.computed["revenue"], "2026-03");
    assert_eq!(
        rows(&engine, "select month, paid, least from published.paid order by month").await,
        ["2026-01-01 | 100.0 | 100.00", "2026-02-01 | 150.0 | 50.00", "2026-03-01 | 100.0 | 100.00"]
    );
    assert_eq!(publish(&engine, &["paid"]).await.version, None, "all that is due is published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_month_is_said_whatever_months_are_asked_for() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let nulls =
        PAID_SQL.replace("local_month(paid_at) as month", "nullif(local_month(paid_at), date '2026-02-01') as month");
    shop.project.text("models/metrics/paid.sql", &nulls);
    let engine = shop.open().await;
    let march = "2026-03".parse().expect("a month");
    for months in [Months::Due, Months::Between(march, march)] {
        let request = Request { months, ..due(&["paid"]) };
        let error = materialize(&engine, &request, &|_| {}).await.expect_err("February has no month");
        assert_eq!(error.kind(), ErrorKind::Model);
        assert_eq!(error.message(), "view \"metrics.paid\" has a row without a month");
    }
}
