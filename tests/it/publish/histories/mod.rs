//! Random histories of a company and its warehouse: whatever happened, what is published is a full computation,
//! restatements are the difference of versions, and old versions answer what they did.
//!
//! `PROPTEST_CASES` asks for more histories and `PROPTEST_RNG_SEED` for others.

mod rows;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures::FutureExt;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use topline::ErrorKind;
use topline::engine::Engine;
use topline::publish::{Verdict, close, materialize, reopen, verify};

use super::faults::store::{Fault, Moment, Process, When};
use super::{due, rows as answers};
use rows::{Rows, Still, differences, frozen, of_query, restatements};
use world::{METRICS, World};

/// Histories of a run of the tests: each takes some seconds.
const HISTORIES: u32 = 16;

/// Steps of a history: about a dozen of them publish.
const STEPS: Range<usize> = 12..36;

/// Calls of the warehouse's store among which a process is killed or meets another: those of a run.
const CALLS_MAX: u32 = 150;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A payment comes in: of today, or late.
    Pay { day: i64, customer: usize, cents: i64 },
    /// A file is written again with other numbers.
    Change { file: usize, cents: i64 },
    /// A file goes.
    Delete { file: usize },
    /// All files become one, with the same rows.
    Compact,
    /// Two accounts become one, or two again.
    Merge(bool),
    /// A metric gets other SQL.
    Sql(usize),
    /// The setting of the time zone changes.
    Zone(usize),
    /// Time goes by.
    Tick(i64),
    /// The clock jumps back.
    JumpBack(i64),
    /// A month is closed.
    Close(usize),
    /// A month is opened.
    Reopen(usize),
    /// A run.
    Run,
    /// A run before one call of which a second one runs.
    Rivals(u32),
    /// A run that is killed.
    Crash(u32, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cents = 1..40_000_i64;
    let step = prop_oneof![
        4 => (0..130_i64, any::<usize>(), cents.clone())
            .prop_map(|(day, customer, cents)| Step::Pay { day, customer, cents }),
        2 => (any::<usize>(), cents).prop_map(|(file, cents)| Step::Change { file, cents }),
        3 => any::<usize>().prop_map(|file| Step::Delete { file }),
        1 => Just(Step::Compact),
        2 => any::<bool>().prop_map(Step::Merge),
        2 => (0..3_usize).prop_map(Step::Sql),
        1 => (0..3_usize).prop_map(Step::Zone),
        2 => (1..40_i64).prop_map(Step::Tick),
        1 => (1..70_i64).prop_map(Step::JumpBack),
        3 => (0..4_usize).prop_map(Step::Close),
        1 => (0..4_usize).prop_map(Step::Reopen),
        8 => Just(Step::Run),
        2 => (0..CALLS_MAX).prop_map(Step::Rivals),
        3 => (0..CALLS_MAX, any::<bool>()).prop_map(|(call, is_done)| Step::Crash(call, is_done)),
    ];
    vec(step, STEPS)
}

/// What was published, by the metric's name.
type Published = BTreeMap<&'static str, Rows>;

/// A history while it runs.
struct History {
    world: World,
    /// What each entry of the ledger had.
    versions: Vec<Published>,
    restated: usize,
    /// The first month that had not ended in any run that published.
    ended: String,
}

impl History {
    async fn run(steps: &[Step]) -> Result<(), String> {
        let mut history = Self { world: World::new(), versions: Vec::new(), restated: 0, ended: String::new() };
        for (place, step) in [&Step::Run].into_iter().chain(steps.iter()).chain([&Step::Run]).enumerate() {
            history.take(step).await.map_err(|fault| format!("step {place}, {step:?}: {fault}"))?;
        }
        let engine = history.world.open(history.world.store.clone()).await;
        let found = verify(&engine, &[], None, &|_| {}).await.map_err(|error| error.to_string())?;
        let wrong: Vec<_> = found.iter().filter(|found| matches!(found.verdict, Verdict::Different(_))).collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("verified at the end: {wrong:?}")) }
    }

    async fn take(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Pay { day, customer, cents } => self.world.pay(day, customer, cents),
            Step::Change { file, cents } => self.world.change(file, cents),
            Step::Delete { file } => self.world.delete(file),
            Step::Compact => self.world.compact(),
            Step::Merge(is_merged) => self.world.merge(is_merged),
            Step::Sql(variant) => self.world.write_sql(variant),
            Step::Zone(zone) => self.world.set_zone(zone),
            Step::Tick(days) => self.world.today += days,
            Step::JumpBack(days) => self.world.today = (self.world.today - days).max(40),
            Step::Close(month) => self.decide(month, true).await,
            Step::Reopen(month) => self.decide(month, false).await,
            Step::Run => self.publish(Process::new(self.world.store.clone(), Vec::new(), Vec::new())).await?,
            Step::Rivals(call) => {
                let process = Process::new(self.world.store.clone(), Vec::new(), Vec::new());
                let rival = self.world.open(self.world.store.clone()).await;
                let run = async move { drop(materialize(&rival, &due(&METRICS), &|_| {}).await) };
                process.visit(call, run.boxed());
                self.publish(process).await?;
            }
            Step::Crash(call, is_done) => self.crash(call, is_done).await?,
        }
        Ok(())
    }

    async fn decide(&mut self, month: usize, is_closing: bool) {
        let month = format!("2026-0{}", month + 1);
        let engine = self.world.open(self.world.store.clone()).await;
        let parsed = month.parse().expect("a month");
        // What cannot be closed or opened is left as it is.
        if is_closing && close(&engine, parsed, "board report", "ann").await.is_ok() {
            self.world.closed.insert(month);
        } else if !is_closing && reopen(&engine, parsed, "credit note", "bob").await.is_ok() {
            self.world.closed.remove(&month);
        } else {
            return;
        }
        let newest = self.versions.last().cloned().unwrap_or_default();
        self.versions.push(newest);
    }

    async fn crash(&mut self, call: u32, is_done: bool) -> Result<(), String> {
        let fault = Fault::Kill(if is_done { When::After } else { When::Before });
        let process = Process::new(self.world.store.clone(), vec![Moment { calls: call..call + 1, fault }], Vec::new());
        let engine = self.world.open(Arc::new(process.clone())).await;
        let request = due(&METRICS);
        tokio::select! {
            biased;
            () = process.dying() => {}
            _ended = materialize(&engine, &request, &|_| {}) => {}
        }
        process.bury();
        let reader = self.world.open(self.world.store.clone()).await;
        self.check(&reader).await
    }

    /// Publishes, and publishes again, which must do nothing.
    async fn publish(&mut self, process: Process) -> Result<(), String> {
        let engine = self.world.open(Arc::new(process)).await;
        let (is_refused, ended) = (self.is_refused(), self.ended.clone());
        let report = match materialize(&engine, &due(&METRICS), &|_| {}).await {
            Err(error) if is_refused && error.kind() == ErrorKind::Model => return self.check(&engine).await,
            Ok(_) if is_refused => return Err("a column of a closed month went".to_owned()),
            ended => ended.map_err(|error| format!("{error:#?}"))?,
        };
        let before = self.versions.last().cloned().unwrap_or_default();
        self.check(&engine).await?;
        if report.broken.is_empty() {
            self.require_current(&engine, &before, &ended).await?;
        }
        let again = materialize(&engine, &due(&METRICS), &|_| {}).await.map_err(|error| format!("{error:#?}"))?;
        match again.version {
            None => Ok(()),
            Some(version) => Err(format!("publishing again adds version {version}")),
        }
    }

    /// Returns whether closed months have values in a column that their metric does not have any more.
    fn is_refused(&self) -> bool {
        let newest = self.versions.last().and_then(|newest| newest.get("paid"));
        let is_closed = |month: &str| self.world.closed.contains(&month[..7]);
        let mut rows = newest.into_iter().flatten();
        self.world.variant != 2 && rows.any(|((month, _), row)| is_closed(month) && row.contains_key("least"))
    }

    /// Holds what is published against what was, by what the record says.
    async fn check(&mut self, engine: &Engine) -> Result<(), String> {
        let before = self.versions.last().cloned().unwrap_or_default();
        let mut now = Published::new();
        for metric in METRICS {
            now.insert(metric, of_query(engine, &format!("select * exclude (_run_id) from published.{metric}")).await);
        }
        let versions =
            usize::try_from(engine.newest_entry().await.expect("a ledger").map_or(0, |entry| entry.number + 1))
                .expect("a small number");
        let added = self.versions.len();
        if versions == added && before.iter().any(|(metric, rows)| now[metric] != *rows) {
            return Err(format!("without an entry\nbefore {before:#?}\nnow {now:#?}"));
        }
        let mut expected = Vec::new();
        for metric in METRICS {
            let nothing = Rows::new();
            expected.extend(restatements(metric, before.get(metric).unwrap_or(&nothing), &now[metric], &self.ended));
        }
        expected.sort();
        let since = format!(
            "select metric, key, \"column\", value_before, value_after, month from meta.restatements
             where run_id in (select run_id from meta.runs where version >= {added})"
        );
        let mut found = answers(engine, &since).await;
        found.sort();
        if found != expected {
            return Err(format!("restatements\nexpected {expected:#?}\nfound {found:#?}"));
        }
        self.restated += expected.len();
        let all = answers(engine, "select count(*) from meta.restatements").await;
        if all != [self.restated.to_string()] {
            return Err(format!("{all:?} restatements, expected {}", self.restated));
        }
        self.versions.resize(versions, now);
        let since = format!("select count(*) from meta.runs where kind = 'published' and version >= {added}");
        if answers(engine, &since).await != ["0"] {
            let current = current_month(engine).await;
            self.ended = current.max(std::mem::take(&mut self.ended));
        }
        self.look_back(engine).await
    }

    /// Asks old versions again: the first, the one before the newest, and one between.
    async fn look_back(&self, engine: &Engine) -> Result<(), String> {
        let count = self.versions.len();
        let mut asked = vec![0, count / 2, count.saturating_sub(2)];
        asked.dedup();
        for version in asked.into_iter().filter(|version| *version < count) {
            for (metric, expected) in self.versions[version].iter().filter(|(_, rows)| !rows.is_empty()) {
                let sql = format!("select * exclude (_run_id) from as_of_version('{metric}', {version})");
                let found = of_query(engine, &sql).await;
                if found != *expected {
                    return Err(format!("{metric} as of version {version}\nexpected {expected:#?}\nfound {found:#?}"));
                }
            }
        }
        Ok(())
    }

    /// Holds what is published against the metrics as they are now, but for months that do not move.
    async fn require_current(&self, engine: &Engine, before: &Published, ended: &str) -> Result<(), String> {
        let current = current_month(engine).await;
        let is_closed = |month: &str| self.world.closed.contains(&month[..7]);
        let still = Still { is_closed: &is_closed, is_ahead: &|month: &str| *month >= *current, ended };
        let newest = self.versions.last().cloned().unwrap_or_default();
        for metric in METRICS {
            let filter = if metric == "paid_ever" { "" } else { "where is_complete" };
            let live = of_query(engine, &format!("select * from metrics.{metric} {filter}")).await;
            let nothing = Rows::new();
            let kept = frozen(before.get(metric).unwrap_or(&nothing), &still);
            let wrong = differences(&live, &kept, &newest[metric], &still);
            if !wrong.is_empty() {
                return Err(format!("{metric} is published otherwise than it is: {wrong:#?}\nlive {live:#?}"));
            }
        }
        Ok(())
    }
}

async fn current_month(engine: &Engine) -> String {
    answers(engine, "select local_month(setting('reporting.as_of'))").await.remove(0)
}

#[test]
fn whatever_happened_what_is_published_is_a_full_computation_and_restatements_are_the_difference_of_versions() {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = HISTORIES;
    }
    if let RngSeed::Random = config.rng_seed {
        config.rng_seed = RngSeed::Fixed(7);
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let ended = TestRunner::new(config)
        .run(&steps(), |steps| runtime.block_on(History::run(&steps)).map_err(TestCaseError::fail));
    match ended {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => panic!("{reason}\n{steps:#?}"),
        Err(abort) => panic!("{abort}"),
    }
}
