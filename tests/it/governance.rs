//! Where figures come from, and how new that is.

use std::path::Path;

use topline::engine::Engine;

use crate::company;
use crate::project::{Project, answer, instants, texts};
use crate::support::{rows, sample};

/// Returns the sources of a column's values, as `schema.table.column`; without a column those that decide about rows.
async fn sources(engine: &Engine, view: &str, column: Option<&str>) -> Vec<String> {
    let of_column = column.map_or("column_name is null".to_owned(), |column| format!("column_name = '{column}'"));
    let kind = if column.is_some() { "value" } else { "filter" };
    let sql = format!(
        "select source_schema || '.' || source_table || '.' || source_column as source from meta.lineage \
         where table_schema = 'metrics' and table_name = '{view}' and {of_column} and kind = '{kind}' order by source"
    );
    rows(&engine.session(), &sql).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn the_columns_of_three_metrics_come_from_where_their_sql_says() {
    let engine = sample().await;
    // The price of an item, at the rates of two month ends.
    assert_eq!(
        sources(&engine, "arpa", Some("mrr")).await,
        [
            "billing.subscription_items.discount_pct",
            "billing.subscription_items.interval",
            "billing.subscription_items.interval_count",
            "billing.subscription_items.quantity",
            "billing.subscription_items.unit_amount",
            "finance.fx_rates.rate",
        ]
    );
    // Which items count: those of subscriptions that run, of customers that there are.
    let rows_of_arpa = sources(&engine, "arpa", None).await;
    for source in ["billing.subscriptions.status", "billing.customers.customer_id", "finance.fx_rates.currency"] {
        assert!(rows_of_arpa.iter().any(|known| known == source), "{source}: {rows_of_arpa:?}");
    }
    assert_eq!(sources(&engine, "attribution", Some("campaign_id")).await, ["campaign.touches.campaign_id"]);
    // The deal, converted; when the touches, the lead and the deal were, whose closing counts where it is closed; and
    // channels, for last_non_direct.
    assert_eq!(
        sources(&engine, "attribution", Some("credit")).await,
        [
            "campaign.touches.channel",
            "campaign.touches.touched_at",
            "crm.leads.created_at",
            "crm.opportunities.amount",
            "crm.opportunities.closed_at",
            "crm.opportunities.created_at",
            "crm.opportunities.currency",
            "crm.opportunities.is_closed",
            "crm.opportunities.is_won",
            "finance.fx_rates.rate",
        ]
    );
    // Spend and cost go through one union, and stand in the month of their facts alone.
    assert_eq!(
        sources(&engine, "cac", Some("ad_spend")).await,
        [
            "campaign.spend.amount",
            "campaign.spend.currency",
            "campaign.spend.spend_date",
            "crm.opportunities.closed_at",
            "crm.opportunities.is_closed",
            "crm.opportunities.is_won",
            "finance.costs.amount",
            "finance.costs.currency",
            "finance.costs.month",
            "finance.fx_rates.rate",
        ]
    );
    assert!(sources(&engine, "attribution", Some("model")).await.is_empty(), "a model is a word of topline");
}

#[tokio::test]
async fn every_view_leads_to_the_tables_that_it_names_and_down_to_the_contract() {
    let engine = sample().await;
    let session = engine.session();
    for model in engine.models().iter() {
        let sql = format!(
            "select source_schema || '.' || source_table from meta.lineage where kind = 'reads' \
             and table_schema = '{}' and table_name = '{}' order by 1",
            model.id.schema, model.id.name
        );
        let found: Vec<String> = rows(&session, &sql).await.into_iter().flatten().collect();
        let reads: Vec<String> = model.reads.iter().map(ToString::to_string).collect();
        assert_eq!(found, reads, "{}", model.id);
    }
    let deep = rows(
        &session,
        "select distinct source_schema from meta.lineage where kind <> 'reads' \
         and source_schema not in ('crm', 'billing', 'campaign', 'finance', 'meta')",
    )
    .await;
    assert!(deep.is_empty(), "{deep:?}");
    let unknown = rows(
        &session,
        "select distinct lineage.source_table, lineage.source_column from meta.lineage \
         left anti join meta.columns on columns.table_schema = lineage.source_schema \
         and columns.table_name = lineage.source_table and columns.column_name = lineage.source_column \
         where lineage.kind <> 'reads'",
    )
    .await;
    assert!(unknown.is_empty(), "{unknown:?}");
    let without = rows(
        &session,
        "select columns.table_name, columns.column_name from meta.columns left anti join meta.lineage \
         on lineage.table_name = columns.table_name and lineage.column_name = columns.column_name \
         where columns.table_schema = 'metrics' and columns.column_name not in ('model', 'is_complete', 'new_customers', 'cadence') \
         and columns.table_name <> 'touch_models'",
    )
    .await;
    assert!(without.is_empty(), "columns without a source: {without:?}");
}

/// What is asked of the touches behind a metric, and of the rates, which are dates.
const NEWEST: &str = "select table_name, newest_fact_at, newest_file, newest_file_at is not null \
    from meta.freshness where metric = 'attribution' and table_name in ('touches', 'fx_rates', 'contacts') \
    order by table_name";

#[tokio::test]
async fn freshness_follows_an_added_file() {
    let project = Project::new();
    company::lay_out(&project);
    project.remove("campaign/touches.parquet");
    project.parquet("campaign/touches/first.parquet", &company::touches());
    let engine = project.open().await.expect("the project opens");
    let contacts = "contacts | 2026-01-05T09:30:00Z | crm/contacts.parquet | true";
    let rates = "fx_rates | 2026-03-01T00:00:00Z | finance/fx_rates.parquet | true";
    assert_eq!(
        answer(&engine, NEWEST).await.expect("freshness"),
        [contacts, rates, "touches | 2026-03-01T14:00:00Z | campaign/touches/first.parquet | true"]
    );
    // The second touch is after as_of, and no fact yet.
    let more = company::touches()
        .rows(0, 2)
        .with("touch_id", texts(["t8", "t9"]))
        .with("touched_at", instants(["2026-03-20T00:00:00Z", "2027-01-01T00:00:00Z"]));
    project.parquet("campaign/touches/second.parquet", &more);
    let after = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    let file = std::fs::File::options().write(true).open(project.path("campaign/touches/second.parquet"));
    file.and_then(|file| file.set_modified(after)).expect("a time of change");
    assert_eq!(
        answer(&engine, NEWEST).await.expect("freshness")[2],
        "touches | 2026-03-20T00:00:00Z | campaign/touches/second.parquet | true"
    );
    project.remove("campaign/touches/first.parquet");
    project.remove("campaign/touches/second.parquet");
    assert_eq!(answer(&engine, NEWEST).await.expect("freshness")[2], "touches |  |  | false");
}

/// The page of all metrics, and how to write it anew.
const PAGE: &str = "docs/metrics.md";

/// `UPDATE_DOCS=1 cargo test --test it governance` writes the page.
#[tokio::test]
async fn the_page_of_all_metrics_is_that_of_the_registry() {
    let mut page = String::from(
        "# Metrics\n\nEvery metric with the grain of its view and the unit of its value. `topline describe NAME` shows the \
         columns and\nevery choice; `select * from meta.metrics` shows owner, target and action plan. This page is made \
         from the registry:\n`UPDATE_DOCS=1 cargo test --test it governance` writes it.\n\n\
         | metric | grain | unit | what it is |\n| --- | --- | --- | --- |\n",
    );
    for metric in sample().await.metrics() {
        let sentence = metric.description.split(". ").next().unwrap_or_default().trim_end_matches('.');
        let what = if metric.name == metric.view {
            sentence.to_owned()
        } else {
            let label = metric.entry.as_ref().map(|entry| entry.label.as_str()).unwrap_or_default();
            format!("{label}, in `{}`", metric.view)
        };
        let unit = metric.entry.as_ref().map(|entry| entry.unit.as_str()).unwrap_or_default();
        page.push_str(&format!("| `{}` | {} | {unit} | {} |\n", metric.name, metric.grain, what.replace('|', "\\|")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, page).expect("the page is written");
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, page, "{PAGE} is not that of the registry; UPDATE_DOCS=1 writes it");
}
