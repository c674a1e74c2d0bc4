//! What `meta` tells of jobs.

use super::{Shop, rows};

const JOBS: &str = "[[jobs]]\nname = \"daily\"\ncron = \"0 2 * * *\"\nmetrics = [\"paid\"]\ndeadline = \"1 h\"\nmonths = \
                    \"last 1\"\n\n[[jobs]]\nname = \"asked\"\nmetrics = [\"paid\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_ticks_and_the_freshness_of_each_month_are_tables() {
    let shop = Shop::new(JOBS, "2026-01-01T00:00:00Z");
    let scheduler = shop.scheduler().await;
    let engine = shop.engine().await;
    topline::jobs::hand_over(&engine);
    assert_eq!(
        rows(&engine, "select job, state, cron, zone, retries, deadline_seconds from meta.jobs").await,
        ["daily | new | 0 2 * * * | UTC | 5 | 3600", "asked | new |  |  | 5 | 7200",]
    );
    assert!(rows(&engine, "select * from meta.job_ticks").await.is_empty());
    scheduler.run_due().await;
    scheduler.run_job("asked", topline::jobs::Asked::Owed).await.expect("it runs");
    shop.pay("p2", "2025-12-15T10:00:00Z", 5_000);
    shop.go_to("2026-01-03T02:00:00Z");
    scheduler.run_due().await;
    let jobs = "select job, state, last_state, last_version, next_at from meta.jobs";
    assert_eq!(
        rows(&engine, jobs).await,
        ["daily | ok | done | 1 | 2026-01-04T02:00:00Z", "asked | ok | done | 0 | ",]
    );
    let ticks = "select job, state, cause, ticks, version, tick from meta.job_ticks";
    assert_eq!(
        rows(&engine, ticks).await,
        [
            "daily | done | schedule | 1 | 1 | 2026-01-03T02:00:00Z",
            "daily | skipped | schedule | 2 |  | 2026-01-01T02:00:00Z",
            "asked | done | request | 1 | 0 | 2026-01-01T00:00:00Z",
        ]
    );
    let runs = "select ticks.job, runs.kind from meta.job_ticks as ticks inner join meta.runs as runs using (version)";
    let mut found = rows(&engine, runs).await;
    found.sort();
    assert_eq!(found, ["asked | published", "daily | published"]);

    let checks = "select month, job, checked_at, due_at, is_late from meta.month_checks order by month, job";
    let expected = [
        "2025-11-01 | asked | 2026-01-01T00:00:00Z |  | false",
        "2025-12-01 | asked | 2026-01-01T00:00:00Z |  | false",
        "2025-12-01 | daily | 2026-01-03T02:00:00Z | 2026-01-04T02:00:00Z | false",
    ];
    assert_eq!(rows(&engine, checks).await, expected);
    shop.go_to("2026-01-04T03:00:01Z");
    let late = "select month, is_late from meta.month_checks where job = 'daily'";
    assert_eq!(rows(&engine, late).await, ["2025-12-01 | true"], "the tick of 02:00 had an hour");
    assert_eq!(
        rows(&engine, "select count(*) from meta.columns where table_name in ('jobs', 'job_ticks', 'month_checks')")
            .await,
        ["37"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn months_after_the_newest_closed_one_are_open() {
    let jobs = "[[jobs]]\nname = \"open\"\nmetrics = [\"paid\"]\nmonths = \"open\"\n";
    let shop = Shop::new(jobs, "2026-02-01T00:00:00Z");
    let (scheduler, engine) = (shop.scheduler().await, shop.engine().await);
    let months = async || {
        let settled = scheduler.run_job("open", topline::jobs::Asked::Now).await.expect("it runs");
        settled.iter().map(|settled| settled.months.clone()).collect::<Vec<_>>()
    };
    assert_eq!(months().await, ["due"]);
    let close = async |month: &str| {
        topline::publish::close(&engine, month.parse().expect("a month"), "it is over", "ann").await.expect("it closes")
    };
    close("2025-11").await;
    assert_eq!(months().await, ["2025-12 to 2026-01"]);
    shop.pay("p2", "2026-01-15T10:00:00Z", 5_000);
    months().await;
    close("2026-01").await;
    assert_eq!(months().await, ["none"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_is_run_again_leaves_months_as_fresh_as_they_are() {
    let jobs = JOBS.replace("deadline", "retries = 0\ndeadline");
    let shop = Shop::new(&jobs, "2026-01-01T00:00:00Z");
    let (scheduler, engine) = (shop.scheduler().await, shop.engine().await);
    topline::jobs::hand_over(&engine);
    scheduler.run_due().await;
    shop.project.bytes("billing/payments/p2.parquet", b"PAR1");
    shop.go_to("2026-01-02T02:00:00Z");
    scheduler.run_due().await;
    shop.pay("p2", "2025-12-15T10:00:00Z", 5_000);
    shop.go_to("2026-01-03T02:00:00Z");
    scheduler.run_due().await;
    // The tick of the day before, once the one of that day is done.
    shop.go_to("2026-01-03T04:00:00Z");
    let settled = scheduler.run_job("daily", topline::jobs::Asked::Again).await.expect("it runs");
    assert_eq!(settled.iter().map(|settled| settled.outcome.name()).collect::<Vec<_>>(), ["done"]);
    let checks = "select checked_at, due_at, is_late from meta.month_checks where job = 'daily'";
    assert_eq!(rows(&engine, checks).await, ["2026-01-03T04:00:00Z | 2026-01-04T02:00:00Z | false"]);
}
