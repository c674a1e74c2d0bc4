//! A filtered user's answer is that of everyone over a company that has these rows alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use proptest::test_runner::{Config as RunnerConfig, TestRunner};
use tokio::runtime::Runtime;
use topline::engine::Engine;

use super::{rows, seen_with};
use crate::project::{Project, repository};
use crate::support;

/// Tables of which the role has some rows or other values.
const CHANGED: [&str; 5] =
    ["crm.accounts", "crm.contacts", "crm.opportunities", "campaign.touches", "billing.customers"];

const ROLES: &str = r#"
[roles.seller]
read = ["*"]
filters = [
    { table = "crm.accounts", where = "segment = user_attribute('segment') or country is null" },
    { table = "crm.opportunities", where = "amount < 40000" },
    { table = "campaign.touches", where = "channel <> user_attribute('channel')" },
    { table = "billing.customers", where = "not is_deleted" },
]
masks = [
    { table = "crm.contacts", column = "email", mask = "hash" },
    { table = "crm.accounts", column = "name", mask = "partial" },
    { table = "crm.accounts", column = "industry", mask = "null" },
]
"#;

const ATTRIBUTES: [(&str, &str); 2] = [("segment", "smb"), ("channel", "direct")];

/// The sample company: `other` lies in a folder of the project, what is not there in the repository.
fn configured(project: &Project, own: Option<&Path>, roles: &str) {
    let mut text = "[reporting]\nas_of = \"2026-11-01T00:00:00Z\"\n".to_owned();
    for schema in ["crm", "billing", "campaign", "finance"] {
        let location = own.map_or_else(|| repository("data/sample"), Path::to_owned).join(schema);
        text += &format!("[sources.{schema}]\nconnector = \"canonical\"\nlocation = \"{}\"\n", location.display());
    }
    project.text("topline.toml", &format!("{text}{roles}"));
}

/// Two engines that must answer alike: the sample as a seller sees it, and a company of what the seller sees.
struct Pair {
    seller: Engine,
    small: Engine,
    _projects: [Project; 2],
}

impl Pair {
    async fn open() -> Self {
        let (large, small) = (Project::new(), Project::new());
        configured(&large, None, ROLES);
        let owner = large.open().await.expect("the sample opens");
        let seller = seen_with(&owner, "seller", &ATTRIBUTES).await;
        let own = small.path("company");
        copy(&repository("data/sample"), &own);
        for table in CHANGED {
            let batches = support::batches(&seller.session(), &format!("select * from {table}")).await;
            write(&own.join(format!("{}.parquet", table.replace('.', "/"))), &batches);
        }
        configured(&small, Some(&own), "");
        let engine = small.open().await.expect("the small company opens");
        Self { seller, small: engine, _projects: [large, small] }
    }

    async fn assert_same(&self, sql: &str) {
        let (mut found, mut expected) = (rows(&self.seller, sql).await, rows(&self.small, sql).await);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{sql}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the sample") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file");
        }
    }
}

fn write(file: &Path, batches: &[RecordBatch]) {
    let schema = batches.first().expect("some rows").schema();
    let mut writer =
        ArrowWriter::try_new(fs::File::create(file).expect("a file"), Arc::clone(&schema), None).expect("a writer");
    for batch in batches {
        writer.write(batch).expect("rows");
    }
    writer.close().expect("a footer");
}

/// Views that between them read every table, with operators and unions.
const VIEWS: [&str; 12] = [
    "metrics.attribution",
    "metrics.cac_by_channel",
    "metrics.funnel",
    "metrics.mrr",
    "metrics.nrr_by_segment",
    "metrics.pipeline_created",
    "metrics.win_rate_by_stage",
    "core.account_identity",
    "core.first_touches",
    "core.touch_identity",
    "quality.orphan_key",
    "quality.violations",
];

#[tokio::test(flavor = "multi_thread")]
async fn views_and_functions_are_those_of_the_rows_that_are_seen() {
    let pair = Pair::open().await;
    let owned = support::rows(&pair.seller.session(), "select count(*) from crm.opportunities").await;
    assert!(owned[0][0].parse::<u64>().expect("a number") > 10, "some are left");
    for view in VIEWS {
        pair.assert_same(&format!("select * from {view}")).await;
    }
    for sql in [
        "select * from attribution('linear', 45)",
        "select * from explain_metric('nrr', '2026-05')",
        "select * from metric_by('pipeline_created.amount', 'segment')",
        "select * from parts_law('nrr')",
        "select metric, table_name, newest_fact_at from meta.freshness where metric = 'attribution' \
         and table_name in ('accounts', 'opportunities', 'touches')",
    ] {
        pair.assert_same(sql).await;
    }
}

/// A table with columns that group and one that is added up.
fn queries() -> impl Strategy<Value = String> {
    let tables = prop::sample::select(vec![
        ("crm.accounts", ["segment", "country", "name", "is_deleted"], "employee_count"),
        ("crm.contacts", ["account_id", "email", "is_deleted", "contact_id"], "length(email)"),
        ("crm.opportunities", ["type", "stage", "currency", "is_won"], "amount"),
        ("campaign.touches", ["channel", "touch_type", "campaign_id", "account_id"], "length(touch_id)"),
        ("billing.customers", ["account_id", "customer_id", "is_deleted", "email"], "length(customer_id)"),
        ("core.account_identity", ["segment", "is_live", "live_account_id", "account_id"], "length(account_id)"),
        ("core.conversions", ["account_id", "opportunity_type", "is_first", "opportunity_id"], "value"),
    ]);
    let aggregate =
        prop::sample::select(vec!["count(*)", "count(distinct V)", "sum(V)", "min(V)", "max(V)", "count(V)"]);
    let shape = prop::sample::select(vec![
        "select G, A as value from T group by G",
        "select A as value from T where W",
        "select G, A as value from T where W group by G having count(*) > 1",
        "select distinct G, H from T where W",
        "select G, V as value, row_number() over (partition by G order by V, H, K) as place from T where W",
        "select one.G, count(*) as value from T as one inner join T as other on one.H = other.H group by one.G",
        "select T2.G, A as value from (select * from T where W) as T2 group by T2.G",
        "select G from T where G in (select H from T) or W",
        "select (select A from T where W) as value, count(*) as rows from T",
        "select G, V as value from T where W order by V desc nulls last, G, H, K limit 5",
        "select G, A as value from T where exists (select 1 from crm.accounts where segment is not null) group by G \
         union all select 'all', A from T where W",
    ]);
    let condition = prop::sample::select(vec![
        "V > 3",
        "G is not null",
        "H is null or V < 1000",
        "not (V between 5 and 50)",
        "cast(G as varchar) like '%a%'",
        "cast(V as double) / 3 > 2",
    ]);
    (tables, 0_usize..4, 0_usize..4, aggregate, shape, condition).prop_map(
        |((table, columns, value), group, other, aggregate, shape, condition)| {
            let text = shape.replace('W', condition).replace('A', aggregate).replace("T2", "part").replace('T', table);
            let group_text = if text.contains("union all") {
                format!("cast({} as varchar)", columns[group])
            } else {
                columns[group].to_owned()
            };
            let of_alias = text
                .replace("one.G", &format!("one.{}", columns[group]))
                .replace("part.G", &format!("part.{}", columns[group]));
            let of_alias = of_alias
                .replace("one.H", &format!("one.{}", columns[other]))
                .replace("other.H", &format!("other.{}", columns[other]));
            of_alias.replace('G', &group_text).replace('H', columns[other]).replace('K', columns[3]).replace('V', value)
        },
    )
}

/// Queries that are tried: each takes some hundredths of a second.
const CASES: u32 = 150;

#[test]
fn random_queries_are_those_of_the_rows_that_are_seen() {
    let runtime = Runtime::new().expect("a runtime");
    let pair = runtime.block_on(Pair::open());
    let mut runner =
        TestRunner::new(RunnerConfig { cases: CASES, failure_persistence: None, ..RunnerConfig::default() });
    let ended = runner.run(&queries(), |sql| {
        let told = |engine: &Engine| runtime.block_on(super::heard(engine, &sql));
        let lines = |text: String| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        prop_assert_eq!(lines(told(&pair.seller)), lines(told(&pair.small)), "{}", sql);
        Ok(())
    });
    ended.expect("all are the same");
}
