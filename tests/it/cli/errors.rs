//! What a user reads who made a mistake, and the exit code that goes with it.

use super::{Desk, Run};

/// A configuration that is right but for what stands before it.
const SOURCE: &str = "[sources.crm]\nconnector = \"canonical\"\nlocation = \"crm\"\n";

impl Run {
    /// Returns what a run said that the user can mend.
    pub(super) fn fault(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{}", self.err);
        self.err
    }
}

fn refused(sql: &str) -> String {
    Desk::new().run(&["query", sql]).fault()
}

fn configured(text: &str) -> String {
    let desk = Desk::new();
    desk.write("topline.toml", &format!("{text}{SOURCE}"));
    desk.run(&["query", "select 1"]).fault()
}

#[test]
fn every_problem_of_a_configuration_is_listed() {
    insta::assert_snapshot!(
        configured("[attribution]\nlookback_day = 3\nhalf_life_days = \"x\"\n[cac]\ncost_lag_months = 13\n"),
        @r#"
    error: the configuration is wrong: 3 problems
      topline.toml: [attribution] half_life_days: expected a number, found "x"
      topline.toml: unknown key "lookback_day" in [attribution]; hint: did you mean "lookback_days"?
      topline.toml: [cac] cost_lag_months: expected a whole number from 0 to 12, found "13"
    "#
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    insta::assert_snapshot!(Desk::new().run(&["query", "select 1", "--config", "nope.toml"]).fault(), @r#"
    error: configuration file "nope.toml" does not exist
    hint: name another with --config FILE, or leave it out to work on the sample
    "#);
    insta::assert_snapshot!(Desk::new().run(&["query", "--file", "nope.sql"]).fault(), @r#"
    error: SQL file "nope.sql" cannot be read
    cause: No such file or directory (os error 2)
    "#);
    let source = configured("");
    assert!(source.starts_with("error: source \"crm\": location \"crm\" does not exist"), "{source}");
}

#[test]
fn check_lists_what_is_wrong_and_exits_with_1() {
    let desk = Desk::new();
    desk.write("topline.toml", &format!("[attribution]\nlookback_day = 3\n{SOURCE}"));
    let run = desk.run(&["check"]);
    assert_eq!((run.code, run.err.as_str()), (Some(1), ""));
    insta::assert_snapshot!(run.out, @r#"
    configuration wrong
    error: topline.toml: unknown key "lookback_day" in [attribution]; hint: did you mean "lookback_days"?
    1 error, 0 warnings
    "#);
}

#[test]
fn settings_have_names_and_bounds() {
    insta::assert_snapshot!(refused("set topline.attribution.lookback_day = 3; select 1"), @r#"
    error: unknown setting "attribution.lookback_day"
    hint: did you mean "attribution.lookback_days"?
    "#);
    insta::assert_snapshot!(
        refused("set topline.attribution.lookback_days = 0; select 1"),
        @r#"error: setting "attribution.lookback_days": expected a number above 0 up to 3650, found "0""#
    );
    insta::assert_snapshot!(refused("set datafusion.execution.batch_size = 1; select 1"), @r"
    error: set datafusion.execution.batch_size is not allowed: only settings of topline can be set
    hint: write set topline.NAME = VALUE; select name, bounds from meta.settings lists them
    ");
}

#[test]
fn statements_that_do_more_than_read_are_refused() {
    for (sql, name) in [
        ("copy cac to 'x.csv'", "copy"),
        ("create external table x stored as parquet location 'x'", "create external table"),
        ("insert into crm.accounts values (1)", "insert into"),
        ("drop table crm.accounts", "drop table"),
    ] {
        let said = refused(sql);
        assert!(
            said.starts_with(&format!("error: {name} is not allowed")) && said.contains("topline is read-only"),
            "{said}"
        );
    }
}

#[test]
fn files_are_no_tables() {
    let desk = Desk::new();
    desk.write("x.csv", "a\n1\n");
    for sql in ["select * from 'x.csv'", "select * from '/etc/hosts'"] {
        let said = desk.run(&["query", sql]).fault();
        assert!(said.starts_with("error: table ") && said.contains("does not exist\nhint: "), "{said}");
    }
}

#[test]
fn unknown_names_come_with_the_nearest() {
    insta::assert_snapshot!(refused("select * from cak"), @r#"
    error: table "metrics.cak" does not exist
    hint: did you mean "metrics.cac"?
    "#);
    insta::assert_snapshot!(refused("select mont from cac"), @r#"
    error: column "mont" does not exist
    hint: did you mean "month"?
    "#);
    insta::assert_snapshot!(Desk::new().run(&["tables", "--schema", "metric"]).fault(), @r#"
    error: schema "metric" does not exist
    hint: did you mean "metrics"?
    "#);
}

#[test]
fn a_syntax_error_says_where() {
    insta::assert_snapshot!(
        refused("selec 1"),
        @"error: syntax error at line 1, column 1: expected: an SQL statement, found: selec"
    );
}

#[test]
fn a_value_that_does_not_convert_leaves_standard_output_empty() {
    let said = refused("select cast('x' as int) as a");
    assert!(said.starts_with("error: ") && said.contains("'x'"), "{said}");
}

#[test]
fn a_month_is_written_one_way_and_lies_within_the_data() {
    let desk = Desk::new();
    let said = desk.run(&["report", "--month", "october"]).fault();
    assert!(said.contains("'--month <MONTH>': expected a month such as 2026-10"), "{said}");
    let said = desk.run(&["report", "--month", "2031-01"]).fault();
    assert!(said.starts_with("error: month 2031-01 is outside the data, which goes from "), "{said}");
    assert!(said.contains("\nhint: the last one is --month "), "{said}");
}

#[test]
fn slips_in_arguments_and_environment_exit_with_1() {
    let desk = Desk::new();
    assert!(desk.run(&["reprot"]).fault().contains("report"));
    assert!(desk.run(&["query"]).fault().contains("<SQL>"));
    assert!(desk.run(&["sample", "--accounts", "0", "--out", "x"]).fault().contains("expected 1 to"));
    assert!(desk.names().is_empty(), "{:?}", desk.names());
    let output = desk.command(&["tables"]).env("TOPLINE_LOG", "a=b=c").output().expect("the binary runs");
    insta::assert_snapshot!(Run::of(output).fault(), @r#"
    error: environment: TOPLINE_LOG: expected a filter of the log, found "a=b=c"
    hint: such as warn, info or topline=debug
    "#);
}

#[test]
fn a_format_that_cannot_be_told_is_asked_for() {
    let desk = Desk::new();
    insta::assert_snapshot!(desk.run(&["query", "select 1", "--output", "rows"]).fault(), @r#"
    error: output file "rows": its name does not say which format it has
    hint: end it with .csv, .json, .ndjson, .parquet or .arrow, or name the format with --format
    "#);
    assert!(desk.names().is_empty());
}
