//! The command line, run as a user runs it: the binary in an empty folder, on the sample that it brings along.

mod check;
mod errors;
mod explain;
mod files;
mod governance;
mod seeds;
mod users;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder to run in, with nothing in it at first.
struct Desk {
    folder: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("the folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("a file");
    }

    /// Returns the command without what the environment of the tests would change.
    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_topline"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOPLINE_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        Run::of(self.command(arguments).output().expect("the binary runs"))
    }

    fn query(&self, sql: &str, format: &str) -> Run {
        self.run(&["query", sql, "--format", format])
    }
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Returns standard output of a run that went well.
    fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.good()).expect("JSON")
    }
}

/// One row with a value of each kind, and what sets texts apart from NULL.
const VALUES: &str = "select cast(1.5 as decimal(18, 2)) as money, cast(null as varchar) as nothing, '' as empty, \
    'a,\"b' as quoted, arrow_cast('2026-11-01T01:00:00+01:00', 'Timestamp(Nanosecond, Some(\"Europe/Berlin\"))') as at, \
    date '2026-02-28' as day, 0.25e0 as share, true as flag, cast(9007199254740993 as bigint) as count, \
    cast('1234567890123456.78' as decimal(18, 2)) as wide";

#[test]
fn the_report_of_the_sample_fits_80_columns() {
    let page = Desk::new().run(&["report"]).good();
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    insta::assert_snapshot!("report", page);
}

#[test]
fn the_report_as_json_has_a_year_of_every_figure() {
    let report = Desk::new().run(&["report", "--month", "2026-09", "--format", "json"]).json();
    assert_eq!(report["month"], "2026-09");
    assert_eq!(report["is_complete"], true);
    let figures = report["figures"].as_array().expect("figures");
    assert_eq!(figures.len(), 20);
    for figure in figures {
        let trend = figure["trend"].as_array().expect("a trend");
        assert_eq!(trend.len(), 12, "{figure}");
        assert_eq!(trend[11]["month"], "2026-09");
        assert_eq!(trend[11]["value"], figure["value"]);
        assert_eq!(trend[10]["value"], figure["previous"]);
    }
    assert!(!report["channels"].as_array().expect("channels").is_empty());
}

#[test]
fn an_open_month_is_marked_and_a_missing_table_leaves_dashes_with_the_reason() {
    let desk = Desk::new();
    desk.run(&["sample", "--accounts", "30", "--months", "8", "--out", "company"]).good();
    std::fs::remove_dir_all(desk.path().join("company/billing")).expect("billing was written");
    let config = std::fs::read_to_string(desk.path().join("company/topline.toml")).expect("a configuration");
    let config = config.replace("2026-11-01", "2026-10-20").replace("[sources.billing]", "[nothing]");
    let without = config.split("[nothing]").next().expect("what stands before");
    let after = config.split("[sources.campaign]").nth(1).expect("what stands behind");
    desk.write("company/topline.toml", &format!("{without}[sources.campaign]{after}"));
    let config = ["--config", "company/topline.toml"];
    let page = desk.run(&["report", "--month", "2026-10", config[0], config[1]]).good();
    assert!(page.contains("open month: it has not ended at 2026-10-20T00:00:00Z"), "{page}");
    assert!(page.contains("2026-10*"), "{page}");
    let complete = desk.run(&["report", config[0], config[1]]).good();
    assert!(complete.starts_with("Revenue in September 2026 "), "{complete}");
    let check = desk.run(&["check", config[0], config[1]]).good();
    assert!(check.contains("warning: table \"billing.invoices\" is missing"), "{check}");
}

#[test]
fn csv_keeps_null_apart_from_the_empty_text() {
    assert_eq!(
        Desk::new().query(VALUES, "csv").good(),
        "money,nothing,empty,quoted,at,day,share,flag,count,wide\n\
         1.50,,\"\",\"a,\"\"b\",2026-11-01T00:00:00.000000Z,2026-02-28,0.25,true,9007199254740993,1234567890123456.78\n"
    );
}

#[test]
fn json_has_every_digit_of_a_decimal() {
    let row = "{\"money\":1.50,\"nothing\":null,\"empty\":\"\",\"quoted\":\"a,\\\"b\",\
               \"at\":\"2026-11-01T00:00:00.000000Z\",\"day\":\"2026-02-28\",\"share\":0.25,\"flag\":true,\
               \"count\":9007199254740993,\"wide\":1234567890123456.78}";
    let desk = Desk::new();
    assert_eq!(desk.query(VALUES, "json").good(), format!("[\n{row}\n]\n"));
    assert_eq!(desk.query(VALUES, "ndjson").good(), format!("{row}\n"));
}

#[test]
fn a_result_without_rows_is_whole_in_every_format() {
    let desk = Desk::new();
    let sql = "select 1 as a, 'x' as b where false";
    assert_eq!(desk.query(sql, "csv").good(), "a,b\n");
    assert_eq!(desk.query(sql, "json").json(), Value::Array(vec![]));
    assert_eq!(desk.query(sql, "ndjson").good(), "");
    assert!(desk.query(sql, "table").good().ends_with("0 rows\n"));
}

#[test]
fn a_table_shows_the_first_rows_and_counts_the_others() {
    let sql = "select channel, sum(amount) as spend, avg(clicks) as clicks, max(nullif(platform, platform)) as nothing \
               from campaign.spend group by channel order by channel";
    insta::assert_snapshot!("table", Desk::new().query(sql, "table").good());
    let long = Desk::new().query("select unnest(range(1, 151)) as n", "table").good();
    assert_eq!(long.lines().count(), 2 + 100 + 1, "{long}");
    assert!(long.ends_with("… 50 more rows, --format csv shows all\n"), "{long}");
}

#[test]
fn settings_before_the_query_hold_for_it() {
    let desk = Desk::new();
    let sql = "set topline.attribution.lookback_days = 30; \
               select value from meta.settings where name = 'attribution.lookback_days'";
    assert_eq!(desk.query(sql, "csv").good(), "value\n30\n");
    let alone = desk.run(&["query", "set topline.attribution.lookback_days = 30"]);
    assert_eq!((alone.code, alone.out.as_str()), (Some(0), ""));
    assert!(alone.err.starts_with("note: the settings are right"), "{}", alone.err);
}

#[test]
fn a_write_says_what_it_did_and_nothing_else() {
    let desk = Desk::new();
    for (sql, said) in [
        ("create table sandbox.big_deals as select * from crm.opportunities where amount > 50000", "10 rows written\n"),
        ("create view sandbox.deals as select count(*) as deals from sandbox.big_deals", "done\n"),
        ("insert into sandbox.big_deals select * from sandbox.big_deals limit 1", "1 row written\n"),
        ("drop table sandbox.big_deals", "done\n"),
    ] {
        let run = desk.run(&["query", sql]);
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(0), "", said), "{sql}");
    }
}

#[test]
fn sql_comes_from_a_file_or_from_standard_input() {
    let desk = Desk::new();
    desk.write("one.sql", "select 1 as one;\n");
    assert_eq!(desk.run(&["query", "-f", "one.sql"]).good(), "one\n1\n");
    let input = std::fs::File::open(desk.path().join("one.sql")).expect("the file");
    let output = desk.command(&["query", "-"]).stdin(input).output().expect("the binary runs");
    assert_eq!(Run::of(output).good(), "one\n1\n");
}

#[test]
fn a_reader_that_leaves_ends_the_query_silently() {
    use std::io::{BufRead, BufReader};
    let desk = Desk::new();
    let mut child = desk
        .command(&[
            "query",
            "select a.touch_id, b.touched_at from campaign.touches as a cross join campaign.touches as b",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().expect("it is piped"));
    reader.read_line(&mut first).expect("a line");
    drop(reader);
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!((first.as_str(), run.code, run.err.as_str()), ("touch_id,touched_at\n", Some(0), ""));
}

#[test]
fn tables_and_columns_are_explained() {
    let desk = Desk::new();
    let tables = desk.run(&["tables", "--schema", "crm", "--format", "json"]).json();
    let names: Vec<_> = tables.as_array().expect("tables").iter().map(|table| table["name"].clone()).collect();
    assert!(names.contains(&Value::from("opportunities")), "{names:?}");
    let described = desk.run(&["describe", "crm.opportunities", "--format", "json"]).json();
    assert_eq!(described["key"], Value::from(vec!["opportunity_id"]));
    let amount = described["columns"].as_array().expect("columns").iter().find(|column| column["name"] == "amount");
    assert_eq!(amount.map(|column| column["data_type"].clone()), Some(Value::from("decimal(18,2)")));
    assert!(desk.run(&["describe", "cac"]).good().starts_with("metrics.cac (view)\n"));
    assert!(desk.run(&["tables"]).good().contains("metrics.nrr"));
    assert!(desk.run(&["explain-plan", "select max(month) from cac"]).good().starts_with("AggregateExec"));
}

#[test]
fn check_says_that_the_sample_is_right() {
    let found = Desk::new().run(&["check", "--format", "json"]).json();
    assert_eq!((&found["is_right"], &found["errors"]), (&Value::from(true), &Value::Array(vec![])));
    assert_eq!(found["tables"].as_array().map(Vec::len), Some(21));
    let laws = found["laws"].as_array().expect("laws");
    assert!(laws.len() > 20 && laws.iter().all(|law| law["state"] == "kept"), "{laws:?}");
}

#[test]
fn a_company_is_written_and_can_be_asked() {
    let desk = Desk::new();
    let said = desk.run(&["sample", "--accounts", "20", "--months", "6", "--seed", "3", "--out", "company"]).good();
    assert!(said.starts_with("21 tables, ") && said.ends_with("--config company/topline.toml\n"), "{said}");
    let rows = desk.run(&["query", "select count(*) > 19 as n from crm.accounts", "--config", "company/topline.toml"]);
    assert_eq!(rows.good(), "n\ntrue\n");
}

#[test]
fn help_version_and_completions_are_there() {
    let desk = Desk::new();
    assert!(desk.run(&["--help"]).good().contains("Exit codes: 0 done"));
    for command in ["report", "query", "tables", "describe", "explain-plan", "check", "sample", "serve", "completion"] {
        assert!(desk.run(&[command, "--help"]).good().contains("Examples:"), "{command}");
    }
    assert_eq!(desk.run(&["--version"]).good(), format!("topline {}\n", env!("CARGO_PKG_VERSION")));
    assert!(desk.run(&["completion", "bash"]).good().contains("_topline"));
}

#[test]
fn colour_is_for_terminals_and_for_who_asks() {
    let desk = Desk::new();
    let sql = "select cast(null as int) as a";
    assert!(!desk.query(sql, "table").good().contains('\u{1b}'));
    assert!(desk.run(&["query", sql, "--format", "table", "--color", "always"]).good().contains("\u{1b}[2m"));
}

#[cfg(unix)]
#[test]
fn a_server_says_where_it_listens_and_ends_at_a_signal() {
    use std::io::{BufRead, BufReader};
    let desk = Desk::new();
    let mut child = desk
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut said = String::new();
    let mut reader = BufReader::new(child.stderr.take().expect("it is piped"));
    reader.read_line(&mut said).expect("a line");
    let address: std::net::SocketAddr =
        said.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok()).expect("an address");
    assert_ne!(address.port(), 0);
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()));
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
