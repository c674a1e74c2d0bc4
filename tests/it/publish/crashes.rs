//! The binary killed in the middle of a run, and two of them at once.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::{PAID, Shop, publish, published, rows};

/// Kills, spread over the time that a whole run takes.
const KILLS: u32 = 24;

/// Both tables read payments, so that a run changes them together: two sums in one query must agree.
const BOTH: &str = "select paid.paid, revenue.collected, paid._run_id = revenue._run_id as is_same
    from published.paid as paid
    inner join published.revenue as revenue on revenue.month = paid.month
    where paid.month = '2026-02-01'";

/// Returns what is wrong with what a reader sees; `None` where all is of one run.
fn fault(seen: &[String]) -> Option<String> {
    let [row] = seen else { return Some(format!("{} rows", seen.len())) };
    let values: Vec<&str> = row.split(" | ").collect();
    (values[0] != values[1] || values[2] != "true").then(|| row.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_leaves_no_trace_and_the_next_one_ends_as_if_it_had_not_been() {
    let shop = Shop::new();
    let engine = shop.open().await;
    publish(&engine, &PAID).await;
    shop.pay_late(1);
    let started = Instant::now();
    assert!(
        shop.command(&["materialize", "paid", "revenue"]).stdout(Stdio::null()).status().expect("it runs").success()
    );
    let whole = started.elapsed();
    let (ended, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let reader = {
        let (engine, ended, looks) = (shop.open().await, Arc::clone(&ended), Arc::clone(&looks));
        tokio::spawn(async move {
            let mut faults = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                faults.extend(fault(&rows(&engine, BOTH).await));
                looks.fetch_add(1, Ordering::Relaxed);
            }
            faults
        })
    };
    let mut killed = 0;
    for kill in 1..=KILLS {
        shop.pay_late(100 * i64::from(kill));
        let mut running = shop
            .command(&["materialize", "paid", "revenue"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        tokio::time::sleep(whole * kill / KILLS).await;
        killed += u32::from(running.try_wait().expect("its state").is_none());
        running.kill().expect("it may be killed");
        running.wait().expect("it is gone");
    }
    assert!(killed >= 20, "{killed} of {KILLS} were killed before their end");
    shop.pay_late(4_200);
    let last = shop.command(&["materialize", "paid", "revenue"]).output().expect("it runs");
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
    ended.store(true, Ordering::Relaxed);
    let faults = reader.await.expect("no panic");
    assert!(faults.is_empty(), "{faults:?}");
    assert!(looks.load(Ordering::Relaxed) > 10);

    let clean = Shop::new();
    clean.pay_late(4_200);
    let other = clean.open().await;
    publish(&other, &PAID).await;
    for metric in PAID {
        assert_eq!(published(&engine, metric).await, published(&other, metric).await, "{metric}");
    }
    // Restatements lead from the first numbers to the last without a gap.
    let steps = rows(
        &engine,
        "select value_before, value_after from meta.restatements where metric = 'paid' and \"column\" = 'paid' order by at",
    )
    .await;
    let mut value = "100.00".to_owned();
    for step in &steps {
        let (before, after) = step.split_once(" | ").expect("two values");
        assert_eq!(before, value, "{steps:?}");
        after.clone_into(&mut value);
    }
    assert_eq!(value, "142.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_at_once_both_end_well_and_what_is_published_is_one_runs() {
    let shop = Shop::new();
    let engine = shop.open().await;
    for round in 0..4 {
        shop.pay_late(100 + i64::from(round));
        let start = || {
            shop.command(&["materialize", "paid", "revenue"])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        };
        let (one, other) = (start(), start());
        for run in [one, other] {
            let output = run.wait_with_output().expect("it ends");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() || error.contains("changed whenever months"), "{error}");
        }
        let seen = rows(&engine, BOTH).await;
        assert_eq!(fault(&seen), None);
        assert!(seen[0].starts_with(&format!("101.0{round} | ")), "{seen:?}");
    }
    assert_eq!(rows(&engine, "select count(*), max(version) from meta.runs").await, ["4 | 3"]);
    let clean = Shop::new();
    clean.pay_late(103);
    let other = clean.open().await;
    publish(&other, &PAID).await;
    for metric in PAID {
        assert_eq!(published(&engine, metric).await, published(&other, metric).await, "{metric}");
    }
}
