//! Every way to read, tried by users from whom rows, values, columns or a table are kept.

use topline::engine::{Engine, Outcome};

use super::{Firm, SECRETS, heard, rows};

const ROLES: &str = r#"
[roles.filter]
read = ["*"]
sandbox = "write"
filters = [{ table = "crm.accounts", where = "segment = 'smb'" }]

[roles.costly]
read = ["*"]
sandbox = "read"
filters = [{ table = "crm.accounts", where = "concat(segment, name, domain, account_id) like 'smb%'" }]

[roles.mask]
read = ["*"]
sandbox = "write"
masks = [
    { table = "crm.accounts", column = "name", mask = "partial" },
    { table = "crm.accounts", column = "domain", mask = "hash" },
    { table = "crm.accounts", column = "employee_count", mask = "null" },
]

[roles.table]
read = ["*"]
hide = ["crm.accounts"]
sandbox = "write"

[roles.column]
read = ["*"]
hide = ["crm.accounts.name", "crm.accounts.domain", "crm.accounts.employee_count"]
sandbox = "write"
"#;

const KINDS: [&str; 4] = ["filter", "mask", "table", "column"];

/// Ways to read that show a secret to whoever may read everything.
const WAYS: [&str; 26] = [
    "select * from crm.accounts",
    "select name from crm.accounts order by name desc limit 1",
    "select deal.opportunity_id, account.name from crm.opportunities as deal \
     inner join crm.accounts as account on account.account_id = deal.account_id",
    "select contact.email, account.domain from crm.contacts as contact \
     left join crm.accounts as account using (account_id)",
    "select (select max(name) from crm.accounts) as greatest",
    "select opportunity_id, (select max(account.name) from crm.accounts as account \
     where account.account_id = deal.account_id) as name from crm.opportunities as deal",
    "with everything as (select * from crm.accounts) select name from everything union all select 'x'",
    "select max(employee_count) as greatest, min(domain) as least, max(name) as last from crm.accounts",
    "select name, row_number() over (order by name) as place from crm.accounts",
    "select array_agg(name) as names from crm.accounts",
    "select string_agg(domain, ',') as names from crm.accounts",
    "select sum(employee_count) - 19 as rest from crm.accounts",
    "select distinct name from crm.accounts where domain like 'xylo%'",
    "select name from crm.accounts where length(name) > 4",
    "select name from crm.accounts where account_id in (select account_id from crm.contacts)",
    "select name from crm.accounts group by name having count(*) = 1",
    "with recursive steps as (select 1 as n, cast('' as varchar) as name union all \
     select n + 1, account.name from steps inner join crm.accounts as account on n < 2) select * from steps",
    "select name from crm.accounts except select 'Acme'",
    "select cast(name as bigint) from crm.accounts where name like 'X%'",
    "select cast(domain as date) from crm.accounts where employee_count > 100",
    "select name from crm.accounts where cast(employee_count as varchar) like '98765_'",
    "select * from sandbox.everything",
    "select name from sandbox.names",
    "select named.name from sandbox.names as named full join sandbox.everything as all_of on named.name = all_of.name",
    "select upper(name) as name from crm.accounts",
    "select name from crm.accounts as one where exists (select 1 from crm.accounts as other \
     where other.account_id = one.account_id and other.employee_count > 100)",
];

/// Ways that tell something of the rows without showing them, with what they say where nothing is kept.
const TELLING: [(&str, &str); 9] = [
    ("select count(*) as n from crm.accounts", "n\n3"),
    ("select count(name) as n from crm.accounts", "n\n3"),
    ("select count(distinct employee_count) as n from crm.accounts where employee_count > 50", "n\n1"),
    ("select approx_distinct(name) as n from crm.accounts", "n\n3"),
    ("select count(*) as n from sandbox.everything", "n\n3"),
    ("select count(*) as n from crm.accounts where employee_count between 900000 and 1000000", "n\n1"),
    ("select rows from meta.sources where table_name = 'accounts'", "rows\n3"),
    ("select count(*) as n from (select 1 from crm.accounts limit 2)", "n\n2"),
    (
        "select newest_fact_at from meta.freshness where table_name = 'accounts' limit 1",
        "newest_fact_at\n2026-02-01T00:00:00Z",
    ),
];

async fn firm() -> Firm {
    let firm = Firm::with(ROLES).await;
    for sql in [
        "create view sandbox.everything as select * from crm.accounts",
        "create view sandbox.names as select name, domain, employee_count from crm.accounts",
    ] {
        let written = firm.engine.session().run(sql).await.expect("the owner may write");
        assert!(matches!(written, Outcome::Written(0)), "{sql}");
    }
    firm
}

fn assert_tells_nothing(kind: &str, sql: &str, heard: &str) {
    for secret in SECRETS {
        assert!(!heard.to_lowercase().contains(secret), "{kind}: {sql}\ntells {secret}:\n{heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_read_shows_what_is_kept() {
    let firm = firm().await;
    for sql in WAYS {
        let told = heard(&firm.engine, sql).await;
        let shown = SECRETS.iter().any(|secret| told.to_lowercase().contains(secret));
        assert!(shown, "the owner is shown no secret by {sql}\n{told}");
    }
    for kind in KINDS {
        let engine = firm.seen_by(kind).await;
        for way in WAYS {
            for sql in [way.to_owned(), format!("explain {way}"), format!("explain analyze {way}")] {
                let told = heard(&engine, &sql).await;
                assert_tells_nothing(kind, &sql, &told);
            }
            let prepared = engine.session().prepare(way).await;
            if let Ok(statement) = prepared
                && let Ok(rows) = statement.execute(None).await
                && let Ok(batches) = rows.collect().await
            {
                let told: Vec<_> = batches.iter().flat_map(crate::support::texts).flatten().collect();
                assert_tells_nothing(kind, way, &told.join("\n"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_statistics_are_of_the_rows_that_there_are() {
    let firm = firm().await;
    for (sql, expected) in TELLING {
        assert_eq!(heard(&firm.engine, sql).await, expected, "{sql}");
    }
    let filter = firm.seen_by("filter").await;
    let of_one =
        ["n\n1", "n\n1", "n\n0", "n\n1", "n\n1", "n\n0", "rows\nNULL", "n\n1", "newest_fact_at\n2026-01-01T00:00:00Z"];
    for ((sql, _), expected) in TELLING.into_iter().zip(of_one) {
        assert_eq!(heard(&filter, sql).await, expected, "{sql}");
    }
    let mask = firm.seen_by("mask").await;
    assert_eq!(heard(&mask, TELLING[2].0).await, "n\n0");
    assert_eq!(heard(&mask, TELLING[5].0).await, "n\n0");
    assert_eq!(
        heard(&mask, "select min(employee_count) as least, count(*) as n from crm.accounts").await,
        "least | n\nNULL | 3"
    );
    for kind in ["table", "column"] {
        let engine = firm.seen_by(kind).await;
        for place in [2, 5] {
            let told = heard(&engine, TELLING[place].0).await;
            assert!(told.starts_with("error: "), "{kind}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_fails_on_a_value_does_not_reach_rows_that_are_kept() {
    let firm = firm().await;
    // A condition of the role that costs more than the user's would come after it, if the two met.
    let (cheap, costly) = (firm.seen_by("filter").await, firm.seen_by("costly").await);
    for condition in [
        "1 / (case when employee_count = 987654 then 0 else 1 end) = 1",
        "1 / (employee_count - 987654) < 5",
        "cast(case when name like 'X%' then name else '1' end as bigint) = 1",
        "cast(case when domain = 'xylo.example' then 'never' else '2026-01-01' end as date) = date '2026-01-01'",
    ] {
        for sql in [
            format!("select account_id from crm.accounts where {condition}"),
            format!("select account_id from sandbox.everything where {condition}"),
            format!("select account_id from crm.accounts order by case when {condition} then 1 else 2 end"),
            format!(
                "select one.account_id from crm.accounts as one inner join crm.accounts as other \
                on one.account_id = other.account_id and {}",
                condition
                    .replace("employee", "one.employee")
                    .replace("name l", "one.name l")
                    .replace("then name", "then one.name")
                    .replace("domain", "one.domain")
            ),
        ] {
            let owner = heard(&firm.engine, &sql).await;
            assert!(owner.starts_with("error: "), "it reaches the rows of the owner: {sql}\n{owner}");
            assert_eq!(rows(&cheap, &sql).await, ["a1"], "{sql}");
            assert_eq!(rows(&costly, &sql).await, ["a1"], "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_listed_shows_nothing_that_is_kept() {
    let firm = firm().await;
    let places = "table_schema in ('crm', 'meta', 'sandbox', 'information_schema') \
        or table_schema = 'core' and table_name like 'account%' or table_name in ('violations', 'name_pattern')";
    for kind in KINDS {
        let engine = firm.seen_by(kind).await;
        let listed =
            format!("select table_schema || '.' || table_name as name from information_schema.tables where {places}");
        let tables = rows(&engine, &listed).await;
        assert!(tables.len() > 20, "{tables:?}");
        assert_eq!(tables.iter().any(|table| table == "crm.accounts"), kind != "table", "{tables:?}");
        for table in tables {
            for sql in [
                format!("select * from {table}"),
                format!("describe {table}"),
                format!("explain verbose select * from {table}"),
            ] {
                assert_tells_nothing(kind, &sql, &heard(&engine, &sql).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masks_are_what_they_are_called() {
    let firm = firm().await;
    let engine = firm.seen_by("mask").await;
    let shown =
        rows(&engine, "select account_id, name, employee_count, length(domain) from crm.accounts order by 1").await;
    assert_eq!(shown, ["a1 | A*** | NULL | 32", "a2 | X*** | NULL | 32", "a3 | *** | NULL | 32"]);
    let joined = "select count(*) from crm.accounts as one inner join crm.accounts as other using (domain)";
    assert_eq!(rows(&engine, joined).await, ["3"], "a hash tells equal values from others");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_writes_is_made_of_what_the_user_sees() {
    let firm = firm().await;
    let engine: Engine = firm.seen_by("filter").await;
    let mut session = engine.session();
    session.run("create table sandbox.mine as select * from crm.accounts").await.expect("the role may write");
    session.run("insert into sandbox.mine select * from crm.accounts").await.expect("the role may write");
    assert_eq!(rows(&firm.engine, "select account_id from sandbox.mine").await, ["a1", "a1"]);
    session.run("create view sandbox.seen as select name from crm.accounts").await.expect("the role may write");
    assert_eq!(rows(&firm.engine, "select count(*) from sandbox.seen").await, ["3"], "a view is its reader's");
    assert_eq!(rows(&engine, "select count(*) from sandbox.seen").await, ["1"]);
}
