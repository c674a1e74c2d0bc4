//! Processes to which things happen at any call of the warehouse's store and at any step: whatever it is, the next
//! process ends as one clean process does, and readers see whole entries all the while.

mod disk;
mod parts;
mod power;
mod scenario;
pub mod store;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use object_store::ObjectStore;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::time::timeout;
use topline::engine::Engine;
use topline::engine::published::entry::Entry;
use topline::publish::Step;

use scenario::{Scenario, Seen, look, perform};
use store::{Answer, Fault, Late, Moment, Process, When};

/// Seeds of a run of the tests. `FAULT_SEEDS=FROM..TO` is for others.
const SEEDS: Range<u64> = 0..1_000;

/// Trials at the same time: more than one, so that what takes time elsewhere costs none, and few enough for a small machine.
const TRIALS_AT_ONCE: usize = 2;

/// The slowest scenario is tried once in so many trials.
const SLOW_ONE_OF: u32 = 40;

/// Calls in a row that fail while a store is unavailable.
const BURST_MAX: u32 = 12;

/// Calls after which a deed that was given up is done: often by the next process.
const LATE_MAX: u32 = 60;

/// A trial takes a tenth of a second: one that takes so long waits for what never comes.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// A fault at a step that a run tells of.
#[derive(Debug, Clone, Copy)]
enum AtStep {
    Panic(u32),
    Kill(u32),
}

/// Who else is there while a process runs.
#[derive(Debug, Clone, Copy)]
enum Visitor {
    /// Somebody reads before this call.
    Reader(u32),
    /// Another process does the same before this call.
    Process(u32),
}

/// What happens to one process.
#[derive(Debug)]
struct Life {
    moments: Vec<Moment>,
    at_step: Option<AtStep>,
    visitor: Option<Visitor>,
}

/// What happens, of which the seed tells everything.
#[derive(Debug)]
struct Trial {
    scenario: usize,
    lives: Vec<Life>,
}

impl Trial {
    fn new(seed: u64, scenarios: &[Arc<Scenario>]) -> Self {
        let mut dice = SmallRng::seed_from_u64(seed);
        let last = scenarios.len() - 1;
        let scenario = if dice.random_ratio(1, SLOW_ONE_OF) { last } else { dice.random_range(0..last) };
        let lives = if dice.random_bool(0.3) { 2 } else { 1 };
        let lives = (0..lives).map(|_| Life::new(&mut dice, &scenarios[scenario])).collect();
        Self { scenario, lives }
    }
}

impl Life {
    fn new(dice: &mut SmallRng, scenario: &Scenario) -> Self {
        let is_at_step = scenario.steps > 0 && dice.random_bool(0.1);
        let at_step = is_at_step.then(|| {
            let step = dice.random_range(0..scenario.steps);
            if dice.random_bool(0.5) { AtStep::Panic(step) } else { AtStep::Kill(step) }
        });
        let moments = match (is_at_step, dice.random_bool(0.3)) {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 1,
        };
        let moments = (0..moments).map(|_| moment(dice, scenario.calls)).collect();
        let call = dice.random_range(0..scenario.calls);
        let visitor = match dice.random_range(0..20) {
            0..9 => Some(Visitor::Reader(call)),
            9..12 => Some(Visitor::Process(call)),
            _ => None,
        };
        Self { moments, at_step, visitor }
    }
}

fn moment(dice: &mut SmallRng, calls: u32) -> Moment {
    // A run that begins anew makes more calls than a clean one.
    let call = dice.random_range(0..calls + calls / 4);
    let when = if dice.random_bool(0.5) { When::Before } else { When::After };
    let answers = [Answer::Reset, Answer::Unavailable, Answer::TimedOut, Answer::Conflict];
    let answer = *answers.choose(dice).expect("four answers");
    let (count, fault) = match dice.random_range(0..8) {
        0 | 1 => (1, Fault::Before(answer)),
        2 => (dice.random_range(2..=BURST_MAX), Fault::Before(Answer::Unavailable)),
        3 => (1, Fault::After(*[answer, Answer::Precondition].choose(dice).expect("two answers"))),
        4 => (1, Fault::Late(dice.random_range(1..=LATE_MAX))),
        5 => (1, Fault::Torn),
        6 => (1, Fault::Panic(when)),
        _ => (1, Fault::Kill(when)),
    };
    Moment { calls: call..call + count, fault }
}

/// How processes ended.
#[derive(Debug, Default, Clone, Copy)]
struct Ends {
    done: u64,
    failed: u64,
    panicked: u64,
    killed: u64,
}

impl Ends {
    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.panicked += other.panicked;
        self.killed += other.killed;
    }
}

/// A trial while it runs.
struct Run {
    scenario: Arc<Scenario>,
    warehouse: Arc<dyn ObjectStore>,
    /// A process that is there all the while, as a server is: it reads, and does the deed in the end.
    server: (Process, Engine),
    late: Vec<Late>,
    ends: Ends,
    witness: Arc<Mutex<Witness>>,
}

/// What others saw.
#[derive(Debug, Default)]
struct Witness {
    /// What must not be: half a run, a process that fails although nothing happens to it.
    wrong: Vec<String>,
    /// The entries that processes were told they had added, with their runs.
    added: Vec<(u64, String)>,
}

impl Witness {
    fn of(witness: &Mutex<Self>) -> MutexGuard<'_, Self> {
        witness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Runs a trial; returns how its processes ended.
    async fn whole(trial: Trial, scenario: Arc<Scenario>) -> Result<Ends, String> {
        let warehouse: Arc<dyn ObjectStore> = Arc::new(scenario.before.fork());
        let process = Process::new(Arc::clone(&warehouse), Vec::new(), Vec::new());
        let engine = scenario.open(Arc::new(process.clone())).await;
        let (late, ends, witness) = (Vec::new(), Ends::default(), Arc::default());
        let mut run = Self { scenario, warehouse, server: (process, engine), late, ends, witness };
        for life in &trial.lives {
            run.live(life).await?;
            see(&run.scenario, &run.server.1, &run.witness).await;
        }
        run.end().await?;
        let (wrong, added) = {
            let mut witness = Witness::of(&run.witness);
            (std::mem::take(&mut witness.wrong), std::mem::take(&mut witness.added))
        };
        for (number, run_id) in added {
            if run_of(&run.server.1, number).await.as_ref() != Some(&run_id) {
                return Err(format!("entry {number} of run {run_id} was acknowledged and is lost"));
            }
        }
        if wrong.is_empty() { Ok(run.ends) } else { Err(format!("others see {wrong:?}")) }
    }

    /// Lets a process do the deed until something ends it.
    async fn live(&mut self, life: &Life) -> Result<(), String> {
        let process = Process::new(Arc::clone(&self.warehouse), life.moments.clone(), std::mem::take(&mut self.late));
        let engine = self.scenario.open(Arc::new(process.clone())).await;
        self.invite(&process, life);
        let steps = AtomicU32::new(0);
        let progress = |_: Step<'_>| {
            let step = steps.fetch_add(1, Ordering::Relaxed);
            match life.at_step {
                Some(AtStep::Panic(at)) if at == step => resume_unwind(Box::new("planned")),
                Some(AtStep::Kill(at)) if at == step => process.kill(),
                _ => {}
            }
        };
        let deed = AssertUnwindSafe(perform(self.scenario.deed, &engine, &progress)).catch_unwind();
        let ended = tokio::select! {
            biased;
            () = process.dying() => None,
            ended = deed => Some(ended),
        };
        self.late = process.bury();
        match ended {
            None => self.ends.killed += 1,
            Some(Err(_)) => self.ends.panicked += 1,
            Some(Ok(Err(_))) => self.ends.failed += 1,
            Some(Ok(Ok(added))) => {
                self.ends.done += 1;
                remember(&self.server.1, added, &self.witness).await;
            }
        }
        Ok(())
    }

    fn invite(&self, process: &Process, life: &Life) {
        let (scenario, warehouse) = (Arc::clone(&self.scenario), Arc::clone(&self.warehouse));
        let (reader, witness) = (self.server.1.clone(), Arc::clone(&self.witness));
        match life.visitor {
            Some(Visitor::Reader(call)) => {
                process.visit(call, async move { see(&scenario, &reader, &witness).await }.boxed());
            }
            Some(Visitor::Process(call)) => {
                let other = async move {
                    let engine = scenario.open(warehouse).await;
                    match perform(scenario.deed, &engine, &|_| {}).await {
                        Ok(added) => remember(&engine, added, &witness).await,
                        Err(error) => Witness::of(&witness).wrong.push(format!("another's error {error:#?}")),
                    }
                };
                process.visit(call, other.boxed());
            }
            None => {}
        }
    }

    /// Lets the server do the deed, to which nothing happens, and looks at what is there then.
    async fn end(&mut self) -> Result<(), String> {
        let (process, engine) = &self.server;
        process.inherit(std::mem::take(&mut self.late));
        let ended = perform(self.scenario.deed, engine, &|_| {}).await;
        let added = ended.map_err(|error| format!("the last process fails: {error:#?}"))?;
        // What was given up long ago is done after all.
        for (_, deed) in process.inherit(Vec::new()) {
            deed.await;
        }
        let (expected, found) = (&self.scenario.clean, Seen::of(engine).await);
        if found == *expected {
            return Ok(());
        }
        Err(format!("the last process added {added:?}\n{}", expected.difference(&found)))
    }
}

/// Looks at both tables, and takes down what is neither of before nor of after.
async fn see(scenario: &Scenario, reader: &Engine, witness: &Mutex<Witness>) {
    let seen = look(reader).await;
    if !scenario.looks.contains(&seen) {
        Witness::of(witness).wrong.push(seen);
    }
}

/// Takes down an entry that a process was told it had added.
async fn remember(engine: &Engine, added: Option<u64>, witness: &Mutex<Witness>) {
    if let Some(number) = added {
        let run_id = run_of(engine, number).await.unwrap_or_default();
        Witness::of(witness).added.push((number, run_id));
    }
}

/// Returns the run that added an entry; `None` where there is none of the number.
async fn run_of(engine: &Engine, number: u64) -> Option<String> {
    let document = engine.ledger().read(number).await.expect("it can be read")?;
    let entry: Entry = serde_json::from_slice(&document).expect("an entry");
    Some(entry.run_id)
}

/// Returns the seeds that are asked for, else these.
fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("FAULT_SEEDS") else { return usual };
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.expect("FAULT_SEEDS is FROM..TO, two numbers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_process_the_next_one_ends_as_a_clean_one_does() {
    let scenarios = Scenario::all().await;
    let trials = seeds(SEEDS).map(|seed| {
        let trial = Trial::new(seed, &scenarios);
        let scenario = Arc::clone(&scenarios[trial.scenario]);
        let about = format!("FAULT_SEEDS={seed}..{}: {} with {:?}", seed + 1, scenario.name, trial.lives);
        (about, timeout(HANGS_AFTER, Run::whole(trial, scenario)))
    });
    let trials = trials.map(|(about, trial)| async move {
        let ended = tokio::spawn(trial).await;
        match ended {
            Ok(Ok(Ok(ends))) => Ok(ends),
            Ok(Ok(Err(fault))) => Err(format!("{about}: {fault}")),
            Ok(Err(_)) => Err(format!("{about}: hangs")),
            Err(cause) => Err(format!("{about}: {cause}")),
        }
    });
    let ended: Vec<Result<Ends, String>> = stream::iter(trials).buffer_unordered(TRIALS_AT_ONCE).collect().await;
    let mut ends = Ends::default();
    let mut faults = Vec::new();
    for ended in ended {
        match ended {
            Ok(of_trial) => ends.add(of_trial),
            Err(fault) => faults.push(fault),
        }
    }
    assert!(faults.is_empty(), "{} trials failed: {}", faults.len(), faults.join("\n\n"));
    println!("{ends:?}");
    let all = [ends.done, ends.failed, ends.panicked, ends.killed];
    assert!(seeds(SEEDS) != SEEDS || all.iter().all(|count| *count > 50), "{ends:?}");
}
