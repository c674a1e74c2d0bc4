//! What a role may not read does not exist for it.

use super::{Firm, heard, rows, seen_with};

const ROLES: &str = r#"
[roles.metrics]
read = ["metrics", "meta"]

[roles.some]
read = ["crm", "metrics.nrr", "meta"]
hide = ["crm.contacts", "crm.accounts.domain"]
sandbox = "read"

[roles.all]
read = ["*"]
sandbox = "write"

[roles.region]
read = ["*"]
filters = [{ table = "crm.accounts", where = "segment = user_attribute('segment')" }]

[roles.own]
read = ["crm"]
filters = [{ table = "crm.accounts", where = "name = current_user or lower(name) = current_user()" }]

[roles.narrow]
read = ["metrics"]
hide = ["metrics.nrr.grr"]
filters = [{ table = "metrics.nrr", where = "month >= date '2026-03-01'" }]
masks = [
    { table = "metrics.nrr", column = "nrr", mask = "null" },
    { table = "metrics.nrr", column = "gross_churn_rate", mask = "null" },
]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_what_may_be_read_and_nothing_else() {
    let firm = Firm::with(ROLES).await;
    let engine = firm.seen_by("some").await;
    assert_eq!(engine.schemas(), ["crm", "meta", "metrics", "sandbox"]);
    let tables = engine.tables().await.expect("they are listed");
    let names: Vec<String> = tables.iter().map(|table| table.id.to_string()).collect();
    assert!(names.contains(&"crm.accounts".to_owned()) && !names.contains(&"crm.contacts".to_owned()), "{names:?}");
    let metrics: Vec<&String> = names.iter().filter(|name| name.starts_with("metrics.")).collect();
    assert_eq!(metrics, ["metrics.nrr"]);
    let accounts = tables.iter().find(|table| table.id.name == "accounts").expect("it may be read");
    assert!(accounts.schema.column_with_name("domain").is_none() && accounts.schema.column_with_name("name").is_some());
    let references = engine.references().await.expect("they are listed");
    assert!(references.iter().all(|reference| reference.to.name != "contacts" && reference.from.name != "contacts"));
    for (sql, expected) in [
        (
            "select count(*) from information_schema.columns where table_name = 'contacts' or column_name = 'domain'",
            "0",
        ),
        ("select count(*) from information_schema.key_column_usage where table_name = 'contacts'", "0"),
        ("select count(*) from meta.columns where table_name = 'contacts' or column_name = 'domain'", "0"),
        ("select count(*) from meta.sources where table_name = 'contacts'", "0"),
        ("select count(*) from meta.lineage where source_table = 'contacts' or source_column = 'domain'", "0"),
        ("select count(*) from meta.models where reads like '%contacts%' or sql like '%contacts%'", "0"),
        ("select count(*) from meta.models where model_schema = 'metrics'", "1"),
        ("select count(distinct \"view\") from meta.metrics", "1"),
        ("select count(*) from meta.freshness where table_name = 'contacts'", "0"),
        ("select count(*) from information_schema.views where definition like '%contacts%'", "0"),
    ] {
        assert_eq!(rows(&engine, sql).await, [expected], "{sql}");
    }
    for table in ["runs", "restatements", "published_months"] {
        let told = heard(&engine, &format!("select * from meta.{table}")).await;
        assert!(told.starts_with(&format!("error: table \"meta.{table}\" does not exist")), "{told}");
    }
    let described = heard(&engine, "describe crm.accounts").await;
    assert!(described.contains("segment") && !described.contains("domain"), "{described}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_that_of_a_name_that_never_was() {
    let firm = Firm::with(ROLES).await;
    let engine = firm.seen_by("some").await;
    for (hidden, never) in [
        ("select * from crm.contacts", "select * from crm.kontakts"),
        ("select email from crm.contacts", "select email from crm.kontakts"),
        ("select * from billing.customers", "select * from killing.customers"),
        ("select * from core.conversions", "select * from cord.conversions"),
        ("select * from metrics.cac", "select * from metrics.qqc"),
        ("select domain from crm.accounts", "select dumain from crm.accounts"),
        ("select a.domain from crm.accounts as a", "select a.dumain from crm.accounts as a"),
        ("select * from crm.accounts where domain = 'x'", "select * from crm.accounts where dumain = 'x'"),
        ("describe crm.contacts", "describe crm.kontakts"),
        ("select * from attribution('linear')", "select * from metrics.attribution"),
        ("select * from explain_metric('cac', '2026-02')", "select * from explain_metric('qqc', '2026-02')"),
        ("select * from as_of_version('cac', 0)", "select * from as_of_version('qqc', 0)"),
    ] {
        let (of_hidden, of_never) = (heard(&engine, hidden).await, heard(&engine, never).await);
        assert!(of_hidden.starts_with("error: "), "{hidden}\n{of_hidden}");
        let plain = |text: &str| {
            ["contacts", "kontakts", "killing", "billing", "cord", "core", "qqc", "cac", "dumain", "domain"]
                .iter()
                .fold(text.to_owned(), |text, name| text.replace(name, "NAME"))
        };
        assert_eq!(plain(&of_hidden), plain(&of_never), "{hidden}");
    }
    // What is near to a hidden name is not led to it.
    for near in ["select * from crm.contact", "select domains from crm.accounts", "select * from crm.opportunitie"] {
        let told = heard(&engine, near).await;
        assert!(!told.contains("contacts") && !told.contains("\"domain\"") && !told.contains(", domain"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_may_be_read_where_its_records_may_not() {
    let firm = Firm::with(ROLES).await;
    let engine = firm.seen_by("metrics").await;
    let sql = "select month, nrr, grr, churn from nrr order by month";
    assert_eq!(rows(&engine, sql).await, rows(&firm.engine, sql).await);
    for call in ["explain_metric('nrr', '2026-03')", "metric_by('nrr', 'segment')", "parts_law('nrr')"] {
        let told = heard(&engine, &format!("select * from {call}")).await;
        let expected = "error: the records of metric \"nrr\" may not be read by this user\n\
            hint: the metric itself may; ask whoever runs the server for the tables that it is made of";
        assert_eq!(told, expected, "{call}");
    }
    let sql = "select model, sum(credit) from attribution('linear', 30) group by model";
    assert_eq!(rows(&engine, sql).await, rows(&firm.engine, sql).await);
    let plan = heard(&engine, "explain select * from nrr where month > date '2026-01-01'").await;
    assert!(plan.contains("Wall: table=metrics.nrr") && !plan.contains("crm.") && !plan.contains("parquet"), "{plan}");
    let all = firm.seen_by("all").await;
    assert_eq!(all.schemas(), firm.engine.schemas());
    assert!(!rows(&all, "select * from explain_metric('nrr', '2026-03')").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_values_and_no_sql() {
    let firm = Firm::with(ROLES).await;
    let sql = "select account_id from crm.accounts order by 1";
    for (segment, expected) in [("smb", vec!["a1"]), ("enterprise", vec!["a2"]), ("", vec![]), ("' or true --", vec![])]
    {
        let engine = seen_with(&firm.engine, "region", &[("segment", segment)]).await;
        assert_eq!(rows(&engine, sql).await, expected, "{segment}");
        assert_eq!(rows(&engine, "select distinct segment from core.account_identity").await.len(), expected.len());
    }
    let without = firm.seen_by("region").await;
    assert_eq!(rows(&without, sql).await, Vec::<String>::new(), "NULL is no segment");
    assert_eq!(rows(&without, "select user_attribute('segment'), current_user").await, ["NULL | ann"]);
    // A session cannot say who it is.
    for sql in ["set topline_user.name = 'bob'", "set topline.user.name = 'bob'", "set datafusion.user = 'bob'"] {
        let mut session = without.session();
        assert!(session.run(sql).await.is_err(), "{sql}");
    }
    let own = firm.engine.as_user(&topline::auth::Caller::granted("cog", Some("own"), Default::default())).await;
    assert_eq!(rows(&own.expect("the role is there"), sql).await, ["a3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_filtered_and_masked_wherever_it_is_read() {
    let firm = Firm::with(ROLES).await;
    let engine = firm.seen_by("narrow").await;
    let owner =
        rows(&firm.engine, "select month, churn from nrr where month >= date '2026-03-01' order by month").await;
    assert_eq!(rows(&engine, "select month, churn from nrr order by month").await, owner);
    assert_eq!(rows(&engine, "select count(nrr), count(*) > 0 from nrr").await, ["0 | true"]);
    assert!(heard(&engine, "select grr from nrr").await.starts_with("error: column \"grr\" does not exist"));
    // The scorecards are made of the metric.
    let sql = "select count(value) from monthly_scorecard where metric = 'gross_churn_rate'";
    assert_eq!(rows(&engine, sql).await, ["0"]);
    assert_ne!(rows(&firm.engine, sql).await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_is_what_the_role_says() {
    let firm = Firm::with(ROLES).await;
    firm.engine.session().run("create table sandbox.shared as select 1 as n").await.expect("the owner may write");
    let (none, read) = (firm.seen_by("metrics").await, firm.seen_by("some").await);
    let told = heard(&none, "select * from sandbox.shared").await;
    assert!(told.starts_with("error: table \"sandbox.shared\" does not exist"), "{told}");
    assert_eq!(rows(&read, "select n from sandbox.shared").await, ["1"]);
    for (engine, sql) in [
        (&none, "create table sandbox.mine as select 1 as n"),
        (&read, "create table sandbox.mine as select 1 as n"),
        (&read, "insert into sandbox.shared select 2"),
        (&read, "drop table sandbox.shared"),
        (&read, "create view sandbox.mine as select 1 as n"),
    ] {
        let error = engine.session().run(sql).await.expect_err("the role does not write");
        assert_eq!(error.message(), "schema \"sandbox\" may not be written by this user", "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_which_a_part_is_hidden_is_none() {
    let firm = Firm::with(
        r#"
[roles.part]
read = ["*"]
hide = ["finance.fx_rates.rate_date", "metrics.nrr_by_segment.segment", "crm.accounts.account_id"]
"#,
    )
    .await;
    let engine = firm.seen_by("part").await;
    let keys = "select concat(table_schema, '.', table_name, '.', column_name) as k from meta.columns where is_key";
    let names = "('fx_rates', 'nrr_by_segment', 'accounts', 'contacts')";
    let of_columns = format!("{keys} and table_name in {names} and table_schema <> 'published' order by 1");
    assert_eq!(
        rows(&firm.engine, &of_columns).await,
        [
            "crm.accounts.account_id",
            "crm.contacts.contact_id",
            "finance.fx_rates.currency",
            "finance.fx_rates.rate_date",
            "metrics.nrr_by_segment.month",
            "metrics.nrr_by_segment.segment",
        ]
    );
    assert_eq!(rows(&engine, &of_columns).await, ["crm.contacts.contact_id"]);
    let constraints =
        "select constraint_name, constraint_type from information_schema.table_constraints where table_name";
    let of_tables = format!("{constraints} in {names} and table_schema <> 'published' order by 1, 2");
    let own = ["contacts_key | PRIMARY KEY", "contacts_merged_into_id_fkey | FOREIGN KEY"];
    assert_eq!(rows(&engine, &of_tables).await, own, "none refers to a hidden one");
    let references = engine.references().await.expect("they are listed");
    assert!(references.iter().all(|reference| reference.to.name != "accounts"), "{references:#?}");
}
