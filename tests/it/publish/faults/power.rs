//! Processes that end at any step on a disk, with the power or without it.

use std::sync::Arc;

use futures::{StreamExt, stream};
use object_store::ObjectStore;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::timeout;
use topline::lake::Folder;

use super::disk::{Mounted, Platter};
use super::scenario::{Scenario, Seen, look, perform};
use super::store::Process;
use super::{HANGS_AFTER, TRIALS_AT_ONCE, seeds};

/// Seeds of a run of the tests: there are some hundred steps, and each seed tries one to three.
const SEEDS: std::ops::Range<u64> = 0..200;

/// More steps than any process takes.
const NEVER: u32 = u32::MAX;

/// A process on a disk.
struct Alive {
    process: Process,
    store: Arc<dyn ObjectStore>,
}

impl Alive {
    fn new(platter: &Arc<Platter>, ends_before: u32) -> Self {
        let mounted = Mounted::new(platter, ends_before);
        let folder = Folder::new(platter.root(), mounted.clone());
        let process = Process::new(Arc::new(folder), Vec::new(), Vec::new());
        mounted.belongs_to(&process);
        Self { store: Arc::new(process.clone()), process }
    }
}

/// Returns the steps of a clean process on a disk.
async fn steps(scenario: &Scenario) -> u32 {
    let platter = Arc::new(Platter::holding(&scenario.before).await);
    let engine = scenario.open(Alive::new(&platter, NEVER).store).await;
    perform(scenario.deed, &engine, &|_| {}).await.expect("nothing happens to it");
    platter.steps()
}

async fn trial(seed: u64, scenario: Arc<Scenario>, steps: u32) -> Result<(), String> {
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut platter = Arc::new(Platter::holding(&scenario.before).await);
    for _ in 0..dice.random_range(1..=3) {
        let ends_before = platter.steps() + dice.random_range(0..=steps);
        let alive = Alive::new(&platter, ends_before);
        let engine = scenario.open(Arc::clone(&alive.store)).await;
        tokio::select! {
            biased;
            () = alive.process.dying() => {}
            _ended = perform(scenario.deed, &engine, &|_| {}) => {}
        }
        alive.process.bury();
        if dice.random_bool(0.6) {
            platter = Arc::new(platter.without_power(&mut dice));
        }
        let seen = look(&scenario.open(Alive::new(&platter, NEVER).store).await).await;
        if !scenario.looks.contains(&seen) {
            return Err(format!("before step {ends_before} a reader sees {seen}"));
        }
    }
    let engine = scenario.open(Alive::new(&platter, NEVER).store).await;
    perform(scenario.deed, &engine, &|_| {}).await.map_err(|error| format!("the last process fails: {error:#?}"))?;
    // What was acknowledged lasts.
    let left = Arc::new(platter.without_power(&mut dice));
    let found = Seen::of(&scenario.open(Alive::new(&left, NEVER).store).await).await;
    let expected = &scenario.clean;
    if found == *expected { Ok(()) } else { Err(expected.difference(&found)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_power_goes_what_was_acknowledged_lasts_and_the_next_process_ends_as_a_clean_one_does() {
    let scenarios = Scenario::all().await;
    let mut all_steps = Vec::new();
    for scenario in scenarios.iter() {
        all_steps.push(steps(scenario).await);
    }
    let trials = seeds(SEEDS).map(|seed| {
        let (scenario, steps) = {
            let place = usize::try_from(seed).expect("a small number") % scenarios.len();
            (Arc::clone(&scenarios[place]), all_steps[place])
        };
        let name = scenario.name;
        async move {
            let ended = tokio::spawn(timeout(HANGS_AFTER, trial(seed, scenario, steps))).await;
            let fault = match ended {
                Ok(Ok(Ok(()))) => return None,
                Ok(Ok(Err(fault))) => fault,
                Ok(Err(_)) => "hangs".to_owned(),
                Err(cause) => cause.to_string(),
            };
            Some(format!("FAULT_SEEDS={seed}..{}: {name}: {fault}", seed + 1))
        }
    });
    let faults: Vec<Option<String>> = stream::iter(trials).buffer_unordered(TRIALS_AT_ONCE).collect().await;
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{} trials failed: {}", faults.len(), faults.join("\n\n"));
}
