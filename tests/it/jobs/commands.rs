//! `topline jobs` and `topline serve` as processes.

use std::collections::BTreeSet;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use topline::domain::clock::Clock;
use topline::jobs::Asked;

use super::Shop;

const MINUTELY: &str = "[[jobs]]\nname = \"minutely\"\ncron = \"* * * * *\"\nmetrics = [\"paid\"]\n";

fn command(shop: &Shop, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topline"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOPLINE_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(shop.project.path("")).stdin(Stdio::null());
    command
}

fn run(shop: &Shop, arguments: &[&str]) -> Output {
    command(shop, arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the ticks of a job that ended in a way, as the command lists them.
fn listed(shop: &Shop, state: &str) -> Vec<String> {
    let output = run(shop, &["jobs", "history", "--limit", "1000", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let records: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let of_state = records.iter().filter(|record| record["state"] == state);
    of_state.map(|record| record["tick"].as_str().expect("a tick").to_owned()).collect()
}

#[test]
fn of_two_processes_that_run_a_job_one_runs_each_tick_and_both_say_what_became_of_it() {
    let shop = Shop::new(MINUTELY, "2026-01-01T00:00:00Z");
    for _ in 0..3 {
        let start = || {
            let mut command = command(&shop, &["jobs", "run", "minutely"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        };
        let running: [Child; 2] = [start(), start()];
        for process in running {
            let output = process.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
    }
    let done = listed(&shop, "done");
    assert!(!done.is_empty());
    assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), done.len(), "a tick was run twice: {done:?}");
}

#[test]
fn the_exit_code_says_whether_the_job_did_its_work() {
    let shop = Shop::new("[[jobs]]\nname = \"asked\"\nmetrics = [\"paid\"]\n", "2026-01-01T00:00:00Z");
    let first = run(&shop, &["jobs", "run", "asked"]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(text(&first.stdout).contains("version 0, 0 numbers restated"), "{}", text(&first.stdout));
    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    let held = run(&shop, &["jobs", "run", "asked", "--format", "json"]);
    assert_eq!(held.status.code(), Some(1));
    let settled: Value = serde_json::from_slice(&held.stdout).expect("JSON");
    assert_eq!(settled[0]["state"], "held");
    let unknown = run(&shop, &["jobs", "run", "aske"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(text(&unknown.stderr), "error: job \"aske\" does not exist\nhint: did you mean \"asked\"?\n");
    let none = run(&shop, &["jobs", "run", "asked", "--again"]);
    assert_eq!((none.status.code(), text(&none.stdout).as_str()), (Some(0), "nothing is owed\n"));
    let watch = run(&shop, &["jobs", "watch"]);
    assert_eq!(watch.status.code(), Some(1));
    assert!(text(&watch.stderr).starts_with("error: jobs are watched in a terminal"), "{}", text(&watch.stderr));
}

/// A journal whose newest entry is broken keeps nobody from another job.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_read_hides_no_other_job() {
    let jobs =
        "[[jobs]]\nname = \"broken\"\nmetrics = [\"paid\"]\n\n[[jobs]]\nname = \"whole\"\nmetrics = [\"paid\"]\n";
    let shop = Shop::new(jobs, "2026-01-01T00:00:00Z");
    shop.scheduler().await.run_job("broken", Asked::Owed).await.expect("it runs");
    let newest = "warehouse/_topline/jobs/broken/00000000000000000002.json";
    assert!(shop.project.path(newest).exists() && !shop.project.path(&newest.replace("02.", "03.")).exists());
    shop.project.bytes(newest, b"{\"number\":");
    let whole = run(&shop, &["jobs", "run", "whole"]);
    assert_eq!((whole.status.code(), text(&whole.stdout).contains("done: tick")), (Some(0), true), "{whole:?}");
    let list = run(&shop, &["jobs", "list", "--format", "json"]);
    let states: Vec<Value> = serde_json::from_slice(&list.stdout).expect("JSON");
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&"unreadable".into(), &"ok".into()));
    assert_eq!(list.status.code(), Some(1));
    let said = text(&list.stderr);
    assert!(said.starts_with("error: entry 2 of job \"broken\" cannot be read\nhint: "), "{said}");
    let engine = shop.engine().await;
    topline::jobs::hand_over(&engine);
    assert_eq!(
        super::rows(&engine, "select state, last_why from meta.jobs order by job").await,
        ["unreadable | entry 2 of job \"broken\" cannot be read", "ok | "]
    );
    std::fs::remove_file(shop.project.path(newest)).expect("it is there");
    assert_eq!(run(&shop, &["jobs", "list"]).status.code(), Some(0), "the hint says so");
}

/// The channels of another job are none of this one's, and its own are told once the result is printed.
#[test]
fn a_job_needs_its_own_channels_alone_and_prints_before_they_are_told() {
    let jobs = "[[jobs]]\nname = \"loud\"\nmetrics = [\"paid\"]\nnotify = [\"hook\"]\n\n[[jobs]]\nname = \
                \"quiet\"\nmetrics = [\"paid\"]\n\n[[jobs]]\nname = \"told\"\nmetrics = [\"paid\"]\nnotify = \
                [\"copy\"]\n\n[notify.hook]\nwebhook_env = \"NO_SUCH_HOOK\"\n\n[notify.copy]\ncommand = [\"cp\", \
                \"printed.txt\", \"seen.txt\"]\n";
    let shop = Shop::new(jobs, "2026-01-01T00:00:00Z");
    let loud = run(&shop, &["jobs", "run", "loud"]);
    assert_eq!(loud.status.code(), Some(1));
    assert!(text(&loud.stderr).contains("environment variable \"NO_SUCH_HOOK\" is not set"), "{}", text(&loud.stderr));
    let quiet = run(&shop, &["jobs", "run", "quiet"]);
    assert_eq!(quiet.status.code(), Some(0), "{}", text(&quiet.stderr));
    assert!(text(&quiet.stdout).contains("version 0, 0 numbers restated"), "{}", text(&quiet.stdout));

    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    let printed = std::fs::File::create(shop.project.path("printed.txt")).expect("a file");
    let told = command(&shop, &["jobs", "run", "told"]).stdout(printed).stderr(Stdio::null()).status();
    assert_eq!(told.expect("it runs").code(), Some(1));
    let seen = std::fs::read_to_string(shop.project.path("seen.txt")).expect("the channel was told");
    assert!(seen.starts_with("held: "), "{seen}");
}

/// A server, ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_run_what_is_owed_since_the_last_one_once() {
    let shop = Shop::new(MINUTELY, "2026-01-01T00:00:00Z");
    // Somebody looked at the job two hours ago.
    shop.set(Clock::System.now_micros() - 7_200_000_000);
    shop.scheduler().await.run_due().await;
    let start = || {
        let mut command = command(&shop, &["serve", "--listen", "127.0.0.1:0"]);
        Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
    };
    let servers = [start(), start()];
    let done = loop {
        let done = listed(&shop, "done");
        if !done.is_empty() {
            break done;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), done.len(), "a tick was run twice: {done:?}");
    assert_eq!(listed(&shop, "skipped").len(), 1, "the ticks before the latest");
    drop(servers);
}
