//! A newer release, or other models, over a warehouse that is there: no history is lost.

use topline::publish::{Outcome, Verdict, close, reopen, verify};

use super::{PAID_SIDECAR, PAID_SQL, Shop, publish, rows, try_publish, with_outcome};
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
        "Model: metric \"paid\" cannot be published: month 2026-02 is closed, and does not fit: 2 problems\n\
         \x20 column \"paid\" was Decimal128(18, 2) and is Float64\n\
         \x20 column \"label\" was Date32 and is Utf8\n\
         hint: give the column another name, or reopen the closed months first",
    );
    assert_eq!(rows(&engine, "select * from published.paid order by month").await, before);
    reopen(&engine, february, "new columns", "ann").await.expect("it opens");
    publish(&engine, &["paid"]).await;
    assert_eq!(rows(&engine, "select count(*) from published.paid where least = 100").await, ["3"]);
    assert_eq!(rows(&engine, "select * from as_of_version('paid', 0) order by month").await, before);
}
