//! Published months for roles that read some rows only.

use topline::publish::{Months, Request, Unchanged, materialize};

use super::{Firm, heard, rows, seen_with};

/// The published metrics that a user sees.
const LISTED: &str = "select table_name from information_schema.tables where table_schema = 'published' order by 1";

/// Publishes metrics of a firm.
async fn publish(firm: &Firm, metrics: Vec<String>) {
    let request = Request { metrics, months: Months::Due, unchanged: Unchanged::IsKept, job: None };
    materialize(&firm.engine, &request, &|_| {}).await.expect("it is published");
}

#[tokio::test(flavor = "multi_thread")]
async fn published_months_are_for_those_whose_rows_can_be_told_apart() {
    let firm = Firm::with(
        r#"
[roles.all]
read = ["metrics", "published", "meta"]
hide = ["metrics.nrr.grr"]

[roles.history]
read = ["metrics", "published", "meta"]

[roles.segment]
read = ["*"]
filters = [{ table = "crm.accounts", where = "segment = user_attribute('segment')" }]

[roles.late]
read = ["metrics", "published"]
filters = [{ table = "metrics.nrr", where = "month >= date '2026-03-01'" }]
masks = [{ table = "metrics.nrr", column = "nrr", mask = "null" }]
"#,
    )
    .await;
    let metrics = vec!["nrr".to_owned(), "nrr_by_segment".to_owned(), "mrr_movements".to_owned()];
    publish(&firm, metrics).await;
    let owner = rows(&firm.engine, "select month, nrr, churn from published.nrr order by month").await;
    assert!(owner.len() > 1, "{owner:?}");
    let all = firm.seen_by("all").await;
    assert_eq!(rows(&all, "select month, nrr, churn from published.nrr order by month").await, owner);
    assert!(heard(&all, "select grr from published.nrr").await.starts_with("error: column \"grr\" does not exist"));
    assert!(heard(&all, "select * from meta.restatements").await.starts_with("error: "));
    let history = firm.seen_by("history").await;
    for table in ["runs", "restatements", "published_months"] {
        assert!(
            heard(&history, &format!("select * from meta.{table}")).await.starts_with(|letter| letter != 'e'),
            "{table}"
        );
    }
    let late = firm.seen_by("late").await;
    let expected = rows(
        &firm.engine,
        "select month, null, churn from published.nrr where month >= date '2026-03-01' order by month",
    )
    .await;
    assert_eq!(rows(&late, "select month, nrr, churn from published.nrr order by month").await, expected);
    let at = "select month, nrr, churn from as_of_version('nrr', 0) order by month";
    assert_eq!(rows(&late, at).await, expected);
    let smb = seen_with(&firm.engine, "segment", &[("segment", "smb")]).await;
    for sql in [
        "select * from published.nrr",
        "select * from as_of_version('nrr', 0)",
        "select * from published.mrr_movements",
        // Its segment is another where there is none, and its months are those of all segments.
        "select * from published.nrr_by_segment",
        "select * from meta.runs",
    ] {
        assert!(heard(&smb, sql).await.starts_with("error: "), "{sql}");
    }
    assert_eq!(rows(&smb, LISTED).await, Vec::<String>::new());
}

/// The accounts' employees by month and segment.
const SUMS: &str = "select local_month(created_at) as month, segment, sum(employee_count) as total
from crm.accounts group by local_month(created_at), segment";

/// The groups of the sums by month with a total over all segments, which has none itself.
const ROLLED: &str = "where segment is not null group by local_month(created_at), rollup (segment)";

/// Metrics whose rows are made of accounts of one segment each, which they name.
fn apart() -> Vec<(&'static str, String)> {
    let deals = "with deals as (
    select account_id, local_month(created_at) as month from crm.opportunities
),
accounts as (
    select own.account_id, own.segment as part from crm.accounts as own where own.employee_count > 0
)
select deals.month, accounts.part as segment, count(*) as total
from deals inner join accounts on accounts.account_id = deals.account_id
where deals.month in (select month from core.fx_months) or deals.month is not null
group by deals.month, accounts.part";
    let within = format!(
        "select month, segment, total, row_number() over (partition by segment order by month) as place from ({SUMS})"
    );
    let both = format!("{SUMS} union all select month, segment, total from ({SUMS}) where false");
    vec![("sums", SUMS.to_owned()), ("deals", deals.to_owned()), ("within", within), ("both", both)]
}

/// Metrics that say something of other segments beside the one that they name, or name another.
fn together() -> Vec<(&'static str, String)> {
    let by_month = |segment: &str| {
        format!(
            "select local_month(created_at) as month, {segment} as segment, sum(employee_count) as total
from crm.accounts group by local_month(created_at)"
        )
    };
    let of_each = |segment: &str| {
        format!(
            "select local_month(created_at) as month, {segment} as segment, sum(employee_count) as total
from crm.accounts group by local_month(created_at), {segment}"
        )
    };
    let beside =
        |total: &str, from: &str| format!("select month, segment, {total} as total from ({SUMS}) as sums {from}");
    let all = "(select sum(employee_count) as total_of_all from crm.accounts)";
    vec![
        ("greatest", by_month("max(segment)")),
        ("named", of_each("coalesce(segment, '(none)')")),
        ("upper", of_each("upper(segment)")),
        ("cased", of_each("case when segment = 'smb' then segment else 'smb' end")),
        ("ranked", beside("rank() over (order by total)", "")),
        ("shared", beside(&format!("total * 100 / {all}"), "")),
        ("crossed", beside("total_of_all", &format!("cross join {all}"))),
        ("picked", beside("total", &format!("where total * 2 > {all}"))),
        ("rolled", SUMS.replace("group by local_month(created_at), segment", ROLLED)),
        ("first", format!("{SUMS} order by total desc limit 2")),
        (
            "missing",
            "select months.month, accounts.segment, sum(accounts.employee_count) as total
from (select local_month(created_at) as month from crm.opportunities) as months
left join crm.accounts as accounts on local_month(accounts.created_at) = months.month
group by months.month, accounts.segment"
                .to_owned(),
        ),
        ("mixed", format!("{SUMS} union all select month, 'all', sum(total) from ({SUMS}) group by month")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_metric_is_for_those_of_whose_rows_alone_it_is_made() {
    let roles = r#"
[roles.segment]
read = ["metrics", "published"]
filters = [{ table = "crm.accounts", where = "segment = user_attribute('segment')" }]

[roles.others]
read = ["metrics", "published"]
filters = [{ table = "crm.accounts", where = "segment <> 'enterprise'" }]

[roles.half]
read = ["metrics", "published"]
filters = [{ table = "crm.accounts", where = "segment = 'smb' and employee_count > 20" }]
"#;
    let (apart, together) = (apart(), together());
    let mut metrics: Vec<_> =
        apart.iter().chain(&together).map(|(name, sql)| (*name, sql.as_str(), "segment")).collect();
    metrics.push(("unkeyed", SUMS, "total"));
    let firm = Firm::with_metrics(roles, &metrics).await;
    publish(&firm, metrics.iter().map(|(name, ..)| (*name).to_owned()).collect()).await;
    let mut names: Vec<_> = metrics.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    assert_eq!(rows(&firm.engine, LISTED).await, names);
    let mut own: Vec<_> = apart.iter().map(|(name, _)| *name).collect();
    own.sort_unstable();
    let smb = seen_with(&firm.engine, "segment", &[("segment", "smb")]).await;
    let others = firm.seen_by("others").await;
    for engine in [&smb, &others] {
        assert_eq!(rows(engine, LISTED).await, own);
        for name in &own {
            let of = |schema: &str| format!("select month, segment, total from {schema}.{name} order by month");
            let live = rows(engine, &of("metrics")).await;
            assert!(!live.is_empty(), "{name}");
            assert_eq!(rows(engine, &of("published")).await, live, "{name}");
        }
    }
    assert_eq!(rows(&firm.seen_by("half").await, LISTED).await, Vec::<String>::new());
}
