//! Which months are computed: those that a change touches, and those alone where a view says which.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use chrono::{DateTime, Datelike};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use topline::catalog::TableId;
use topline::engine::Engine;
use topline::publish::{Months, Outcome, materialize};
use topline::sample::{SampleOptions, write_sample};

use super::{PAID, PAID_SIDECAR, Shop, due, publish, rows, with_outcome};
use crate::project::{Project, cents, dates, texts};

/// What the sidecar of the metric of payments says of its reach.
pub const REACH: &str = "\n[reach]\n\"billing.payments\" = { by = [\"paid_at\"] }\n\n[[checks]]";

/// Returns a shop whose own metric says how far payments reach.
fn shop_that_says() -> Shop {
    let shop = Shop::new();
    shop.project.text("models/metrics/paid.toml", &PAID_SIDECAR.replace("\n[[checks]]", REACH));
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn only_months_that_a_late_file_touches_are_computed_where_the_view_says_which() {
    let shop = Shop::new();
    publish(&shop.open().await, &PAID).await;
    shop.pay_late(5_000);
    let engine = shop.open().await;
    let computed = |report: &topline::publish::Report, metric: &str| report.computed[metric].clone();
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(
        computed(&report, "paid"),
        "all: \"metrics.paid\" does not say which months \"billing.payments\" touches"
    );
    let shop = shop_that_says();
    let engine = shop.open().await;
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(computed(&report, "paid"), "all: published for the first time");
    shop.pay_late(5_000);
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(computed(&report, "paid"), "2026-02");
    assert_eq!(with_outcome(&report, |_| true), ["paid 2026-02"]);
    let said = "select computed from meta.runs order by version";
    assert_eq!(rows(&engine, said).await, ["paid: all: published for the first time", "paid: 2026-02"]);
    // Before the first month, which others may be filled up from.
    let early = super::payments(["p0"], ["2025-11-20T10:00:00Z"]).with("amount", cents([100]));
    shop.project.parquet("billing/payments/early.parquet", &early);
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(computed(&report, "paid"), "all: billing.payments changed in the first month or before it");
    // After as_of, and of a table that the metric does not read: nothing to compute.
    let future = super::payments(["p9"], ["2026-04-20T10:00:00Z"]).with("amount", cents([100]));
    shop.project.parquet("billing/payments/future.parquet", &future);
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(computed(&report, "paid"), "none");
    let costs = crate::project::Table::new()
        .with("month", dates(["2026-02-01"]))
        .with("department", texts(["sales"]))
        .with("category", texts(["people"]))
        .with("amount", cents([100]))
        .with("currency", texts(["USD"]));
    shop.project.parquet("finance/costs.parquet", &costs);
    let report = publish(&shop.open().await, &["paid"]).await;
    assert_eq!((computed(&report, "paid").as_str(), report.version), ("none", None));
    // It becomes due with the instant at which it is looked at.
    let engine = shop.open_with(&[("TOPLINE_REPORTING_AS_OF", "2026-05-01T00:00:00Z")]).await;
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(computed(&report, "paid"), "2026-04");
    assert_eq!(with_outcome(&report, |outcome| *outcome == Outcome::New), ["paid 2026-04"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_tell_its_time_touches_all_months() {
    let shop = shop_that_says();
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    let late = super::payments(["p4"], ["2026-02-20T10:00:00Z"]).with("amount", cents([100]));
    let none = parquet::file::properties::EnabledStatistics::None;
    let properties = parquet::file::properties::WriterProperties::builder().set_statistics_enabled(none).build();
    shop.project.bytes("billing/payments/late.parquet", &late.parquet_with(properties));
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(
        report.computed["paid"],
        "all: the footer of billing/payments/late.parquet does not say from when to when paid_at is"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_was_computed_by_itself_is_computed_again() {
    let shop = shop_that_says();
    let engine = shop.open().await;
    publish(&engine, &["paid"]).await;
    // February with a late payment, which goes away before the other months are computed: no file is another than before.
    shop.pay_late(5_000);
    let mut february = due(&["paid"]);
    february.months = Months::Between("2026-02".parse().expect("a month"), "2026-02".parse().expect("a month"));
    materialize(&engine, &february, &|_| {}).await.expect("it publishes");
    shop.project.remove("billing/payments/late.parquet");
    let report = publish(&engine, &["paid"]).await;
    assert_eq!(report.computed["paid"], "2026-02");
    assert_eq!(rows(&engine, "select paid from published.paid").await, ["100.00", "100.00", "100.00"]);
}

/// Tables whose rows are laid into a file for each month of a column.
const BY_MONTH: [(&str, &str); 18] = [
    ("campaign/touches", "touched_at"),
    ("campaign/spend", "spend_date"),
    ("billing/customers", "created_at"),
    ("billing/invoices", "issued_at"),
    ("billing/payments", "paid_at"),
    ("billing/refunds", "refunded_at"),
    ("billing/subscriptions", "started_at"),
    ("billing/subscription_items", "effective_from"),
    ("crm/accounts", "created_at"),
    ("crm/contacts", "created_at"),
    ("crm/leads", "created_at"),
    ("crm/opportunities", "created_at"),
    ("crm/opportunity_history", "changed_at"),
    ("finance/costs", "month"),
    ("finance/fx_rates", "rate_date"),
    ("finance/gross_margin", "month"),
    ("finance/headcount", "month"),
    ("finance/targets", "month"),
];

/// The last month of the company.
const LAST: &str = "2026-10";

/// A synthetic company whose files come, go and change.
pub(super) struct Company {
    pub(super) project: Project,
    /// The rows of each file.
    files: BTreeMap<PathBuf, RecordBatch>,
    dice: SmallRng,
}

impl Company {
    pub(super) fn new(seed: u64) -> Self {
        let project = Project::new();
        let options = SampleOptions { accounts: 25, months: 7, seed };
        write_sample(&options, &project.path(""), &mut |_, _| {}).expect("a company");
        let configuration = std::fs::read_to_string(project.path("topline.toml")).expect("a configuration");
        project.text("topline.toml", &format!("{configuration}\n[warehouse]\nlocation = \"warehouse\"\n"));
        let mut company = Self { project, files: BTreeMap::new(), dice: SmallRng::seed_from_u64(seed) };
        for (table, column) in BY_MONTH {
            company.divide(table, column);
        }
        company
    }

    /// Lays the rows of a table into a file for each month.
    fn divide(&mut self, table: &str, column: &str) {
        let whole = self.project.path(&format!("{table}.parquet"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&whole).expect("a table"));
        let mut months: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
        for batch in reader.and_then(|reader| reader.build()).expect("a reader") {
            let batch = batch.expect("rows");
            let mut places: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            for row in 0..batch.num_rows() {
                let place = u32::try_from(row).expect("few rows");
                places.entry(month_of(&batch, column, row)).or_default().push(place);
            }
            for (month, places) in places {
                let rows = take_record_batch(&batch, &UInt32Array::from(places)).expect("rows of a month");
                months.entry(month).or_default().push(rows);
            }
        }
        std::fs::remove_file(&whole).expect("it is there");
        std::fs::create_dir_all(self.project.path(table)).expect("a folder");
        for (month, batches) in months {
            let rows = arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("rows of one table");
            let path = self.project.path(&format!("{table}/{month}.parquet"));
            write(&path, &rows);
            self.files.insert(path, rows);
        }
    }

    /// Takes a file away or brings it back, with all of its rows or some of them. A table keeps a file.
    fn change(&mut self) {
        let (table, _) = *BY_MONTH.choose(&mut self.dice).expect("tables");
        let folder = self.project.path(table);
        let paths: Vec<PathBuf> = self.files.keys().filter(|path| path.starts_with(&folder)).cloned().collect();
        let path = paths.choose(&mut self.dice).expect("a file of the table");
        let others = paths.iter().filter(|other| *other != path && other.exists()).count();
        match self.dice.random_range(0..3) {
            0 if path.exists() && others > 0 => std::fs::remove_file(path).expect("it is there"),
            1 => write(path, &self.files[path]),
            _ => {
                let rows = &self.files[path];
                let count = u32::try_from(rows.num_rows()).expect("few rows");
                let kept: Vec<u32> = (0..count).filter(|_| self.dice.random_bool(0.5)).collect();
                write(path, &take_record_batch(rows, &UInt32Array::from(kept)).expect("some rows"));
            }
        }
    }

    pub(super) async fn open(&self, as_of: &str) -> Engine {
        let config = self.project.config(&[("TOPLINE_REPORTING_AS_OF", as_of)]).expect("a right configuration");
        Engine::open(config).await.expect("the company opens")
    }
}

fn write(path: &PathBuf, rows: &RecordBatch) {
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).expect("a writer");
    writer.write(rows).expect("it writes");
    writer.close().expect("it ends");
}

fn month_of(rows: &RecordBatch, column: &str, row: usize) -> String {
    let values = rows.column_by_name(column).expect("a column of the table");
    let instant = match values.data_type() {
        DataType::Date32 => {
            DateTime::from_timestamp(i64::from(values.as_primitive::<Date32Type>().value(row)) * 86_400, 0)
        }
        _ => DateTime::from_timestamp_micros(values.as_primitive::<TimestampMicrosecondType>().value(row)),
    };
    let date = instant.expect("an instant").date_naive();
    let month = format!("{:04}-{:02}", date.year(), date.month());
    // What is long before is of one file with what is just before.
    month.clamp("2026-02".to_owned(), "2026-12".to_owned())
}

/// Returns the rows of a metric, its doubles rounded: those of months that did not change have the digits of older sums.
pub(super) async fn rounded(engine: &Engine, schema: &str, metric: &str, filter: &str) -> Vec<String> {
    let id = TableId { schema: "metrics".to_owned(), name: metric.to_owned() };
    let listing = engine.table(&id).await.expect("a metric");
    let columns: Vec<String> = listing
        .schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Float64 => format!("round(\"{}\", 6) + 0.0", field.name()),
            _ => format!("\"{}\"", field.name()),
        })
        .collect();
    let mut found = rows(engine, &format!("select {} from {schema}.\"{metric}\"{filter}", columns.join(", "))).await;
    found.sort();
    found
}

/// Publishes what is due after changes at random and holds every metric against what it is when it is computed anew.
///
/// Returns how often some months alone were computed, and how often none.
async fn publishes_what_is_so(seed: u64, steps: u64) -> (usize, usize) {
    let mut company = Company::new(seed);
    let mut as_of: DateTime<chrono::Utc> = format!("{LAST}-03T00:00:00Z").parse().expect("an instant");
    as_of -= chrono::Duration::days(100);
    let (mut narrow, mut none) = (0, 0);
    for step in 0..=steps {
        for _ in 0..if step == 0 { 25 } else { company.dice.random_range(0..3) } {
            company.change();
        }
        if company.dice.random_bool(0.4) {
            as_of += chrono::Duration::hours(company.dice.random_range(1..24 * 25));
        }
        let engine = company.open(&as_of.to_rfc3339()).await;
        let report = publish(&engine, &[]).await;
        assert!(report.broken.is_empty(), "seed {seed}, step {step}: {:?}", report.broken);
        for metric in report.metrics.keys() {
            let id = TableId { schema: "metrics".to_owned(), name: metric.clone() };
            let sidecar = &engine.models().get(&id).expect("a metric").sidecar;
            let month = match (&sidecar.publish, &sidecar.period) {
                (Some(publish), _) => Some(publish.month.clone()),
                (None, period) => period.as_ref().map(|period| format!("month_of(\"{period}\")")),
            };
            // A week may have ended where its month has not.
            let current = as_of.format("%Y-%m-01");
            let filter = month.map(|month| format!(" where is_complete and {month} < date '{current}'"));
            let filter = filter.unwrap_or_default();
            let published = rounded(&engine, "published", metric, &filter).await;
            let live = rounded(&engine, "metrics", metric, &filter).await;
            let computed = &report.computed[metric];
            assert_eq!(published, live, "seed {seed}, step {step}: {metric}, computed {computed}");
            narrow += usize::from(computed.starts_with("20"));
            none += usize::from(computed == "none");
        }
    }
    (narrow, none)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_change_what_is_published_is_what_computing_everything_gives() {
    let (narrow, none) = publishes_what_is_so(5, 3).await;
    assert!(narrow > 5 && none > 5, "{narrow} times some months, {none} times none");
}
