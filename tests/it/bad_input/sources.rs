//! Parquet that is not what the contract asks for, or no Parquet.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::company;
use crate::project::{Project, Table, answer, assert_says, cents, decimals, doubles, instants, integers, texts};

fn laid_out() -> Project {
    let project = Project::new();
    company::lay_out(&project);
    project
}

/// Replaces the deals by two files.
fn deals_in_two(first: &Table, second: &Table) -> Project {
    let project = laid_out();
    project.remove("crm/opportunities.parquet");
    project.parquet("crm/opportunities/one.parquet", first);
    project.parquet("crm/opportunities/two.parquet", second);
    project
}

#[tokio::test]
async fn a_column_missing_in_one_of_two_files_is_named() {
    let deals = company::opportunities();
    let second = deals.rows(1, 2).without("is_won").with("close_dat", texts(["", ""])).without("currency");
    let project = deals_in_two(&deals.rows(0, 1), &second.with("currncy", texts(["USD", "USD"])));
    assert_says(
        &project.fault().await,
        r#"Source: the sources do not hold what the contract asks for: 2 problems
  crm/opportunities/two.parquet: required column "currency" (text) is missing; hint: is it "currncy"?
  crm/opportunities/two.parquet: required column "is_won" (boolean) is missing"#,
    );
}

#[tokio::test]
async fn every_column_of_a_wrong_type_is_named_in_all_files_at_once() {
    let project = laid_out();
    project.parquet("campaign/spend.parquet", &company::spend().with("amount", texts(["120", "80", "25.5"])));
    let deals = company::opportunities().with("is_won", texts(["yes", "yes", "no"]));
    project.parquet("crm/opportunities.parquet", &deals.with("created_at", integers([1, 2, 3])));
    project.bytes("crm/contacts.parquet", b"");
    assert_says(
        &project.fault().await,
        r#"Source: the sources do not hold what the contract asks for: 4 problems
  campaign/spend.parquet: column "amount": expected decimal(18,2), found text
  crm/contacts.parquet: the file is empty (0 bytes)
  crm/opportunities.parquet: column "created_at": expected timestamp with time zone, found bigint
  crm/opportunities.parquet: column "is_won": expected boolean, found text"#,
    );
}

#[tokio::test]
async fn values_that_would_be_rounded_are_named_with_their_rows() {
    let project = laid_out();
    project.parquet("campaign/spend.parquet", &company::spend().with("amount", doubles([120.0, 12.345, 1e20])));
    let amounts = decimals([1_000_000, 5_000_101, 700_000], 38, 4);
    project.parquet("crm/opportunities.parquet", &company::opportunities().with("amount", amounts));
    let sql = "select sum(revenue) from attribution_by_channel";
    assert_says(
        &project.query_fault(sql).await,
        r#"Source: the sources do not hold what the contract asks for: 2 problems
  campaign/spend.parquet: column "amount" does not fit decimal(18,2) without loss in 2 rows, the first is 12.345 in row 2
  crm/opportunities.parquet: column "amount" does not fit decimal(18,2) without loss in 1 row, the first is 500.0101 in row 2"#,
    );
}

#[tokio::test]
async fn a_null_in_a_required_column_is_named_with_and_without_statistics() {
    let deals = company::opportunities().with("stage", texts(["won", "", ""]));
    let project = laid_out();
    project.parquet("crm/opportunities.parquet", &deals);
    project.parquet("crm/accounts.parquet", &company::accounts().with("created_at", instants(["", "", ""])));
    assert_says(
        &project.fault().await,
        r#"Source: the sources do not hold what the contract asks for: 2 problems
  crm/accounts.parquet: required column "created_at" is NULL in 3 rows
  crm/opportunities.parquet: required column "stage" is NULL in 2 rows"#,
    );
    let without = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
    let project = laid_out();
    project.bytes("crm/opportunities.parquet", &deals.parquet_with(without));
    assert_says(
        &project.query_fault("select count(*) from crm.opportunities").await,
        r#"Source: crm/opportunities.parquet: required column "stage" is NULL in 2 rows"#,
    );
}

#[tokio::test]
async fn a_required_column_of_nothing_is_named() {
    let project = laid_out();
    let nothing: ArrayRef = Arc::new(arrow::array::NullArray::new(3));
    project.parquet("crm/opportunities.parquet", &company::opportunities().with("stage", nothing));
    let fault = match project.open().await {
        Err(error) => project.described(&error),
        Ok(_) => project.query_fault("select stage from crm.opportunities").await,
    };
    assert_says(&fault, r#"Source: crm/opportunities.parquet: required column "stage" is NULL in 3 rows"#);
}

#[tokio::test]
async fn a_key_that_two_files_share_is_named() {
    let deals = company::opportunities();
    let project = deals_in_two(&deals, &deals.rows(1, 2));
    let sql = "select model, sum(credit) from attribution group by model";
    assert_says(
        &project.query_fault(sql).await,
        "Source: crm.opportunities: the key opportunity_id is not unique: o2 (2 rows); o3 (2 rows)",
    );
    let engine = project.open().await.expect("the project opens");
    assert!(answer(&engine, "select count(*) from campaign.spend").await.is_ok(), "other tables are good");
}

#[tokio::test]
async fn keys_and_values_are_named_together_over_all_tables_that_a_query_reads() {
    let project = laid_out();
    project.parquet("crm/accounts.parquet", &company::accounts().with("account_id", texts(["a1", "a1", "a1"])));
    let touches = company::touches().with("touch_id", texts(["t1", "t2", "t2", "t1", "t3"]));
    project.parquet("campaign/touches.parquet", &touches);
    project.parquet("campaign/spend.parquet", &company::spend().with("amount", doubles([0.001, 0.1, 0.2])));
    let fault = project.query_fault("select sum(revenue) from attribution_by_channel").await;
    assert_says(
        &fault,
        r#"Source: the sources do not hold what the contract asks for: 3 problems
  campaign/spend.parquet: column "amount" does not fit decimal(18,2) without loss in 1 row, the first is 0.001 in row 1
  campaign.touches: the key touch_id is not unique: t1 (2 rows); t2 (2 rows)
  crm.accounts: the key account_id is not unique: a1 (3 rows)"#,
    );
}

#[tokio::test]
async fn files_that_are_no_whole_parquet_are_all_named() {
    let project = laid_out();
    let whole = company::accounts().parquet();
    project.bytes("crm/accounts.parquet", &whole[..whole.len() - 20]);
    project.bytes("crm/contacts.parquet", &whole[..whole.len() / 2]);
    project.bytes("crm/opportunities.parquet", b"");
    project.text("billing/customers.parquet", "customer_id,account_id\nb1,a1\n");
    project.bytes("billing/subscriptions.parquet", b"PAR1");
    assert_says(
        &project.fault().await,
        r#"Source: the sources do not hold what the contract asks for: 5 problems
  billing/customers.parquet: not a Parquet file, or a truncated one (invalid Parquet file. Corrupt footer); hint: write the file again
  billing/subscriptions.parquet: not a Parquet file, or a truncated one (parquet files are at least 8 bytes long, but file length is 4); hint: write the file again
  crm/accounts.parquet: not a Parquet file, or a truncated one (invalid Parquet file. Corrupt footer); hint: write the file again
  crm/contacts.parquet: not a Parquet file, or a truncated one (invalid Parquet file. Corrupt footer); hint: write the file again
  crm/opportunities.parquet: the file is empty (0 bytes)"#,
    );
}

/// Returns enough rows of spend to fill pages.
fn much_spend() -> Table {
    const ROWS: usize = 20_000;
    let one = company::spend();
    let repeat = |name: &str| {
        let values = one.column(name);
        let places = arrow::array::UInt32Array::from_iter_values((0..ROWS).map(|row| (row % 3) as u32));
        arrow::compute::take(&values, &places, None).expect("rows")
    };
    let ids = StringArray::from_iter_values((0..ROWS).map(|row| format!("k{row}")));
    let table = ["spend_date", "channel", "amount", "currency"]
        .into_iter()
        .fold(Table::new(), |table, name| table.with(name, repeat(name)));
    table.with("campaign_id", Arc::new(ids))
}

#[tokio::test]
async fn garbage_in_the_data_is_an_error_and_never_a_part_of_an_answer() {
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        let project = laid_out();
        let properties =
            WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(5_000));
        let mut bytes = much_spend().parquet_with(properties.build());
        project.bytes("campaign/spend.parquet", &bytes);
        let engine = project.open().await.expect("the project opens");
        let sql = "select campaign_id, amount from campaign.spend";
        assert_eq!(answer(&engine, sql).await.expect("rows").len(), 20_000);
        // The data of the last of four row groups; what describes it stays as it is.
        let footer = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(bytes.clone())).expect("a footer");
        for column in footer.row_group(3).columns() {
            let (start, length) = column.byte_range();
            bytes[start as usize..(start + length) as usize].fill(0xFF);
        }
        project.bytes("campaign/spend.parquet", &bytes);
        assert_says(
            &project.query_fault(sql).await,
            r#"Source: a Parquet file of a source cannot be read: it is corrupt or was cut off
hint: topline check names the file"#,
        );
        assert_says(
            &project.query_fault("select sum(spend) from attribution_by_channel").await,
            r#"Source: a Parquet file of a source cannot be read: it is corrupt or was cut off
hint: topline check names the file"#,
        );
        let engine = project.open().await.expect("the footer is good");
        let error = engine.check_rows().await.expect_err("the data is corrupt");
        assert_says(
            &project.described(&error),
            "Source: campaign/spend.parquet: the data is corrupt; hint: write the file again",
        );
    }
}

#[tokio::test]
async fn a_folder_without_tables_is_named_with_what_was_expected() {
    let project = laid_out();
    std::fs::remove_dir_all(project.path("crm")).expect("the folder is there");
    std::fs::create_dir(project.path("crm")).expect("a free name");
    project.remove("finance/fx_rates.parquet");
    project.parquet("finance/fx_rate.parquet", &company::fx_rates());
    project.parquet("finance/budget.parquet", &company::fx_rates());
    assert_says(
        &project.fault().await,
        r#"Source: the sources do not hold what the contract asks for: 2 problems
  source "crm": the location holds no table of the contract; expected accounts.parquet, contacts.parquet, leads.parquet, opportunities.parquet, opportunity_contacts.parquet, opportunity_history.parquet, stages.parquet or folders of these names, found no Parquet file
  source "finance": the location holds no table of the contract; expected costs.parquet, fx_rates.parquet, gross_margin.parquet, headcount.parquet, targets.parquet or folders of these names, found budget, fx_rate"#,
    );
}

#[tokio::test]
async fn raw_files_whose_types_contradict_are_named() {
    let project = Project::new();
    project.text("topline.toml", "[sources.shop]\nconnector = \"raw\"\nlocation = \"shop\"\n");
    project.parquet("shop/orders/a.parquet", &Table::new().with("id", integers([1])).with("total", cents([100])));
    let second = Table::new().with("id", texts(["x"])).with("total", texts(["1.00"]));
    project.parquet("shop/orders/b.parquet", &second);
    project.text("shop/customers.parquet", "none");
    assert_says(
        &project.fault().await,
        r#"Source: the sources do not hold what the contract asks for: 3 problems
  shop/customers.parquet: not a Parquet file, or a truncated one (parquet files are at least 8 bytes long, but file length is 4); hint: write the file again
  shop/orders/b.parquet: column "id" is text here and bigint in other files of the table
  shop/orders/b.parquet: column "total" is text here and decimal(18,2) in other files of the table"#,
    );
}

#[tokio::test]
async fn a_partition_value_that_is_no_value_of_its_column_is_named() {
    let project = laid_out();
    project.remove("campaign/spend.parquet");
    let spend = company::spend().without("channel").without("spend_date").rows(0, 1);
    project.parquet("campaign/spend/channel=ads/spend_date=january/x.parquet", &spend);
    let nothing = "campaign/spend/channel=__HIVE_DEFAULT_PARTITION__/spend_date=2026-01-01/x.parquet";
    project.parquet(nothing, &spend);
    assert_says(
        &project.fault().await,
        r#"Source: the sources do not hold what the contract asks for: 2 problems
  campaign/spend/channel=__HIVE_DEFAULT_PARTITION__/spend_date=2026-01-01/x.parquet: required column "channel" is NULL by its path
  campaign/spend/channel=ads/spend_date=january/x.parquet: "january" is no value of column "spend_date": expected date"#,
    );
}

#[tokio::test]
async fn a_partition_key_counts_in_each_file_that_lacks_the_column() {
    let project = laid_out();
    project.remove("campaign/spend.parquet");
    let spend = company::spend();
    project.parquet("campaign/spend/a.parquet", &spend.rows(0, 1));
    project.parquet("campaign/spend/channel=email/b.parquet", &spend.rows(1, 1).without("channel"));
    project.parquet("campaign/spend/channel=mail/platform=post/c.parquet", &spend.rows(2, 1).without("channel"));
    let engine = project.open().await.expect("the project opens");
    let rows = answer(&engine, "select spend_date, channel, platform from campaign.spend order by 1").await;
    assert_eq!(rows.expect("rows"), ["2026-01-10 | ads | ", "2026-02-10 | email | ", "2026-03-10 | mail | post"]);
}
