//! Closed months, and whether what is published is what was published.

use topline::publish::{Outcome, Request, Unchanged, Verdict, close, materialize, reopen, verify};

use super::{PAID, Shop, due, publish, rows, with_outcome};
use crate::project::assert_says;

const FEBRUARY: &str = "select paid from published.paid where month = '2026-02-01'";

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_month_stays_until_it_is_opened() {
    let shop = Shop::new();
    let engine = shop.open().await;
    let february = "2026-02".parse().expect("a month");
    let error = close(&engine, february, "too early", "ann").await.expect_err("nothing is published");
    assert_says(
        &shop.project.described(&error),
        "Argument: nothing of month 2026-02 is published\nhint: topline materialize --month 2026-02 publishes it",
    );
    publish(&engine, &PAID).await;
    assert_eq!(close(&engine, february, "board report", "ann").await.expect("it closes"), 1);
    shop.pay_late(5_000);
    let report = publish(&engine, &PAID).await;
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Pending(1)), ["paid 2026-02", "revenue 2026-02"]);
    assert_eq!((report.version, report.restatements), (Some(2), 0));
    assert_eq!(rows(&engine, FEBRUARY).await, ["100.00"]);
    let pending = "select metric, rows_pending from meta.published_months where is_closed order by metric";
    assert_eq!(rows(&engine, pending).await, ["paid | 1", "revenue | 1"]);
    assert_eq!(publish(&engine, &PAID).await.version, None, "what is pending is recorded once");
    let error = close(&engine, february, "again", "bob").await.expect_err("it is closed");
    assert_eq!(error.message(), "month 2026-02 is closed already");

    assert_eq!(reopen(&engine, february, "credit note", "bob").await.expect("it opens"), 3);
    assert_eq!(rows(&engine, FEBRUARY).await, ["100.00"], "opening alone changes nothing");
    let report = publish(&engine, &PAID).await;
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Restated), ["paid 2026-02", "revenue 2026-02"]);
    assert_eq!(rows(&engine, FEBRUARY).await, ["150.00"]);
    assert_eq!(
        rows(
            &engine,
            "select version, kind, month, decided_by, reason from meta.runs where month is not null order by version"
        )
        .await,
        ["1 | closed | 2026-02-01 | ann | board report", "3 | reopened | 2026-02-01 | bob | credit note"]
    );
    let error = reopen(&engine, february, "again", "bob").await.expect_err("it is open");
    assert_eq!(error.message(), "month 2026-02 is not closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_closed_month_would_change_goes_away_with_its_cause() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &PAID).await;
    close(&engine, "2026-02".parse().expect("a month"), "board report", "ann").await.expect("it closes");
    shop.pay_late(5_000);
    publish(&engine, &PAID).await;
    shop.project.remove("billing/payments/late.parquet");
    publish(&engine, &PAID).await;
    assert_eq!(rows(&engine, "select distinct rows_pending from meta.published_months where is_closed").await, ["0"]);
    assert_eq!(rows(&engine, FEBRUARY).await, ["100.00"]);
}

async fn verdicts(shop: &Shop) -> Vec<(String, Verdict)> {
    let found = verify(&shop.open().await, &["paid".to_owned()], None, &|_| {}).await.expect("it verifies");
    found.into_iter().map(|found| (found.month, found.verdict)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_tells_sound_months_from_those_that_were_tampered_with() {
    let shop = Shop::new();
    let first =
        super::payments(["p1", "p2", "p3"], ["2026-01-15T10:00:00Z", "2026-02-15T10:00:00Z", "2026-03-15T10:00:00Z"]);
    let amounts = crate::project::cents([20_000, 10_000, 10_000]);
    shop.project.parquet("billing/payments/first.parquet", &first.with("amount", amounts));
    publish(&shop.open().await, &PAID).await;
    let same = |month: &str| (month.to_owned(), Verdict::Same);
    assert_eq!(verdicts(&shop).await, [same("2026-01"), same("2026-02"), same("2026-03")]);

    // A file of January in the place of February's: rows that were published once, but not there.
    let file = |month: &str| {
        let listing = shop.listing();
        let name = listing.keys().find(|name| name.starts_with(&format!("published/paid/month={month}-01/")));
        shop.project.path("warehouse").join(name.expect("a file of the month"))
    };
    let (january, february) = (file("2026-01"), file("2026-02"));
    let original = std::fs::read(&february).expect("a file");
    std::fs::copy(&january, &february).expect("it is written");
    let found = verdicts(&shop).await;
    assert!(matches!(found[1].1, Verdict::Different(_)), "{found:?}");
    assert_eq!((&found[0], &found[2]), (&same("2026-01"), &same("2026-03")));
    std::fs::remove_file(&february).expect("it is there");
    assert!(matches!(verdicts(&shop).await[1].1, Verdict::Different(_)), "a file that is gone");
    std::fs::write(&february, &original).expect("it is written");
    assert_eq!(verdicts(&shop).await[1], same("2026-02"));

    shop.pay_late(5_000);
    let found = verdicts(&shop).await;
    let gone = Verdict::Kept("files changed since: +billing/payments/late.parquet".to_owned());
    assert!(found.iter().all(|(_, verdict)| *verdict == gone), "{found:?}");
    shop.project.remove("billing/payments/late.parquet");
    // As of another instant, and under other settings: those that were recorded count.
    let elsewhere = shop
        .open_with(&[("TOPLINE_REPORTING_AS_OF", "2026-02-15T00:00:00Z"), ("TOPLINE_REPORTING_TIMEZONE", "Asia/Tokyo")])
        .await;
    let found = verify(&elsewhere, &[], None, &|_| {}).await.expect("it verifies");
    assert!(found.iter().all(|found| found.verdict == Verdict::Same), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_exits_with_1_where_a_month_differs() {
    let shop = Shop::new();
    let run = |arguments: &[&str]| {
        let output = shop.command(arguments).output().expect("the binary runs");
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("text"),
            String::from_utf8(output.stderr).expect("text"),
        )
    };
    let (code, out, err) = run(&["materialize", "paid", "revenue"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(
        out,
        "metric   new  restated  unchanged  pending  months                     computed
paid       3         0          0        0  2026-01, 2026-02, 2026-03  all: published for the first time
revenue    3         0          0        0  2026-01, 2026-02, 2026-03  all: published for the first time

version 0 as of 2026-04-01T00:00:00Z: 2 metrics changed, 6 months new, 0 months restated in 0 numbers
"
    );
    assert_eq!(
        run(&["materialize", "paid"]).1,
        "nothing to do: what is published is as it should be as of 2026-04-01T00:00:00Z\n"
    );
    assert_eq!(
        run(&["close", "2026-02", "--reason", "board", "--by", "ann"]).1,
        "month 2026-02 is closed from version 1 on, by ann\n"
    );
    assert_eq!(
        run(&["verify"]).1,
        "6 months are what computing them again gives, 0 more months hold what was published, 0 months differ\n"
    );
    let listing = shop.listing();
    let name = listing.keys().find(|name| name.starts_with("published/paid/month=2026-03-01/")).expect("a file");
    std::fs::write(shop.project.path("warehouse").join(name), b"PAR1").expect("it is written");
    let (code, out, _) = run(&["verify", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &found["is_right"]), (Some(1), &serde_json::Value::Bool(false)));
}

/// Takes away the payment of February, so that the metric has no row of it.
fn pay_nothing_in_february(shop: &Shop) {
    let others = super::payments(["p1", "p3"], ["2026-01-15T10:00:00Z", "2026-03-15T10:00:00Z"]);
    let amounts = crate::project::cents([10_000, 10_000]);
    shop.project.parquet("billing/payments/first.parquet", &others.with("amount", amounts));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_month_that_had_none_are_restatements() {
    let shop = Shop::new();
    pay_nothing_in_february(&shop);
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let restated = "select month, \"column\", value_before, value_after, reason from meta.restatements
                    where \"column\" = 'paid' order by at, value_before";
    shop.pay_late(5_000);
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Restated), ["paid 2026-02"]);
    assert_eq!(rows(&engine, restated).await, ["2026-02-01 | paid |  | 50.00 | late data"]);
    shop.project.remove("billing/payments/late.parquet");
    publish(&engine, &["paid"]).await;
    // Before the first month there was nothing, either.
    let early = super::payments(["p0"], ["2025-12-15T10:00:00Z"]).with("amount", crate::project::cents([700]));
    shop.project.parquet("billing/payments/early.parquet", &early);
    publish(&engine, &["paid"]).await;
    let each = "select month, value_before, value_after, difference from meta.restatements
                where \"column\" = 'paid' order by month, difference";
    assert_eq!(
        rows(&engine, each).await,
        ["2025-12-01 |  | 7.00 | 7.0", "2026-02-01 | 50.00 |  | -50.0", "2026-02-01 |  | 50.00 | 50.0"]
    );
    assert_eq!(publish(&engine, &["paid"]).await.version, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_month_without_rows_stays_without_rows() {
    let shop = Shop::new();
    pay_nothing_in_february(&shop);
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let february = "2026-02".parse().expect("a month");
    close(&engine, february, "board report", "ann").await.expect("it closes, as nothing is what was published");
    shop.pay_late(5_000);
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Pending(1)), ["paid 2026-02"]);
    assert_eq!(rows(&engine, FEBRUARY).await, Vec::<String>::new());
    let pending = "select rows, rows_pending, is_closed from meta.published_months where month = '2026-02-01'";
    assert_eq!(rows(&engine, pending).await, ["0 | 1 | true"]);
    assert_eq!(publish(&engine, &["paid"]).await.version, None, "what is pending is recorded once");
    let found = verify(&engine, &[], None, &|_| {}).await.expect("it verifies");
    assert!(found.iter().all(|found| !matches!(found.verdict, Verdict::Different(_))), "{found:?}");

    // A metric that was not published before has no numbers that could move.
    publish(&engine, &["revenue"]).await;
    assert_eq!(rows(&engine, "select month from published.revenue where month = '2026-02-01'").await.len(), 1);

    reopen(&engine, february, "a payment was found", "bob").await.expect("it opens");
    publish(&engine, &["paid"]).await;
    assert_eq!(rows(&engine, FEBRUARY).await, ["50.00"]);
    let restated = "select value_before, value_after, reason from meta.restatements where \"column\" = 'paid'";
    assert_eq!(rows(&engine, restated).await, [" | 50.00 | late data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_month_keeps_its_columns_and_its_files() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let february = "2026-02".parse().expect("a month");
    close(&engine, february, "board report", "ann").await.expect("it closes");
    let whole = "select * from published.paid where month = '2026-02-01'";
    let before = rows(&engine, whole).await;
    let all_again = Request { unchanged: Unchanged::IsRewritten, ..due(&["paid"]) };
    let report = materialize(&engine, &all_again, &|_| {}).await.expect("it publishes");
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Rewritten), ["paid 2026-01", "paid 2026-03"]);
    assert_eq!(rows(&engine, whole).await, before, "the run that wrote it, too");

    let rename = |text: &str| {
        text.replace("as paid", "as paid_net")
            .replace("[\"paid\"", "[\"paid_net\"")
            .replace(", paid from metrics.paid where paid", " from metrics.paid where paid_net")
    };
    shop.project.text("models/metrics/paid.sql", &rename(super::PAID_SQL));
    shop.project.text("models/metrics/paid.toml", &rename(super::PAID_SIDECAR));
    let engine = shop.open().await;
    let error = super::try_publish(&engine, &["paid"]).await.expect_err("a closed number would go");
    assert!(error.to_string().contains("column \"paid\" is gone"), "{error}");
    assert_eq!(rows(&engine, whole).await, before);

    // Beside the one that is published it may come; the closed month does not have it before it is opened.
    let beside = "as paid,\n    cast(sum(amount) as decimal(18, 2)) as paid_net";
    shop.project.text("models/metrics/paid.sql", &super::PAID_SQL.replace("as paid", beside));
    let both = "[\"paid\", \"money\", \"payments\"],\n    [\"paid_net\", \"money\", \"payments\"]";
    shop.project
        .text("models/metrics/paid.toml", &super::PAID_SIDECAR.replace("[\"paid\", \"money\", \"payments\"]", both));
    let engine = shop.open().await;
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::Pending(1)), ["paid 2026-02"]);
    let net = "select paid, paid_net from published.paid order by month";
    assert_eq!(rows(&engine, net).await, ["100.00 | 100.00", "100.00 | ", "100.00 | 100.00"]);
    assert_eq!(publish(&engine, &["paid"]).await.version, None, "what is pending is recorded once");
    reopen(&engine, february, "the new column", "bob").await.expect("it opens");
    publish(&engine, &["paid"]).await;
    assert_eq!(rows(&engine, net).await, ["100.00 | 100.00"; 3]);
}
