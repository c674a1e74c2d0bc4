//! Jobs: each tick is run once, whoever runs it, and none is lost.

mod asked;
mod commands;
mod configuration;
mod journals;
mod notify;
mod tables;
mod time;
mod zombies;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;

use chrono::DateTime;
use topline::domain::clock::Clock;
use topline::engine::Engine;
use topline::jobs::{Scheduler, TickRecord};
use topline::publish::{Months, Request, Unchanged};

use crate::project::{Project, Table, answer, cents, instants, texts};

/// A metric that costs next to nothing, so that a year of ticks passes in seconds.
const PAID_SQL: &str = "select
    local_month(paid_at) as month,
    cast(sum(amount) as decimal(18, 2)) as paid,
    local_month(paid_at) < local_month(setting('reporting.as_of')) as is_complete
from billing.payments
where paid_at < setting('reporting.as_of')
group by local_month(paid_at)
";

const PAID_SIDECAR: &str = r#"
description = "What was paid in a month."
grain = "month"
key = ["month"]
period = "month"
columns = [
    ["month", "date", "month"],
    ["paid", "money", "payments"],
    ["is_complete", "flag", "whether the month has ended at as_of"],
]

[[checks]]
name = "nobody_pays_a_thousand"
description = "No month has a thousand."
sql = "select month, paid from metrics.paid where paid >= 1000"
"#;

/// A project with one metric, a warehouse and jobs, at an instant that the test moves.
struct Shop {
    project: Project,
    clock: &'static AtomicI64,
}

impl Shop {
    /// Lays out a project whose jobs are these, at an instant.
    fn new(jobs: &str, now: &str) -> Self {
        let project = Project::new();
        let configuration = format!(
            "[sources.billing]\nconnector = \"canonical\"\nlocation = \"billing\"\n\n[warehouse]\nlocation = \
             \"warehouse\"\n\n[models]\nlocation = \"models\"\n\n{jobs}"
        );
        project.text("topline.toml", &configuration);
        project.text("models/metrics/paid.sql", PAID_SQL);
        project.text("models/metrics/paid.toml", PAID_SIDECAR);
        let shop = Self { project, clock: Box::leak(Box::new(AtomicI64::new(instant(now)))) };
        shop.pay("p1", "2025-11-15T10:00:00Z", 10_000);
        shop
    }

    /// Writes a file with one payment.
    fn pay(&self, id: &str, at: &str, amount: i64) {
        let table = Table::new()
            .with("payment_id", texts([id]))
            .with("customer_id", texts(["b1"]))
            .with("status", texts(["succeeded"]))
            .with("currency", texts(["USD"]))
            .with("paid_at", instants([at]))
            .with("amount", cents([amount]));
        self.project.parquet(&format!("billing/payments/{id}.parquet"), &table);
    }

    fn set(&self, now: i64) {
        self.clock.store(now, Ordering::SeqCst);
    }

    fn go_to(&self, now: &str) {
        self.set(instant(now));
    }

    /// Returns what another process has: an engine of its own, by the same clock.
    async fn engine(&self) -> Engine {
        let config = self.project.config(&[]).expect("a right configuration");
        Engine::open_at(config, Clock::Moved(self.clock)).await.expect("the project opens")
    }

    async fn scheduler(&self) -> Scheduler {
        Scheduler::open(self.engine().await).expect("the jobs are right")
    }
}

fn instant(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).expect("a test's instant parses").timestamp_micros()
}

fn shown(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).expect("an instant").format("%m-%d %H:%M").to_string()
}

/// Returns what became of the ticks of a job, the oldest first: `01-31 02:00 done`, `3 from 01-31 02:00 skipped`.
async fn ticks(scheduler: &Scheduler, job: &str) -> Vec<String> {
    let line = |record: TickRecord| match record.ticks {
        1 => format!("{} {}", shown(record.tick), record.state),
        many => format!("{many} from {} {}", shown(record.tick), record.state),
    };
    let mut records = scheduler.history(Some(job), usize::MAX).await.expect("a journal");
    records.reverse();
    records.into_iter().map(line).collect()
}

async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    answer(engine, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:#?}"))
}

/// Has two schedulers do what is due at the same time.
async fn both(one: &Arc<Scheduler>, other: &Arc<Scheduler>) {
    let run = |scheduler: &Arc<Scheduler>| {
        let scheduler = Arc::clone(scheduler);
        tokio::spawn(async move { scheduler.run_due().await })
    };
    let (one, other) = (run(one), run(other));
    one.await.expect("no panic");
    other.await.expect("no panic");
}

impl Shop {
    fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Lets a round of a scheduler go on until its tick is claimed, and no further.
    async fn drive_to_claim(&self, round: &mut (impl Future<Output = Option<i64>> + Unpin)) {
        let other = self.scheduler().await;
        let before = claimed_at(&other).await;
        drive_until(round, async || claimed_at(&other).await != before).await;
    }

    /// Lets a scheduler publish what is due as an entry of the ledger, and end before it says so in the journal.
    async fn abandon_after_publishing(&self, scheduler: Scheduler, entry: u64) {
        let place = self.project.path(&format!("warehouse/_topline/ledger/{entry:020}.json"));
        drive_until(&mut Box::pin(scheduler.run_due()), async || place.exists()).await;
    }

    /// Lets a scheduler claim what is due, and end there.
    async fn abandon(&self, scheduler: Scheduler) {
        self.drive_to_claim(&mut Box::pin(scheduler.run_due())).await;
    }
}

/// Returns what somebody asks for who publishes without a job.
fn request() -> Request {
    Request { metrics: vec!["paid".to_owned()], months: Months::Due, unchanged: Unchanged::IsKept, job: None }
}

/// Lets a round of a scheduler go on until something is so, and no further.
async fn drive_until(round: &mut (impl Future<Output = Option<i64>> + Unpin), is_so: impl AsyncFn() -> bool) {
    while !is_so().await {
        poll_fn(|context| {
            assert!(Pin::new(&mut *round).poll(context).is_pending(), "the run ended");
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
}

/// Returns when the claim of the first job was made.
async fn claimed_at(scheduler: &Scheduler) -> Option<i64> {
    scheduler.standings().await[0].running.map(|(since, ..)| since)
}
