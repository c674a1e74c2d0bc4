//! Jobs that somebody runs: what is run, what is awaited, and what becomes of it at a signal.

use std::time::Duration;

use topline::jobs::{Asked, Scheduler, Settled};

use super::{Shop, ticks};

const MINUTELY: &str = "[[jobs]]\nname = \"minutely\"\ncron = \"* * * * *\"\nmetrics = [\"paid\"]\nretries = 0\n";

/// How long a run may be waited for that is to end by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Begins to run the job, up to its claim, does something, and returns what became of it.
async fn run_and(shop: &Shop, scheduler: &Scheduler, meanwhile: impl FnOnce()) -> Vec<Settled> {
    let mut settled = Vec::new();
    let mut running = Box::pin(async {
        settled = scheduler.run_job("minutely", Asked::Owed).await.expect("it runs");
        None
    });
    shop.drive_to_claim(&mut running).await;
    meanwhile();
    running.await;
    settled
}

/// The next tick is due before the run is over, each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_runs_outlast_their_interval_is_run_to_an_end() {
    let shop = Shop::new(MINUTELY, "2026-01-01T00:00:50Z");
    let scheduler = shop.scheduler().await;
    let settled = run_and(&shop, &scheduler, || shop.go_to("2026-01-01T00:01:10Z")).await;
    assert_eq!(settled.len(), 1);
    assert_eq!(ticks(&scheduler, "minutely").await, ["01-01 00:00 done"]);
    let settled = scheduler.run_job("minutely", Asked::Owed).await.expect("it runs");
    assert_eq!(settled.len(), 1, "the tick that came meanwhile is owed to the next one");
}

/// Whoever asks for it has mended it, and does not wait for a pause: the clock stands still.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_tried_again_is_tried_when_somebody_asks() {
    let shop = Shop::new(&MINUTELY.replace("retries = 0", "retries = 3"), "2026-01-01T00:00:50Z");
    let scheduler = shop.scheduler().await;
    scheduler.run_due().await;
    shop.project.bytes("billing/payments/p2.parquet", b"PAR1");
    shop.go_to("2026-01-01T00:01:00Z");
    scheduler.run_due().await;
    shop.project.remove("billing/payments/p2.parquet");
    assert_eq!(scheduler.standings().await[0].state, "retrying");
    let run = tokio::time::timeout(PATIENCE, scheduler.run_job("minutely", Asked::Now));
    let settled = run.await.expect("no pause is waited for").expect("it runs");
    assert_eq!(settled.iter().map(|settled| settled.attempts).collect::<Vec<_>>(), [2]);
    assert_eq!(ticks(&scheduler, "minutely").await, ["01-01 00:01 failed", "01-01 00:01 done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_signal_ends_gives_its_tick_back() {
    let shop = Shop::new(MINUTELY, "2026-01-01T00:00:50Z");
    let (stopped, other) = (shop.scheduler().await, shop.scheduler().await);
    let settled = run_and(&shop, &stopped, || stopped.stop()).await;
    assert!(settled.is_empty(), "{settled:?}");
    let settled = other.run_job("minutely", Asked::Owed).await.expect("it runs at once");
    assert_eq!(
        settled.iter().map(|settled| (settled.outcome.name(), settled.attempts)).collect::<Vec<_>>(),
        [("done", 1)]
    );
}

/// A run is none of the ticks, and what a list calls next is one.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_tick_of_a_job_that_runs_is_no_end_of_a_claim() {
    let shop = Shop::new(&MINUTELY.replace("* * * * *", "0 2 * * *"), "2026-01-01T00:00:00Z");
    let scheduler = shop.scheduler().await;
    let other = shop.scheduler().await;
    let mut running = Box::pin(async {
        scheduler.run_job("minutely", Asked::Owed).await.expect("it runs");
        None
    });
    shop.drive_to_claim(&mut running).await;
    let standing = other.standing("minutely").await.expect("a job");
    assert_eq!((standing.state, standing.next.map(super::shown).as_deref()), ("running", Some("01-01 02:00")));
    running.await;
}
