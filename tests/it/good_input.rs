//! Other legal forms of the same rows give the same answers as the plain form.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, NullArray};
use arrow::datatypes::{DataType, TimeUnit};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::company::{self, QUESTIONS};
use crate::project::{Project, Table, answer, cast, decimals, doubles, integers, texts};

async fn answers(project: &Project) -> Vec<Vec<String>> {
    let engine = project.open().await.expect("the project opens");
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(answer(&engine, question).await.expect("an answer"));
    }
    answers
}

async fn plain_answers() -> Vec<Vec<String>> {
    let project = Project::new();
    company::lay_out(&project);
    let answers = answers(&project).await;
    assert!(answers.iter().all(|rows| rows.len() >= 3), "{answers:?}");
    answers
}

/// Returns the rows of a source table, ordered, after its file was written as `table`.
async fn rows_as(file: &str, table: &Table) -> Vec<String> {
    let project = Project::new();
    company::lay_out(&project);
    project.parquet(file, table);
    rows_of(&project, file).await
}

async fn rows_of(project: &Project, file: &str) -> Vec<String> {
    let name = file.trim_end_matches(".parquet").replace('/', ".");
    let engine = project.open().await.expect("the project opens");
    answer(&engine, &format!("select * from {name} order by 1, 2")).await.expect("rows")
}

fn converted(table: Table, columns: &[&str], kind: &DataType) -> Table {
    columns.iter().fold(table, |table, column| {
        let values = cast(&table.column(column), kind);
        table.with(column, values)
    })
}

fn dictionary(values: &ArrayRef) -> ArrayRef {
    cast(values, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)))
}

fn forms() -> Vec<(&'static str, &'static str, Table)> {
    let timestamp = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
    let in_texts = ["account_id", "name", "domain", "segment"];
    let accounts = |kind: &DataType| converted(company::accounts(), &in_texts, kind);
    let created = |kind: &DataType| converted(company::accounts(), &["created_at"], kind);
    let accounts_file = "crm/accounts.parquet";
    let dictionaries = in_texts.iter().fold(company::accounts(), |table, column| {
        let values = dictionary(&table.column(column));
        table.with(column, values)
    });
    let items = company::subscription_items;
    let items_file = "billing/subscription_items.parquet";
    vec![
        ("large texts", accounts_file, accounts(&DataType::LargeUtf8)),
        ("text views", accounts_file, accounts(&DataType::Utf8View)),
        ("dictionaries", accounts_file, dictionaries),
        ("seconds", accounts_file, created(&timestamp(TimeUnit::Second, None))),
        ("seconds in UTC", accounts_file, created(&timestamp(TimeUnit::Second, Some("UTC")))),
        ("milliseconds", accounts_file, created(&timestamp(TimeUnit::Millisecond, None))),
        ("milliseconds in UTC", accounts_file, created(&timestamp(TimeUnit::Millisecond, Some("+00:00")))),
        ("microseconds", accounts_file, created(&timestamp(TimeUnit::Microsecond, None))),
        ("nanoseconds", accounts_file, created(&timestamp(TimeUnit::Nanosecond, None))),
        ("another zone", accounts_file, created(&timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin")))),
        ("small integers", accounts_file, converted(company::accounts(), &["employee_count"], &DataType::Int32)),
        ("unsigned integers", accounts_file, converted(company::accounts(), &["employee_count"], &DataType::UInt16)),
        ("whole doubles", accounts_file, converted(company::accounts(), &["employee_count"], &DataType::Float64)),
        ("another order", accounts_file, company::accounts().reversed()),
        ("an unknown column", accounts_file, company::accounts().with("sfdc_note", texts(["x", "", "y"]))),
        ("a column of nothing", accounts_file, company::accounts().with("country", Arc::new(NullArray::new(3)))),
        ("wide decimals", "campaign/spend.parquet", {
            company::spend().with("amount", decimals([1_200_000, 800_000, 255_000], 38, 4))
        }),
        ("doubles", "campaign/spend.parquet", company::spend().with("amount", doubles([120.0, 80.0, 25.5]))),
        ("floats", "campaign/spend.parquet", converted(company::spend(), &["amount"], &DataType::Float32)),
        ("small decimals", items_file, items().with("quantity", decimals([10, 14, 1], 9, 0))),
        ("whole numbers", items_file, items().with("quantity", integers([10, 14, 1]))),
        ("rates in doubles", "finance/fx_rates.parquet", company::fx_rates().with("rate", doubles([1.1, 1.25]))),
        (
            "dates with a time",
            "campaign/spend.parquet",
            converted(company::spend(), &["spend_date"], &DataType::Date64),
        ),
        ("chances in decimals", "crm/opportunities.parquet", {
            company::opportunities().with("probability", decimals([100, 100, 50], 5, 2))
        }),
    ]
}

#[tokio::test]
async fn each_form_of_a_column_reads_as_the_plain_one() {
    let mut plain: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (file, table) in company::tables() {
        if forms().iter().any(|(_, of_form, _)| *of_form == file) {
            plain.insert(file, rows_as(file, &table).await);
        }
    }
    for (form, file, table) in forms() {
        assert_eq!(rows_as(file, &table).await, plain[file], "{form} in {file}");
    }
}

#[tokio::test]
async fn metrics_are_the_same_whatever_the_form() {
    let project = Project::new();
    company::lay_out(&project);
    for (file, table) in company::tables() {
        project.parquet(file, &table.reversed());
    }
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let seconds = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
    let touches = converted(company::touches(), &["touched_at"], &nanoseconds);
    let channel = dictionary(&touches.column("channel"));
    project.parquet("campaign/touches.parquet", &touches.with("channel", channel));
    project.parquet("campaign/spend.parquet", &company::spend().with("amount", doubles([120.0, 80.0, 25.5])));
    let deals = converted(company::opportunities(), &["created_at", "closed_at"], &seconds);
    let deals = deals.with("amount", decimals([10_000_000, 5_000_100, 700_000], 38, 4));
    project.parquet("crm/opportunities.parquet", &deals.reversed());
    let items = company::subscription_items().with("unit_amount", doubles([9.5, 9.5, 600.0]));
    let items = items.with("quantity", integers([10, 14, 1]));
    project.parquet("billing/subscription_items.parquet", &converted(items, &["interval_count"], &DataType::Int8));
    assert_eq!(answers(&project).await, plain_answers().await);
}

#[tokio::test]
async fn columns_in_another_order_and_type_in_a_second_file_do_not_mix() {
    let project = Project::new();
    company::lay_out(&project);
    project.remove("crm/opportunities.parquet");
    let deals = company::opportunities();
    project.parquet("crm/opportunities/one.parquet", &deals.rows(0, 1));
    let second = converted(deals.rows(1, 2).reversed(), &["amount", "probability"], &DataType::Float64);
    let second = converted(second, &["opportunity_id", "stage"], &DataType::LargeUtf8).without("close_date");
    project.parquet("crm/opportunities/deeper/two.parquet", &second);
    project.parquet("crm/opportunities/empty.parquet", &deals.rows(0, 0));
    assert_eq!(answers(&project).await, plain_answers().await);
}

#[tokio::test]
async fn a_partition_key_is_a_column_where_no_file_has_it() {
    let project = Project::new();
    company::lay_out(&project);
    project.remove("campaign/spend.parquet");
    project.remove("campaign/touches.parquet");
    let spend = company::spend().without("channel");
    project.parquet("campaign/spend/channel=ads/part-0.parquet", &spend.rows(0, 2));
    project.parquet("campaign/spend/channel=email/part-0.parquet", &spend.rows(2, 1));
    let touches = company::touches();
    project.parquet("campaign/touches/month=2026-01/x.parquet", &touches.rows(0, 2));
    project.parquet("campaign/touches/month=2026-02/x.parquet", &touches.rows(2, 3));
    assert_eq!(answers(&project).await, plain_answers().await);
}

#[tokio::test]
async fn a_partition_value_is_read_as_a_text_should_be() {
    let project = Project::new();
    company::lay_out(&project);
    project.remove("campaign/spend.parquet");
    let spend = company::spend().without("channel").without("spend_date").rows(0, 1);
    project.parquet("campaign/spend/channel=paid%20search%2Fbrand/spend_date=2026-01-10/x.parquet", &spend);
    let engine = project.open().await.expect("the project opens");
    let rows = answer(&engine, "select channel, spend_date, amount from campaign.spend").await.expect("rows");
    assert_eq!(rows, ["paid search/brand | 2026-01-10 | 120.00"]);
}

#[tokio::test]
async fn hidden_files_are_work_in_progress() {
    let project = Project::new();
    company::lay_out(&project);
    project.text("crm/_tmp/accounts.parquet", "half a file");
    project.text("crm/.accounts.parquet", "half a file");
    project.remove("crm/accounts.parquet");
    project.parquet("crm/accounts/one.parquet", &company::accounts());
    project.text("crm/accounts/_tmp/two.parquet", "half a file");
    project.text("crm/accounts/.x.parquet", "half a file");
    project.text("crm/accounts/_SUCCESS", "");
    project.text("crm/README.md", "no table");
    assert_eq!(answers(&project).await, plain_answers().await);
}

#[tokio::test]
async fn a_table_without_rows_is_an_empty_table() {
    let project = Project::new();
    company::lay_out(&project);
    project.parquet("crm/contacts.parquet", &company::contacts().rows(0, 0));
    let engine = project.open().await.expect("the project opens");
    assert_eq!(answer(&engine, "select count(*) from crm.contacts").await.expect("a count"), ["0"]);
    assert_eq!(answer(&engine, "select distinct model from attribution").await.expect("models").len(), 10);
}

#[tokio::test]
async fn a_file_without_statistics_is_read_as_one_with_them() {
    let project = Project::new();
    company::lay_out(&project);
    let without = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
    for (file, table) in company::tables() {
        project.bytes(file, &table.parquet_with(without.clone()));
    }
    assert_eq!(answers(&project).await, plain_answers().await);
}

#[tokio::test]
async fn the_company_earns_what_it_earns() {
    // Deal o1 is 1,000.00 USD; o2 500.01 EUR at the rate of 1 March, 1.25: 625.0125, rounded to 625.01.
    let answers = plain_answers().await;
    let of_linear: Vec<_> = answers[0].iter().filter(|row| row.contains("| linear |")).collect();
    let credit: Vec<_> = of_linear.iter().map(|row| row.split(" | ").nth(12).expect("a credit")).collect();
    assert_eq!(credit, ["333.33", "333.34", "333.33", "312.51", "312.50"]);
    // 10 seats at 9.50 and 600 EUR a year at 1.10 in January; 14 seats in February; s2 ends in March.
    assert_eq!(
        answers[3],
        [
            "2026-01-01 | a1 | smb | 0.00 | new | 95.00 | 0.00 | 95.00 | true",
            "2026-01-01 | a2 | enterprise | 0.00 | new | 55.00 | 0.00 | 55.00 | true",
            "2026-02-01 | a1 | smb | 95.00 | expansion | 38.00 | 0.00 | 133.00 | true",
            "2026-02-01 | a2 | enterprise | 55.00 | none | 0.00 | 0.00 | 55.00 | true",
            "2026-03-01 | a1 | smb | 133.00 | none | 0.00 | 0.00 | 133.00 | true",
            "2026-03-01 | a2 | enterprise | 55.00 | churn | -62.50 | 7.50 | 0.00 | true",
        ]
    );
}
