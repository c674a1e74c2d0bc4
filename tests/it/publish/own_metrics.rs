//! Metrics of one's own, whose columns and months are others than those of the built-in ones.

use std::collections::BTreeSet;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use topline::ErrorKind;
use topline::engine::Engine;
use topline::publish::{Months, Outcome, Request, Unchanged, Verdict, close, materialize, verify};

use super::{PAID_SIDECAR, PAID_SQL, Shop, due, live, publish, published, rows, try_publish, with_outcome};
use crate::project::{assert_says, cents};

/// The column of a row's month, as the metric of payments has it.
const MONTH_SQL: &str = "local_month(paid_at) as month";

/// When a row of it is complete.
const IS_COMPLETE_SQL: &str = "local_month(setting('reporting.as_of')) as is_complete";

/// Gives the metric of payments one more column.
fn with_column(shop: &Shop, name: &str, sql: &str) {
    let count = "    count(*) as payments,";
    shop.project.text("models/metrics/paid.sql", &PAID_SQL.replace(count, &format!("{count}\n    {sql} as {name},")));
    let payments = "[\"payments\", \"count\", \"how many\"],";
    let documented = format!("{payments}\n    [\"{name}\", \"text\", \"{name}\"],");
    shop.project.text("models/metrics/paid.toml", &PAID_SIDECAR.replace(payments, &documented));
}

async fn require_sound(engine: &Engine) {
    let found = verify(engine, &["paid".to_owned()], None, &|_| {}).await.expect("it verifies");
    assert!(found.iter().all(|found| found.verdict == Verdict::Same), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_may_be_named_by_its_last_day() {
    let shop = Shop::new();
    let last_day = "cast(local_month(paid_at) + interval '1 month' - interval '1 day' as date) as month";
    shop.project.text("models/metrics/paid.sql", &PAID_SQL.replace(MONTH_SQL, last_day));
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let months = "select month from published.paid order by month";
    let all = ["2026-01-31", "2026-02-28", "2026-03-31"];
    assert_eq!(rows(&engine, months).await, all);
    let february = "2026-02".parse().expect("a month");
    for unchanged in [Unchanged::IsKept, Unchanged::IsRewritten] {
        let request = Request { months: Months::Between(february, february), unchanged, ..due(&["paid"]) };
        let report = materialize(&engine, &request, &|_| {}).await.expect("it publishes");
        assert_eq!(report.restatements, 0, "no number changed");
        assert_eq!(rows(&engine, months).await, all);
    }
    require_sound(&engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_lists_is_what_was_published() {
    let shop = Shop::new();
    with_column(&shop, "amounts", "array_agg(amount order by amount)");
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    require_sound(&engine).await;
    shop.pay_late(5_000);
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(with_outcome(&report, |outcome| *outcome != Outcome::Unchanged), ["paid 2026-02"]);
    require_sound(&engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_that_is_asked_for_twice_is_restated_once() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    shop.pay_late(5_000);
    let report = publish(&engine, &["paid", "paid"]).await;
    assert_eq!(report.restatements, 2);
    let restated = "select \"column\", value_before, value_after from meta.restatements order by 1";
    assert_eq!(rows(&engine, restated).await, ["paid | 100.00 | 150.00", "payments | 1 | 2"]);
}

/// A month is whole forty days after an instant of it.
fn with_months_that_are_whole_late(shop: &Shop) {
    let late = "local_month(setting('reporting.as_of') - interval '40 days') as is_complete";
    shop.project.text("models/metrics/paid.sql", &PAID_SQL.replace(IS_COMPLETE_SQL, late));
    shop.project.text("models/metrics/paid.toml", &PAID_SIDECAR.replace("\n[[checks]]", super::reach::REACH));
}

async fn at(shop: &Shop, as_of: &str) -> [Engine; 2] {
    let as_of = ("TOPLINE_REPORTING_AS_OF", as_of);
    [shop.open_with(&[as_of]).await, shop.open_with(&[as_of, ("TOPLINE_WAREHOUSE_ACCELERATE", "true")]).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_whole_some_time_after_its_end_is_published_then() {
    let shop = Shop::new();
    with_months_that_are_whole_late(&shop);
    let whole = |months: &[&str]| -> Vec<String> { months.iter().map(|month| format!("{month}-01")).collect() };
    let instants: [(&str, &[&str]); 3] = [
        ("2026-04-01T00:00:00Z", &["2026-01"]),
        ("2026-04-15T00:00:00Z", &["2026-01", "2026-02"]),
        ("2026-06-01T00:00:00Z", &["2026-01", "2026-02", "2026-03"]),
    ];
    for (as_of, months) in instants {
        let [engine, accelerated] = at(&shop, as_of).await;
        let all = "select month, paid, is_complete from metrics.paid order by month";
        assert_eq!(rows(&accelerated, all).await, rows(&engine, all).await, "{as_of}, before it is published");
        publish(&engine, &["paid"]).await;
        assert_eq!(rows(&engine, "select month from published.paid order by month").await, whole(months), "{as_of}");
        assert_eq!(rows(&accelerated, all).await, rows(&engine, all).await, "{as_of}");
        require_sound(&engine).await;
        assert_eq!(publish(&engine, &["paid"]).await.version, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_that_reads_months_that_are_not_whole_gets_their_rows() {
    let shop = Shop::new();
    with_months_that_are_whole_late(&shop);
    publish(&shop.open().await, &["paid"]).await;
    let sql = "select month, paid from metrics.paid where month < local_month(setting('reporting.as_of'))";
    shop.project.text("models/metrics/paid_again.sql", sql);
    let sidecar = "description = \"What was paid.\"\ngrain = \"month\"\nkey = [\"month\"]\nperiod = \"month\"\n\
                   columns = [[\"month\", \"date\", \"month\"], [\"paid\", \"money\", \"paid\"]]\n\n\
                   [reach]\n\"metrics.paid\" = {}\n";
    shop.project.text("models/metrics/paid_again.toml", sidecar);
    let engine = shop.open().await;
    publish(&engine, &["paid", "paid_again"]).await;
    assert_eq!(published(&engine, "paid_again").await, live(&engine, "paid_again").await);
    assert_eq!(rows(&engine, "select count(*) from published.paid_again").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_computed_or_published_is_named() {
    let shop = Shop::new();
    with_column(&shop, "number", "cast(concat('x', cast(count(*) as varchar)) as int)");
    let engine = shop.open().await;
    let error = try_publish(&engine, &["revenue", "paid"]).await.expect_err("x1 is no number");
    assert_eq!(error.kind(), ErrorKind::Query);
    assert_eq!(error.message(), "metric \"paid\": cannot cast string 'x1' to value of integer type");
    let failed = "select reason from meta.runs where kind = 'failed'";
    assert_eq!(rows(&engine, failed).await, [error.message()]);
    let wrong = [
        (
            "_run_id",
            "'x'",
            "view \"metrics.paid\": a published table has a column \"_run_id\" of its own; hint: rename it",
        ),
        (
            "span",
            "interval '1 day'",
            "view \"metrics.paid\": column \"span\": a table cannot hold values of type \
            Interval(MonthDayNano); hint: cast it to text or to a number",
        ),
    ];
    for (name, sql, message) in wrong {
        with_column(&shop, name, sql);
        let error = try_publish(&shop.open().await, &["paid"]).await.expect_err(name);
        assert_eq!(error.message(), message);
    }
    let texts = PAID_SQL.replace(MONTH_SQL, "cast(local_month(paid_at) as varchar) as month");
    let texts = texts.replace(&format!("local_month(paid_at) < {IS_COMPLETE_SQL}"), "'yes' as is_complete");
    shop.project.text("models/metrics/paid.sql", &texts);
    shop.project.text("models/metrics/paid.toml", PAID_SIDECAR);
    let error = try_publish(&shop.open().await, &["paid"]).await.expect_err("a text is no month");
    let problems: BTreeSet<&str> = error.problems().collect();
    assert_eq!(
        problems,
        BTreeSet::from([
            "view \"metrics.paid\": expected column \"is_complete\" as Boolean, found Utf8",
            "view \"metrics.paid\": expected column \"month\" as Date32, found Utf8",
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_published_any_more_is_computed() {
    let shop = Shop::new();
    publish(&shop.open().await, &["paid"]).await;
    with_column(&shop, "span", "interval '1 day'");
    let [engine, accelerated] = at(&shop, "2026-04-01T00:00:00Z").await;
    let paid = "select month, paid from paid order by month";
    assert_eq!(rows(&accelerated, paid).await, rows(&engine, paid).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_column_that_does_not_fit_a_closed_month_is_said_with_metric_and_month() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    close(&engine, "2026-02".parse().expect("a month"), "board report", "ann").await.expect("it closes");
    shop.project.text("models/metrics/paid.sql", &PAID_SQL.replace("decimal(18, 2)", "double"));
    let sidecar = PAID_SIDECAR.replace("[\"paid\", \"money\", \"payments\"]", "[\"paid\", \"number\", \"payments\"]");
    shop.project.text("models/metrics/paid.toml", &sidecar);
    let error = try_publish(&shop.open().await, &["paid"]).await.expect_err("February has cents");
    assert_says(
        &shop.project.described(&error),
        "Model: metric \"paid\" cannot be published: month 2026-02 is closed, and does not fit: column \"paid\" was \
         Decimal128(18, 2) and is Float64\n\
         hint: keep what is published beside what is new, or reopen the closed months first: they are published anew then",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_is_no_company_without_payments() {
    let shop = Shop::new();
    let metrics = ["funnel", "paid", "revenue"];
    publish(&shop.open().await, &metrics).await;
    let payments = shop.project.path("billing/payments");
    let kept = shop.project.path("payments");
    std::fs::rename(&payments, &kept).expect("it is moved");
    let before = published(&shop.open().await, "paid").await;
    // A server that has seen the table, one that never did, and one that is not asked for any metric by name.
    let wanted: [&[&str]; 4] = [&metrics, &["paid"], &["revenue"], &[]];
    for wanted in wanted {
        let engine = shop.open().await;
        let error = try_publish(&engine, wanted).await.expect_err("the payments are gone");
        assert_eq!(error.kind(), ErrorKind::Source);
        let (message, metric) = (error.message(), wanted.first().copied().unwrap_or("funnel"));
        assert!(message.starts_with("table \"billing.payments\" had 1 file when metric"), "{metric}: {message}");
        assert_eq!(published(&engine, "paid").await, before);
    }
    // That there are to be none is said by a file without rows.
    let none = super::payments([], []).with("amount", cents([]));
    shop.project.parquet("billing/payments/none.parquet", &none);
    let engine = shop.open().await;
    publish(&engine, &metrics).await;
    assert_eq!(rows(&engine, "select count(*) from published.paid").await, ["0"]);
    std::fs::rename(kept.join("first.parquet"), payments.join("first.parquet")).expect("it is moved");
    publish(&engine, &metrics).await;
    assert_eq!(published(&engine, "paid").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_is_published_as_such() {
    let shop = Shop::new();
    shop.pay_late(5_000);
    let sql = "select
        local_month(paid_at) as month,
        payment_id,
        case when payment_id = 'p4' then 'NaN'::double else 0.3 end as ratio
    from billing.payments";
    shop.project.text("models/metrics/ratio.sql", sql);
    let sidecar = "description = \"A ratio.\"\ngrain = \"payment\"\nkey = [\"month\", \"payment_id\"]\nperiod = \"month\"\n\
                   columns = [[\"month\", \"date\", \"month\"], [\"payment_id\", \"text\", \"payment\"], \
                   [\"ratio\", \"number\", \"ratio\"]]\n";
    shop.project.text("models/metrics/ratio.toml", sidecar);
    let engine = shop.open().await;
    publish(&engine, &["ratio"]).await;
    // Statistics of February's file say that its least and its greatest ratio is 0.3.
    for filter in [
        "month = '2026-02-01'",
        "isnan(ratio)",
        "ratio > 1",
        "ratio <> 0.3",
        "ratio = (select max(ratio) from metrics.ratio)",
    ] {
        let of =
            |schema: &str| format!("select payment_id, ratio from {schema}.ratio where {filter} order by payment_id");
        let (published, live) = (rows(&engine, &of("published")).await, rows(&engine, &of("metrics")).await);
        assert!(published.contains(&"p4 | NaN".to_owned()), "{filter}: {published:?}");
        assert_eq!(published, live, "{filter}");
    }
    // Other programs believe what statistics say.
    let listing = shop.listing();
    let file = listing.keys().find(|name| name.starts_with("published/ratio/month=2026-02-01/")).expect("February");
    let file = std::fs::File::open(shop.project.path("warehouse").join(file)).expect("a file");
    let footer = ParquetRecordBatchReaderBuilder::try_new(file).expect("a footer");
    let columns = footer.metadata().row_group(0).columns().iter();
    let told = columns.filter(|column| column.statistics().is_some()).map(|column| column.column_path().string());
    assert_eq!(told.collect::<Vec<_>>(), ["payment_id", "_run_id"]);
    let found = verify(&engine, &["ratio".to_owned()], None, &|_| {}).await.expect("it verifies");
    assert!(found.iter().all(|found| found.verdict == Verdict::Same), "{found:?}");
}
