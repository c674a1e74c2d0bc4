//! Queries and settings that cannot be.

use topline::ErrorKind;
use topline::engine::{Engine, Outcome};

use crate::company;
use crate::project::{Fault, Project, answer};

async fn open() -> (Project, Engine) {
    let project = Project::new();
    company::lay_out(&project);
    let engine = project.open().await.expect("the project opens");
    (project, engine)
}

async fn faults(statements: &[&str]) -> String {
    let (project, engine) = open().await;
    let mut lines = Vec::new();
    for sql in statements {
        let fault: Fault = match engine.session().run(sql).await {
            Ok(Outcome::Rows(rows)) => match rows.collect().await {
                Ok(_) => panic!("{sql} is expected to fail"),
                Err(error) => project.described(&error),
            },
            Ok(_) => panic!("{sql} is expected to fail"),
            Err(error) => project.described(&error),
        };
        lines.push(format!("{sql}\n{fault}"));
    }
    lines.join("\n")
}

#[tokio::test]
async fn a_name_that_does_not_exist_comes_with_the_nearest() {
    let found = faults(&[
        "select * from nr",
        "select * from crm.acounts",
        "select * from cmr.accounts",
        "select * from somewhere.else.table",
        "select * from 'crm/accounts.parquet'",
        "select opning from nrr",
        "select a.acount_id from crm.accounts as a",
        "select b.account_id from crm.accounts as a",
        "select lenght(name) from crm.accounts",
        "select attribution_weight(1) from crm.accounts",
    ])
    .await;
    assert_eq!(
        found,
        r#"select * from nr
NotFound: table "metrics.nr" does not exist
hint: did you mean "metrics.nrr"?
select * from crm.acounts
NotFound: table "crm.acounts" does not exist
hint: did you mean "crm.accounts"?
select * from cmr.accounts
NotFound: table "cmr.accounts" does not exist
hint: did you mean schema "crm"?
select * from somewhere.else.table
NotFound: table "somewhere.else.table" does not exist
hint: select table_schema, table_name from information_schema.tables lists the tables
select * from 'crm/accounts.parquet'
NotFound: table "metrics.crm/accounts.parquet" does not exist
hint: files cannot be named in SQL; configure their folder as a source
select opning from nrr
NotFound: column "opning" does not exist
hint: did you mean "opening"?
select a.acount_id from crm.accounts as a
NotFound: column "a.acount_id" does not exist
hint: did you mean "a.account_id"?
select b.account_id from crm.accounts as a
NotFound: column "b.account_id" does not exist
hint: did you mean "a.account_id"?
select lenght(name) from crm.accounts
NotFound: function "lenght" does not exist
hint: did you mean "length"?
select attribution_weight(1) from crm.accounts
NotFound: function "attribution_weight" does not exist
hint: show functions lists them"#
    );
}

#[tokio::test]
async fn a_statement_that_cannot_run_says_why() {
    let found = faults(&[
        "",
        "select",
        "select * from nrr where month >",
        "select name + 1 from crm.accounts",
        "select cast(name as int) from crm.accounts",
        "select 1 / 0 as x from crm.accounts",
        "select sum(name) from crm.accounts",
        "select * from nrr limit many",
        "select name, count(*) from crm.accounts",
        "create table x as select 1",
        "insert into crm.accounts values (1)",
        "copy nrr to 'x.csv'",
        "select 1; drop table x",
    ])
    .await;
    assert_eq!(
        found,
        r#"
Query: there is no statement to run
select
Query: syntax error: expected: an expression, found: EOF
select * from nrr where month >
Query: syntax error: expected: an expression, found: EOF
select name + 1 from crm.accounts
Query: cannot coerce arithmetic expression text + bigint to valid types
select cast(name as int) from crm.accounts
Query: cannot cast string 'Acme' to value of integer type
select 1 / 0 as x from crm.accounts
Query: divide by zero error
select sum(name) from crm.accounts
Query: no function takes these arguments: sum(text)
hint: there are sum(Decimal), sum(unsigned bigint), sum(bigint), sum(double), sum(Duration), sum(Interval)
select * from nrr limit many
NotFound: column "many" does not exist
select name, count(*) from crm.accounts
Query: column "crm.accounts.name" is neither in group by nor in an aggregate function
create table x as select 1
Refused: create table is not allowed for "metrics.x": topline is read-only outside schema "sandbox"
hint: write create table sandbox.NAME
insert into crm.accounts values (1)
Refused: insert into is not allowed for "crm.accounts": topline is read-only outside schema "sandbox"
hint: write insert into sandbox.NAME
copy nrr to 'x.csv'
Refused: copy is not allowed: topline is read-only here
hint: select, with, explain, show, describe and set topline.NAME = VALUE are allowed, and in schema sandbox create, insert and drop
select 1; drop table x
Query: only the last statement of a text may return rows"#
    );
}

#[tokio::test]
async fn a_setting_that_cannot_be_says_why() {
    let found = faults(&[
        "set topline.attribution.lookback_days = 0",
        "set topline.attribution.lookback_days = 'many'",
        "set topline.attribution.lookback_day = 30",
        "set topline.reporting.timezone = 'Mars'",
        "set topline.reporting.currency = 'EUR'",
        "set topline.reporting.as_of = '2026'",
        "set datafusion.execution.batch_size = 1",
        "set time zone 'UTC'",
        "select setting('attribution.lookback_day')",
        "select setting(name) from crm.accounts",
        "select setting(1)",
    ])
    .await;
    assert_eq!(
        found,
        r#"set topline.attribution.lookback_days = 0
Config: setting "attribution.lookback_days": expected a number above 0 up to 3650, found "0"
set topline.attribution.lookback_days = 'many'
Config: setting "attribution.lookback_days": expected a number above 0 up to 3650, found "many"
set topline.attribution.lookback_day = 30
Config: unknown setting "attribution.lookback_day"
hint: did you mean "attribution.lookback_days"?
set topline.reporting.timezone = 'Mars'
Config: setting "reporting.timezone": expected an IANA time zone such as Europe/Berlin, found "Mars"
set topline.reporting.currency = 'EUR'
Refused: setting "reporting.currency" cannot be changed in a session
hint: change it in the configuration file
set topline.reporting.as_of = '2026'
Config: setting "reporting.as_of": expected an instant such as 2026-11-01T00:00:00Z, or now, found "2026"
set datafusion.execution.batch_size = 1
Refused: set datafusion.execution.batch_size is not allowed: only settings of topline can be set
hint: write set topline.NAME = VALUE; select name, bounds from meta.settings lists them
set time zone 'UTC'
Refused: this form of set is not allowed: topline is read-only here
hint: write set topline.attribution.lookback_days = 30
select setting('attribution.lookback_day')
Config: unknown setting "attribution.lookback_day"
hint: did you mean "attribution.lookback_days"?
select setting(name) from crm.accounts
Query: setting() takes the name of a setting as a literal text
select setting(1)
Query: setting() takes the name of a setting as a literal text"#
    );
}

#[tokio::test]
async fn what_a_client_does_wrong_is_never_called_our_own_fault() {
    let (project, engine) = open().await;
    for sql in [
        "select * from nr",
        "select opning from nrr",
        "select cast('x' as int)",
        "select 9223372036854775807 + 1",
        "select cast('x' as date) from crm.accounts",
        "select month from nrr union select name from crm.accounts",
        "select (select name from crm.accounts)",
        "select * from crm.accounts where created_at > 'soon'",
        "select array[1, 2][name] from crm.accounts",
        "select row_number() over (order by nothing) from crm.accounts",
        "select regexp_like(name, '(') from crm.accounts",
        "select to_date('32.13.2026')",
        "select repeat('x', -1), chr(-5)",
        "with recursive x as (select 1) select * from y",
        "select $1",
    ] {
        match answer(&engine, sql).await {
            Ok(_) => {}
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Internal, "{sql}: {error}");
                project.described(&error);
            }
        }
    }
}

#[tokio::test]
async fn a_setting_is_not_lost_with_a_call_that_keeps_no_session() {
    let (_project, engine) = open().await;
    let error = engine.session().query("set topline.attribution.lookback_days = 30").await.expect_err("no session");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.hint(), Some("set it as a session option, or write it into the configuration"));
}
