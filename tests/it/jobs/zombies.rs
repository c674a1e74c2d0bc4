//! Runs that go on although another took their tick over, and failures that are tried again.

use std::sync::mpsc;

use topline::publish::{Step, materialize};

use super::{Shop, instant, request, rows, ticks};

const DAILY: &str = "[[jobs]]\nname = \"daily\"\ncron = \"0 2 * * *\"\nmetrics = [\"paid\"]\nretries = 2\n";

/// What is published, and the runs that did it.
const PUBLISHED: &str = "select (select sum(paid) from published.paid), (select count(*) from meta.runs)";

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_whose_process_died_is_run_by_another_once_its_claim_is_over() {
    let shop = Shop::new(DAILY, "2026-01-01T00:00:00Z");
    let (dying, other) = (shop.scheduler().await, shop.scheduler().await);
    dying.run_due().await;
    shop.go_to("2026-01-01T02:00:00Z");
    // Dropped when it waits for the first time after its claim was taken down.
    shop.abandon(dying).await;
    assert_eq!(other.standings().await[0].state, "running");
    let until = other.run_due().await.expect("it waits for the claim");
    assert_eq!(until, instant("2026-01-01T02:01:00Z"));
    assert!(ticks(&other, "daily").await.is_empty());
    shop.go_to("2026-01-01T02:01:00Z");
    other.run_due().await;
    assert_eq!(ticks(&other, "daily").await, ["01-01 02:00 done"]);
    assert_eq!(rows(&shop.engine().await, PUBLISHED).await, ["100.00 | 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_kills_every_process_is_given_up() {
    let shop = Shop::new(DAILY, "2026-01-01T00:00:00Z");
    shop.scheduler().await.run_due().await;
    for minute in 0..3 {
        shop.go_to(&format!("2026-01-01T02:{:02}:00Z", 2 * minute));
        shop.abandon(shop.scheduler().await).await;
    }
    shop.go_to("2026-01-01T02:08:00Z");
    let scheduler = shop.scheduler().await;
    scheduler.run_due().await;
    let records = scheduler.history(Some("daily"), usize::MAX).await.expect("a journal");
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.state, record.attempts), ("dead", 3));
    assert_eq!(record.why.as_deref(), Some("it was begun 3 times, and its process ended each time"));
}

/// A run that stops before its last write, and goes on when another did the same: its entry is refused, it begins anew,
/// and finds nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_zombie_has_under_way_in_the_warehouse_is_refused_or_the_same() {
    let shop = Shop::new(DAILY, "2026-01-01T00:00:00Z");
    let scheduler = shop.scheduler().await;
    scheduler.run_due().await;
    shop.go_to("2026-01-01T02:00:00Z");
    let (stands, standing) = mpsc::channel::<()>();
    let (go_on, waiting) = mpsc::channel::<()>();
    let engine = shop.engine().await;
    let zombie = tokio::task::spawn_blocking(move || {
        let waiting = std::sync::Mutex::new(waiting);
        let progress = move |step: Step<'_>| {
            if step == Step::Publishing {
                // Once only: the second beginning is not waited for.
                let _ = stands.send(());
                let _ = waiting.lock().expect("no panic").recv();
            }
        };
        tokio::runtime::Handle::current().block_on(materialize(&engine, &request(), &progress))
    });
    tokio::task::spawn_blocking(move || standing.recv().expect("it comes to its last write")).await.expect("no panic");
    scheduler.run_due().await;
    assert_eq!(ticks(&scheduler, "daily").await, ["01-01 02:00 done"]);
    drop(go_on);
    let report = zombie.await.expect("no panic").expect("it ends well");
    assert_eq!(report.version, None, "the other was first, and there is nothing left to do");
    assert_eq!(rows(&shop.engine().await, PUBLISHED).await, ["100.00 | 1"]);
}

/// A run that is overtaken while it computes: the clock goes past its claim, another runs the tick, and the first one ends
/// without taking anything down.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_that_wakes_up_takes_nothing_down() {
    let shop = Shop::new(DAILY, "2026-01-01T00:00:00Z");
    let (zombie, other) = (shop.scheduler().await, shop.scheduler().await);
    zombie.run_due().await;
    shop.go_to("2026-01-01T02:00:00Z");
    let mut sleeping = Box::pin(zombie.run_due());
    shop.drive_to_claim(&mut sleeping).await;
    shop.go_to("2026-01-01T02:05:00Z");
    other.run_due().await;
    let known = ticks(&other, "daily").await;
    assert_eq!(known, ["01-01 02:00 done"]);
    sleeping.await;
    assert_eq!(ticks(&other, "daily").await, known);
    assert_eq!(rows(&shop.engine().await, PUBLISHED).await, ["100.00 | 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_mend_itself_is_tried_again_and_then_given_up_until_somebody_asks() {
    let shop = Shop::new(DAILY, "2026-01-01T00:00:00Z");
    let scheduler = shop.scheduler().await;
    scheduler.run_due().await;
    shop.project.bytes("billing/payments/p2.parquet", b"PAR1");
    shop.go_to("2026-01-01T02:00:00Z");
    let again = scheduler.run_due().await.expect("it is tried again");
    let pause = again - instant("2026-01-01T02:00:00Z");
    assert!((5_000_000..=10_000_000).contains(&pause), "{pause}");
    assert_eq!(scheduler.standings().await[0].state, "retrying");
    shop.set(again - 1);
    assert_eq!(scheduler.run_due().await, Some(again), "not before its time");
    for _ in 0..2 {
        shop.set(shop.now() + 600_000_000);
        scheduler.run_due().await;
    }
    let expected = ["01-01 02:00 failed", "01-01 02:00 failed", "01-01 02:00 dead"];
    assert_eq!(ticks(&scheduler, "daily").await, expected);
    let standing = &scheduler.standings().await[0];
    assert_eq!((standing.state, standing.dead), ("failing", 1));

    shop.pay("p2", "2025-12-15T10:00:00Z", 5_000);
    let settled = scheduler.run_job("daily", topline::jobs::Asked::Again).await.expect("it runs");
    assert_eq!(settled.iter().map(|settled| settled.outcome.name()).collect::<Vec<_>>(), ["done"]);
    let standing = &scheduler.standings().await[0];
    assert_eq!((standing.state, standing.dead), ("ok", 0));
    assert_eq!(rows(&shop.engine().await, "select sum(paid) from published.paid").await, ["150.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_tick_is_no_failure_and_the_next_one_is_run() {
    let shop = Shop::new(DAILY, "2026-01-01T00:00:00Z");
    let scheduler = shop.scheduler().await;
    scheduler.run_due().await;
    shop.pay("p2", "2025-12-15T10:00:00Z", 500_000);
    shop.go_to("2026-01-01T02:00:00Z");
    scheduler.run_due().await;
    let standing = &scheduler.standings().await[0];
    let why = standing.last.as_ref().and_then(|last| last.why.clone());
    assert_eq!((standing.state, why.as_deref()), ("held", Some("nobody_pays_a_thousand of paid is broken")));
    shop.pay("p2", "2025-12-15T10:00:00Z", 5_000);
    shop.go_to("2026-01-02T02:00:00Z");
    scheduler.run_due().await;
    assert_eq!(ticks(&scheduler, "daily").await, ["01-01 02:00 held", "01-02 02:00 done"]);
}

/// A server that is told to stop in the middle of a run, and may not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_gives_its_tick_back_at_once() {
    let jobs = format!("{DAILY}\n[flight]\ngrace_seconds = 0\n");
    let shop = Shop::new(&jobs, "2026-01-01T00:00:00Z");
    let (stopping, other) = (shop.scheduler().await, shop.scheduler().await);
    stopping.run_due().await;
    shop.go_to("2026-01-01T02:00:00Z");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut serving = Box::pin(async {
        stopping.serve(async { drop(stopped.await) }).await;
        None
    });
    shop.drive_to_claim(&mut serving).await;
    drop(stop);
    serving.await;
    // No minute goes by in which the claim could run out.
    other.run_due().await;
    let records = other.history(Some("daily"), usize::MAX).await.expect("a journal");
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.state, record.attempts), ("done", 1), "to be stopped is no failure of the tick");
}

/// A metric that takes longer than the job's deadline.
const SLOW_SQL: &str = "with recursive numbers as (
    select 1 as number
    union all
    select number + 1 as number from numbers where number < 1000000000
)

select
    local_month(paid_at) as month,
    cast(sum(amount) as decimal(18, 2)) as paid,
    local_month(paid_at) < local_month(setting('reporting.as_of')) as is_complete
from billing.payments
where paid_at < setting('reporting.as_of') and (select count(*) from numbers) > 0
group by local_month(paid_at)
";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_passes_its_deadline_is_ended_and_tried_again_as_any_failure() {
    let jobs = DAILY.replace("retries = 2", "retries = 1\ndeadline = \"1 s\"");
    let shop = Shop::new(&jobs, "2026-01-01T00:00:00Z");
    shop.scheduler().await.run_due().await;
    let right = std::fs::read_to_string(shop.project.path("models/metrics/paid.sql")).expect("it is there");
    shop.project.text("models/metrics/paid.sql", SLOW_SQL);
    let slow = shop.scheduler().await;
    shop.go_to("2026-01-01T02:00:00Z");
    let again = slow.run_due().await.expect("it is tried again");
    assert_eq!(ticks(&slow, "daily").await, ["01-01 02:00 failed"]);
    shop.set(again);
    slow.run_due().await;
    assert_eq!(ticks(&slow, "daily").await, ["01-01 02:00 failed", "01-01 02:00 dead"]);
    let last = slow.standings().await[0].last.clone().expect("it ended");
    assert_eq!((last.attempts, last.version), (2, None));
    assert_eq!(last.why.as_deref(), Some("it took longer than 1 second"));
    assert_eq!(rows(&shop.engine().await, "select count(*) from meta.runs").await, ["0"], "nothing of it is left");

    shop.project.text("models/metrics/paid.sql", &right);
    let settled = shop.scheduler().await.run_job("daily", topline::jobs::Asked::Again).await.expect("it runs");
    assert_eq!(settled.iter().map(|settled| settled.outcome.name()).collect::<Vec<_>>(), ["done"]);
}
