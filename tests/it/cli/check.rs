//! What `topline check` says of the rows of views, and of who answers for metrics.

use super::{Desk, Run};

/// A view of two months and two channels; its fourth row has a share above 1 and the key of the third.
const SHARES: &str = "select * from (values \
    (date '2026-01-01', 'ads', 0.0e0), (date '2026-01-01', 'email', 1.0000000001e0), \
    (date '2026-02-01', 'ads', null), (date '2026-02-01', 'ads', 1.01e0)) as parts (month, channel, part)";

const SHARES_SIDECAR: &str = r#"
description = "x"
grain = "month and channel"
key = ["month", "channel"]
columns = [["month", "date", "month"], ["channel", "text", "channel"], ["part", "share", "part"]]
"#;

/// Returns a desk with a small company whose folder of models holds these files.
pub(super) fn desk_with(models: &[(&str, &str)]) -> Desk {
    let desk = Desk::new();
    desk.run(&["sample", "--accounts", "20", "--months", "6", "--seed", "3", "--out", "company"]).good();
    let config = std::fs::read_to_string(desk.path().join("company/topline.toml")).expect("a configuration");
    desk.write("topline.toml", &config.replace("location = \"", "location = \"company/"));
    std::fs::create_dir_all(desk.path().join("models/metrics")).expect("a folder");
    for (file, text) in models {
        desk.write(&format!("models/{file}"), text);
    }
    let config = std::fs::read_to_string(desk.path().join("topline.toml")).expect("a configuration");
    desk.write("topline.toml", &format!("{config}\n[models]\nlocation = \"models\"\n"));
    desk
}

/// Returns what a check says, whatever it finds, and its exit code.
fn said(run: Run) -> String {
    assert_eq!(run.err, "");
    format!("{}exit {}", run.out, run.code.unwrap_or(-1))
}

#[test]
fn a_broken_key_and_a_share_out_of_bounds_are_errors_that_name_the_rows() {
    let desk = desk_with(&[("metrics/shares.sql", SHARES), ("metrics/shares.toml", SHARES_SIDECAR)]);
    insta::assert_snapshot!(said(desk.run(&["check", "shares"])), @r#"
    configuration right  topline.toml
    laws          wrong  2 laws of 1 view
    error: metrics.shares: law "key_is_unique" is broken in 1 row: No two rows have the same month, channel.
      month = 2026-02-01, channel = ads, rows = 2
    error: metrics.shares: law "shares_are_within_0_and_1" is broken in 1 row: Within 0 and 1 lie part.
      month = 2026-02-01, channel = ads, part = 1.01
    2 errors, 0 warnings
    exit 1
    "#);
}

#[test]
fn a_broken_law_is_as_bad_as_it_says() {
    let law = |severity: &str, rows: &str| {
        let sidecar = format!(
            "{SHARES_SIDECAR}[[checks]]\nname = \"email_is_free\"\ndescription = \"Email costs nothing.\"\n\
             severity = \"{severity}\"\nsql = \"select month, channel from shares where {rows}\"\n"
        );
        desk_with(&[
            (
                "metrics/shares.sql",
                "select unnest(day_series(date '2026-01-01', date '2026-01-30')) as month, 'email' as channel, \
                    0.5e0 as part",
            ),
            ("metrics/shares.toml", &sidecar),
        ])
    };
    insta::assert_snapshot!(said(law("error", "channel = 'email'").run(&["check", "shares"])), @r#"
    configuration right  topline.toml
    laws          wrong  3 laws of 1 view
    error: metrics.shares: law "email_is_free" is broken in 30 rows: Email costs nothing.
      month = 2026-01-01, channel = email
      month = 2026-01-02, channel = email
      month = 2026-01-03, channel = email
      month = 2026-01-04, channel = email
      month = 2026-01-05, channel = email
      and 25 more
    1 error, 0 warnings
    exit 1
    "#);
    insta::assert_snapshot!(said(law("warning", "month < date '2026-01-03'").run(&["check", "metrics.shares"])), @r#"
    configuration right  topline.toml
    laws          right  3 laws of 1 view
    warning: metrics.shares: law "email_is_free" is broken in 2 rows: Email costs nothing.
      month = 2026-01-01, channel = email
      month = 2026-01-02, channel = email
    0 errors, 1 warning
    exit 0
    "#);
    insta::assert_snapshot!(said(law("warning", "mont is null").run(&["check", "shares"])), @r#"
    configuration right  topline.toml
    laws          wrong  3 laws of 1 view
    error: metrics.shares: law "email_is_free" cannot be tried: column "mont" does not exist
    hint: did you mean "month"?
    1 error, 0 warnings
    exit 1
    "#);
}

#[test]
fn every_law_is_in_the_json() {
    let desk = desk_with(&[("metrics/shares.sql", SHARES), ("metrics/shares.toml", SHARES_SIDECAR)]);
    let run = desk.run(&["check", "shares", "cac", "--format", "json"]);
    assert_eq!(run.code, Some(1));
    let found: serde_json::Value = serde_json::from_str(&run.out).expect("JSON");
    let laws: Vec<String> = found["laws"]
        .as_array()
        .expect("laws")
        .iter()
        .map(|law| format!("{} {} {} {} {}", law["view"], law["name"], law["severity"], law["state"], law["rows"]))
        .collect();
    let of_shares: Vec<&String> = laws.iter().filter(|law| law.contains("shares")).collect();
    assert_eq!(
        of_shares,
        [
            r#""metrics.shares" "key_is_unique" "error" "broken" 1"#,
            r#""metrics.shares" "shares_are_within_0_and_1" "error" "broken" 1"#
        ]
    );
    assert!(laws.contains(&r#""metrics.cac" "key_is_unique" "error" "kept" 0"#.to_owned()), "{laws:?}");
    assert_eq!(found["is_right"], false);
}

#[test]
fn a_law_that_does_not_parse_or_reads_nothing_known_is_named_with_its_line() {
    let law = |name: &str, sql: &str| format!("[[checks]]\nname = \"{name}\"\ndescription = \"x\"\nsql = \"{sql}\"\n");
    let sidecar = format!("{SHARES_SIDECAR}{}{}", law("one", "select 1 frm x y"), law("two", "select 1; select 2"));
    let other = law("three", "select 1 from nr");
    let desk = desk_with(&[
        ("metrics/shares.sql", SHARES),
        ("metrics/shares.toml", &sidecar),
        ("metrics/others.sql", "select 1 as x"),
        ("metrics/others.toml", &other),
    ]);
    insta::assert_snapshot!(said(desk.run(&["check"])), @r#"
    configuration right  topline.toml
    error: the models are wrong: 3 problems
      models/metrics/shares.toml:9: check "one": syntax error: expected: end of statement, found: x
      models/metrics/shares.toml:13: check "two": expected one select, found 2 statements
      models/metrics/others.toml:4: reads "metrics.nr", which is neither a model nor a source table; hint: did you mean "metrics.nrr"?
    1 error, 0 warnings
    exit 1
    "#);
}

#[test]
fn only_views_have_laws() {
    let desk = desk_with(&[]);
    insta::assert_snapshot!(desk.run(&["check", "nr"]).err, @r#"
    error: table "metrics.nr" does not exist
    hint: did you mean "metrics.nrr"?
    "#);
    insta::assert_snapshot!(desk.run(&["check", "crm.accounts"]).err, @r#"
    error: "crm.accounts" is a table, and has no laws
    hint: topline check without a name checks the tables too
    "#);
}
