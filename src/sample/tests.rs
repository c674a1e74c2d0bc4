//! Tests of the whole sample: same bytes for the same options, keys, references, and every edge case at 300 accounts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::sync::LazyLock;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::*;

mod edges;

const SMALL: SampleOptions = SampleOptions { accounts: 300, months: 30, seed: 7 };

type Row = HashMap<String, String>;

/// A sample in memory; NULL is an absent entry of a row.
struct Loaded {
    folder: TempDir,
    summary: SampleSummary,
    tables: BTreeMap<String, Vec<Row>>,
}

static SAMPLE: LazyLock<Loaded> = LazyLock::new(|| load(&SMALL));

fn write(options: &SampleOptions) -> (TempDir, SampleSummary) {
    let folder = tempfile::tempdir().unwrap();
    let summary = write_sample(options, folder.path(), &mut |_, _| {}).unwrap();
    (folder, summary)
}

fn load(options: &SampleOptions) -> Loaded {
    let (folder, summary) = write(options);
    let read = |table: &SampleTable| (table.name.clone(), read(&folder.path().join(format!("{}.parquet", table.name))));
    let tables = summary.tables.iter().map(read).collect();
    Loaded { folder, summary, tables }
}

fn read(path: &Path) -> Vec<Row> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let options = FormatOptions::default();
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for place in 0..batch.num_rows() {
            let value = |(column, field): (usize, &arrow::datatypes::FieldRef)| {
                let is_valid = batch.column(column).is_valid(place);
                is_valid.then(|| (field.name().clone(), columns[column].value(place).to_string()))
            };
            rows.push(batch.schema_ref().fields().iter().enumerate().filter_map(value).collect());
        }
    }
    rows
}

fn rows(table: &str) -> &'static [Row] {
    &SAMPLE.tables[table]
}

fn get<'row>(row: &'row Row, column: &str) -> &'row str {
    row.get(column).map_or("", String::as_str)
}

fn micros(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

/// Returns the values of a column, without NULL.
fn values(table: &str, column: &str) -> HashSet<&'static str> {
    rows(table).iter().map(|row| get(row, column)).filter(|value| !value.is_empty()).collect()
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let (again, summary) = write(&SMALL);
    assert_eq!(summary, SAMPLE.summary);
    for table in &summary.tables {
        let name = format!("{}.parquet", table.name);
        let read = |folder: &TempDir| fs::read(folder.path().join(&name)).unwrap();
        assert!(read(&again) == read(&SAMPLE.folder), "{name} differs");
    }
    let (other, _) = write(&SampleOptions { seed: 8, ..SMALL });
    let touches = |folder: &TempDir| fs::read(folder.path().join("campaign/touches.parquet")).unwrap();
    assert!(touches(&other) != touches(&SAMPLE.folder));
}

#[test]
fn the_small_sample_is_small_and_whole() {
    let bytes: u64 = SAMPLE.summary.tables.iter().map(|table| table.bytes).sum();
    assert!(bytes < 2_000_000, "{bytes}");
    assert_eq!(SAMPLE.summary.tables.len(), 21);
    for table in &SAMPLE.summary.tables {
        assert!(table.rows > 0, "{} is empty", table.name);
        assert_eq!(table.rows, SAMPLE.tables[&table.name].len() as u64, "{}", table.name);
    }
    let touches = rows("campaign/touches").len();
    assert!((12_000..=14_000).contains(&touches), "{touches}");
    let config = fs::read_to_string(SAMPLE.folder.path().join("topline.toml")).unwrap();
    assert!(config.contains("as_of = \"2026-11-01T00:00:00Z\""));
}

#[test]
fn the_columns_are_those_of_the_contract() {
    for table in [&schema::ACCOUNTS, &schema::SUBSCRIPTION_ITEMS, &schema::TOUCHES, &schema::FX_RATES] {
        let path = SAMPLE.folder.path().join(format!("{}/{}.parquet", table.schema, table.name));
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        assert_eq!(reader.schema().fields(), table.arrow_schema().fields());
        assert_eq!(reader.metadata().file_metadata().created_by(), Some("topline sample"));
    }
}

#[test]
fn keys_are_unique() {
    let keys: [(&str, &[&str]); 16] = [
        ("crm/accounts", &["account_id"]),
        ("crm/contacts", &["contact_id"]),
        ("crm/leads", &["lead_id"]),
        ("crm/opportunities", &["opportunity_id"]),
        ("crm/opportunity_history", &["opportunity_id", "changed_at"]),
        ("crm/opportunity_contacts", &["opportunity_id", "contact_id"]),
        ("billing/customers", &["customer_id"]),
        ("billing/subscriptions", &["subscription_id"]),
        ("billing/subscription_items", &["item_id"]),
        ("billing/invoices", &["invoice_id"]),
        ("billing/payments", &["payment_id"]),
        ("billing/refunds", &["refund_id"]),
        ("campaign/touches", &["touch_id"]),
        ("finance/fx_rates", &["currency", "rate_date"]),
        ("finance/headcount", &["month"]),
        ("finance/targets", &["metric", "month", "segment"]),
    ];
    for (table, columns) in keys {
        let mut seen = HashSet::new();
        for row in rows(table) {
            let key: Vec<_> = columns.iter().map(|column| get(row, column)).collect();
            assert!(seen.insert(key.clone()), "{table}: {key:?}");
        }
    }
}

#[test]
fn references_hold_but_for_the_planted_orphans() {
    let references = [
        ("crm/contacts", "account_id", "crm/accounts", 0),
        ("crm/leads", "converted_account_id", "crm/accounts", 0),
        ("crm/leads", "converted_contact_id", "crm/contacts", 0),
        ("crm/leads", "converted_opportunity_id", "crm/opportunities", 0),
        ("crm/opportunities", "account_id", "crm/accounts", 1),
        ("crm/opportunities", "campaign_id", "campaign/campaigns", 0),
        ("crm/opportunity_history", "opportunity_id", "crm/opportunities", 0),
        ("crm/opportunity_contacts", "contact_id", "crm/contacts", 0),
        ("billing/customers", "account_id", "crm/accounts", 0),
        ("billing/subscriptions", "customer_id", "billing/customers", 2),
        ("billing/subscription_items", "subscription_id", "billing/subscriptions", 0),
        ("billing/invoices", "customer_id", "billing/customers", 2),
        ("billing/invoices", "subscription_id", "billing/subscriptions", 0),
        ("billing/payments", "customer_id", "billing/customers", 2),
        ("billing/payments", "invoice_id", "billing/invoices", 0),
        ("billing/refunds", "payment_id", "billing/payments", 0),
        ("campaign/spend", "campaign_id", "campaign/campaigns", 0),
        ("campaign/touches", "campaign_id", "campaign/campaigns", 0),
        ("campaign/touches", "account_id", "crm/accounts", 0),
        ("campaign/touches", "contact_id", "crm/contacts", 0),
        ("campaign/touches", "lead_id", "crm/leads", 0),
    ];
    for (table, column, other, orphans) in references {
        let key = match other {
            "crm/accounts" => "account_id",
            "crm/contacts" => "contact_id",
            "crm/leads" => "lead_id",
            "crm/opportunities" => "opportunity_id",
            "campaign/campaigns" => "campaign_id",
            "billing/customers" => "customer_id",
            "billing/subscriptions" => "subscription_id",
            "billing/invoices" => "invoice_id",
            _ => "payment_id",
        };
        let unknown = values(table, column).difference(&values(other, key)).count();
        assert_eq!(unknown, orphans, "{table}.{column}");
    }
}

#[test]
fn touches_are_in_the_order_of_time_and_not_of_ids() {
    let touches = rows("campaign/touches");
    let order: Vec<_> = touches.iter().map(|row| (micros(get(row, "touched_at")), get(row, "touch_id"))).collect();
    assert!(order.is_sorted());
    assert!(order.windows(2).any(|pair| pair[0].0 == pair[1].0), "no two touches at one instant");
    let by_account = |account: &str| order.iter().map(|(_, id)| *id).filter(|id| id.starts_with(account)).collect();
    let ids: Vec<&str> = by_account(&order[0].1[..8]);
    assert!(!ids.is_sorted());
}

#[test]
fn the_smallest_and_a_short_company_can_be_made() {
    for seed in 0..8 {
        let smallest = load(&SampleOptions { accounts: 1, months: 1, seed });
        assert_eq!(smallest.tables["crm/accounts"].len(), 1);
    }
    let short = load(&SampleOptions { accounts: 150, months: 1, seed: 3 });
    assert_eq!(short.tables["crm/accounts"].len(), 150);
    assert!(short.tables["campaign/touches"].iter().all(|row| get(row, "touched_at") >= "2026-10-01"));
}

#[test]
fn a_long_history_has_facts_on_the_leap_day() {
    let long = load(&SampleOptions { accounts: 150, months: 36, seed: 7 });
    for (table, column) in [
        ("campaign/touches", "touched_at"),
        ("crm/opportunities", "closed_at"),
        ("billing/invoices", "issued_at"),
        ("billing/subscription_items", "effective_from"),
        ("campaign/spend", "spend_date"),
    ] {
        let is_leap = |row: &Row| get(row, column).starts_with("2024-02-29");
        assert!(long.tables[table].iter().any(is_leap), "{table}");
    }
}

#[test]
fn what_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("billing")).unwrap();
    let error = write_sample(&SMALL, folder.path(), &mut |_, _| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains("\"billing\"") && error.hint().is_some());
    assert!(!folder.path().join("crm").exists());
}

#[test]
fn options_out_of_bounds_are_refused_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for (accounts, months, count) in [(0, 30, 1), (10_000_001, 30, 1), (1, 0, 1), (1, 241, 1), (0, 0, 2)] {
        let options = SampleOptions { accounts, months, seed: 7 };
        let error = write_sample(&options, folder.path(), &mut |_, _| {}).unwrap_err();
        assert_eq!((error.kind(), error.hint().is_some()), (ErrorKind::Argument, true));
        assert_eq!(error.message().matches("expected").count(), count, "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn progress_ends_where_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut reports = Vec::new();
    let options = SampleOptions { accounts: 400, months: 12, seed: 1 };
    write_sample(&options, folder.path(), &mut |done, total| reports.push((done, total))).unwrap();
    let (done, total) = *reports.last().unwrap();
    assert_eq!(done, total);
    assert!(reports.is_sorted() && reports.iter().all(|report| report.1 == total));
}
