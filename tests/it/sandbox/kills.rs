//! The binary killed in the middle of a write: what is there afterwards is what was, or all that was to be.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{TableExistsOption, TableNotExistOption};
use futures::StreamExt;
use futures::stream;
use tokio::sync::Notify;

use super::flight::{connected, numbers, upload};
use super::{Place, one, write, writes};

/// Batches of an upload.
const BATCHES: i64 = 12;

/// Rows of a batch: more than a message, so that the server works while the client sends.
const ROWS: i64 = 20_000;

fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topline"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOPLINE_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(place.folder.path())
        .env("TOPLINE_WAREHOUSE_LOCATION", place.warehouse())
        .env("TOPLINE_FLIGHT_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Starts the server; returns it with its address once it listens.
fn serve(place: &Place) -> (Child, String) {
    let mut server = command(place, &["serve"]).spawn().expect("the binary starts");
    let mut lines = BufReader::new(server.stderr.take().expect("it is piped")).lines();
    let address = lines.find_map(|line| line.expect("text").strip_prefix("listening on ").map(str::to_owned));
    // Read to its end, so that the server never waits for somebody who reads.
    std::thread::spawn(move || lines.for_each(drop));
    (server, format!("http://{}", address.expect("it listens")))
}

fn batch(place: i64) -> Result<RecordBatch, FlightError> {
    Ok(numbers(place * ROWS..(place + 1) * ROWS))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_of_an_upload_leaves_the_old_table_or_the_new_one() {
    let place = Place::new();
    let engine = place.open().await;
    writes(&engine, &["create table sandbox.t as select 1 as n"]).await;
    let (mut old, mut new) = (0, 0);
    // Killed once so many batches were sent; beyond the last one, while the server closes files and commits.
    for kill_at in 0..BATCHES + 4 {
        writes(&engine, &["create or replace table sandbox.t as select cast(1 as bigint) as n"]).await;
        let (mut server, url) = serve(&place);
        let mut client = connected(url).await;
        let (sent, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let signal = Arc::clone(&sent);
        let rows = stream::iter(0..BATCHES).map(move |place| {
            if place == kill_at {
                signal.notify_one();
            }
            batch(place)
        });
        let last = Arc::clone(&told);
        let rows = rows.chain(stream::poll_fn(move |_| {
            last.notify_one();
            std::task::Poll::Ready(None)
        }));
        let command = upload("t", TableNotExistOption::Fail, TableExistsOption::Replace);
        let loading = tokio::spawn(async move { client.execute_ingest(command, rows).await });
        if kill_at < BATCHES {
            sent.notified().await;
        } else {
            told.notified().await;
            let wait = u64::try_from(kill_at - BATCHES).expect("behind the last") * 40;
            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        }
        server.kill().expect("it runs");
        server.wait().expect("it is gone");
        let acknowledged = loading.await.expect("no panic").is_ok();
        let count = one(&engine, "select count(*) from sandbox.t").await;
        match count.as_str() {
            "1" if !acknowledged => old += 1,
            count if count == (BATCHES * ROWS).to_string() => new += 1,
            count => panic!("killed at {kill_at}: {count} rows, acknowledged: {acknowledged}"),
        }
        assert_eq!(write(&mut engine.session(), "insert into sandbox.t values (5)").await.expect("it goes on"), 1);
    }
    assert!(old >= 10, "{old} of them were killed before the commit, {new} behind it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_killed_in_the_middle_of_a_write_leaves_the_old_table_or_the_new_one() {
    /// Kills, spread over the time that a whole run takes.
    const KILLS: u32 = 10;
    let place = Place::new();
    let engine = place.open().await;
    let make = "create or replace table sandbox.t as select a.value as n, md5(cast(a.value as varchar)) as word \
        from generate_series(1, 200000) as a";
    let started = std::time::Instant::now();
    assert!(command(&place, &["query", make]).status().expect("it runs").success());
    let whole = started.elapsed();
    assert_eq!(one(&engine, "select count(*) from sandbox.t").await, "200000");
    for kill in 1..=KILLS {
        writes(&engine, &["create or replace table sandbox.t as select 1 as n"]).await;
        let mut running = command(&place, &["query", make]).spawn().expect("it starts");
        tokio::time::sleep(whole * kill / KILLS).await;
        running.kill().expect("it may be killed");
        running.wait().expect("it is gone");
        let count = one(&engine, "select count(*) from sandbox.t").await;
        assert!(
            count == "1" || count == "200000",
            "killed after {:?} of {whole:?}: {count} rows",
            whole * kill / KILLS
        );
    }
}
