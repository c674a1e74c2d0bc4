//! Ticks over time: a year of them, downtime, and clocks that jump.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Shop, both, instant, rows, shown, ticks};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Times that the clocks jump over or show twice, in two zones, and one that is always there.
const YEAR: &str = r#"
[[jobs]]
name = "berlin"
cron = "30 2 * * *"
zone = "Europe/Berlin"
metrics = ["paid"]

[[jobs]]
name = "santiago"
cron = "0 0 * * *"
zone = "America/Santiago"
metrics = ["paid"]

[[jobs]]
name = "weekly"
cron = "0 6 * * mon"
metrics = ["paid"]
"#;

/// Two schedulers on one warehouse for a year: each tick is run once, by one of them.
#[tokio::test(flavor = "multi_thread")]
async fn over_a_year_two_schedulers_run_each_tick_once() {
    let shop = Shop::new(YEAR, "2026-01-01T00:00:00Z");
    let (one, other) = (Arc::new(shop.scheduler().await), Arc::new(shop.scheduler().await));
    both(&one, &other).await;
    // Every six hours, so that each tick has a look of its own before the next one.
    let (mut now, end) = (instant("2026-01-01T00:00:00Z"), instant("2027-01-01T00:00:00Z"));
    while now < end {
        now += 6 * HOUR;
        shop.set(now);
        both(&one, &other).await;
    }
    for (job, count) in [("berlin", 365), ("santiago", 365), ("weekly", 52)] {
        let found = ticks(&one, job).await;
        let distinct: BTreeMap<&str, u32> = found.iter().fold(BTreeMap::new(), |mut counts, tick| {
            *counts.entry(tick.as_str()).or_default() += 1;
            counts
        });
        assert_eq!(distinct.values().max(), Some(&1), "{job} ran a tick twice");
        assert!(found.iter().all(|tick| tick.ends_with(" done")), "{job}: {found:?}");
        assert_eq!(found.len(), count, "{job}");
    }
    let berlin = ticks(&one, "berlin").await;
    for tick in ["03-28 01:30 done", "03-29 01:00 done", "03-30 00:30 done", "10-25 00:30 done", "10-26 01:30 done"] {
        assert!(berlin.iter().any(|found| found == tick), "{tick}");
    }
    let santiago = ticks(&one, "santiago").await;
    for tick in ["04-04 03:00 done", "04-05 04:00 done", "09-05 04:00 done", "09-06 04:00 done", "09-07 03:00 done"] {
        assert!(santiago.iter().any(|found| found == tick), "{tick}");
    }
    // Nothing changed but that months ended: the one month with payments was published once.
    let runs = rows(&shop.engine().await, "select kind, count(*) from meta.runs group by kind").await;
    assert_eq!(runs, ["published | 1"]);
}

fn hourly(policy: &str) -> String {
    format!("[[jobs]]\nname = \"hourly\"\ncron = \"0 * * * *\"\nmetrics = [\"paid\"]\npolicy = \"{policy}\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn after_downtime_every_owed_tick_is_run_or_skipped_by_the_policy() {
    let cases = [
        ("latest", vec!["01-01 01:00 done", "3 from 01-01 02:00 skipped", "01-01 05:00 done", "01-01 06:00 done"]),
        (
            "all",
            vec![
                "01-01 01:00 done",
                "01-01 02:00 done",
                "01-01 03:00 done",
                "01-01 04:00 done",
                "01-01 05:00 done",
                "01-01 06:00 done",
            ],
        ),
        ("skip", vec!["01-01 01:00 done", "4 from 01-01 02:00 skipped", "01-01 06:00 done"]),
    ];
    for (policy, expected) in cases {
        let shop = Shop::new(&hourly(policy), "2026-01-01T00:30:00Z");
        let scheduler = shop.scheduler().await;
        for now in ["2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z", "2026-01-01T05:30:00Z", "2026-01-01T06:00:01Z"] {
            shop.go_to(now);
            // A process of its own each time: nothing is known but what the warehouse holds.
            shop.scheduler().await.run_due().await;
        }
        assert_eq!(ticks(&scheduler, "hourly").await, expected, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_doubles_and_loses_no_tick() {
    let shop = Shop::new(&hourly("latest"), "2026-01-01T00:30:00Z");
    let scheduler = shop.scheduler().await;
    scheduler.run_due().await;
    // By five hours ahead, and back again.
    for now in ["2026-01-01T01:00:00Z", "2026-01-01T06:10:00Z"] {
        shop.go_to(now);
        scheduler.run_due().await;
    }
    let mut now = instant("2026-01-01T01:10:00Z");
    while now < instant("2026-01-01T09:00:00Z") {
        shop.set(now);
        scheduler.run_due().await;
        now += HOUR / 6;
    }
    let expected = [
        "01-01 01:00 done",
        "4 from 01-01 02:00 skipped",
        "01-01 06:00 done",
        "01-01 02:00 done",
        "01-01 03:00 done",
        "01-01 04:00 done",
        "01-01 05:00 done",
        "01-01 07:00 done",
        "01-01 08:00 done",
    ];
    assert_eq!(ticks(&scheduler, "hourly").await, expected, "06:00 was run ahead of its time, and not again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_changes_settles_what_it_owed_and_owes_nothing_of_before() {
    let shop = Shop::new(&hourly("latest"), "2026-01-01T00:30:00Z");
    shop.scheduler().await.run_due().await;
    let text = std::fs::read_to_string(shop.project.path("topline.toml")).expect("it is there");
    shop.project.text("topline.toml", &text.replace("0 * * * *", "*/15 * * * *"));
    shop.go_to("2026-01-01T01:01:00Z");
    let scheduler = shop.scheduler().await;
    scheduler.run_due().await;
    assert_eq!(ticks(&scheduler, "hourly").await, ["01-01 01:00 done"]);
    shop.go_to("2026-01-01T01:15:00Z");
    scheduler.run_due().await;
    assert_eq!(ticks(&scheduler, "hourly").await, ["01-01 01:00 done", "01-01 01:15 done"]);
    let next = scheduler.standings().await[0].next.expect("it has a schedule");
    assert_eq!(shown(next), "01-01 01:30");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minutely_job_that_nobody_ran_for_a_month_is_up_to_date_at_once() {
    let shop = Shop::new(&hourly("latest").replace("0 * * * *", "* * * * *"), "2026-01-01T00:00:30Z");
    let scheduler = shop.scheduler().await;
    scheduler.run_due().await;
    shop.go_to("2026-02-01T00:00:30Z");
    scheduler.run_due().await;
    let records = scheduler.history(Some("hourly"), usize::MAX).await.expect("a journal");
    // 31 days of minutes, looked at by the week.
    assert_eq!(records.iter().map(|record| record.ticks).sum::<u64>(), 31 * 24 * 60);
    assert_eq!(records.iter().filter(|record| record.state == "done").count(), 1);
}
