//! Publishing: months of metrics as tables that do not move, with a record of every number that later did.
//!
//! A run looks at the world of one instant, computes, checks, writes files that nobody sees, commits them to Delta tables
//! in versions that nobody reads, and then adds one entry to the ledger, which is when all of it becomes visible. Whatever
//! ends a run before that leaves no trace in what is published; of two runs that began from the same entry one gets the
//! next number, and the other begins anew. Must not know protocols and terminals. Start at [`materialize`]; `run` is its
//! order of events, `compute` the rows of a metric, `outcome` what became of its months.

mod closing;
mod compute;
mod digest;
mod entries;
mod fitting;
mod inputs;
mod merges;
mod outcome;
mod restating;
mod reuse;
mod run;
mod vacuum;
mod verification;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::month::Month;
use crate::domain::names::nearest;
use crate::engine::Engine;
use crate::engine::published::entry::{BrokenLaw, JobTick, State};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::SCHEMA;
use crate::models::Model;
pub use closing::{close, reopen};
pub use outcome::Outcome;
pub use run::materialize;
pub use vacuum::{Leftovers, vacuum};
pub use verification::{Finding, Verdict, verify};

/// What is to be published.
#[derive(Debug, Clone)]
pub struct Request {
    /// The metrics; none are all whose tables there are.
    pub metrics: Vec<String>,
    /// The months.
    pub months: Months,
    /// What becomes of months that did not change.
    pub unchanged: Unchanged,
    /// The tick that it is for, which the entry of the ledger names; `None` where no job asks for it.
    pub job: Option<JobTick>,
}

/// Which months are to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Months {
    /// All that have ended, where anything changed of which they are computed.
    Due,
    /// From the first to the second, both included, whether anything changed or not.
    Between(Month, Month),
}

/// What becomes of months that did not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    /// Nothing.
    IsKept,
    /// They are computed and written again.
    IsRewritten,
}

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Computing a metric, so many of so many being done.
    Computing(&'a str, usize, usize),
    /// Trying a law of a metric.
    Checking(&'a str, &'a str),
    /// Writing what becomes visible.
    Publishing,
    /// Beginning anew, because files or what is published changed meanwhile.
    BeginningAnew,
}

/// Told of every step.
pub type Progress<'a> = &'a (dyn Fn(Step<'_>) + Send + Sync);

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The version that it added; `None` where there was nothing to add.
    pub version: Option<u64>,
    /// The instant at which it looked at the world, in microseconds since 1970-01-01 UTC.
    pub as_of_micros: i64,
    /// The metrics with what became of their months that were computed.
    pub metrics: BTreeMap<String, BTreeMap<String, Outcome>>,
    /// Which months of each metric were computed, in words: `2026-02 to 2026-04`, `none`, or `all` and why.
    pub computed: BTreeMap<String, String>,
    /// Published numbers that changed.
    pub restatements: u64,
    /// Bytes of files that were read to compute, check and compare.
    pub bytes_read: u64,
    /// The laws that held it.
    pub broken: Vec<BrokenLaw>,
}

/// Returns the names of the metrics that are asked for, each once; without any, those of all whose tables there are, or were
/// when they were published.
///
/// # Errors
/// `NotFound` with every name that no view has.
fn metrics_of(engine: &Engine, wanted: &[String], state: &State) -> Result<Vec<String>> {
    let missing = engine.missing_tables();
    let views = || engine.models().iter().filter(|model| model.id.schema == SCHEMA);
    if wanted.is_empty() {
        let is_there = |needs: &[String]| !needs.iter().any(|need| missing.contains(need));
        let is_due = |model: &&Model| is_there(&model.sidecar.needs) || state.tables.contains_key(&model.id.name);
        return Ok(views().filter(is_due).map(|model| model.id.name.clone()).collect());
    }
    let mut problems = Vec::new();
    for name in wanted.iter().filter(|name| !views().any(|model| model.id.name == **name)) {
        let near = nearest(name, views().map(|model| model.id.name.as_str()));
        let hint = near.map_or_else(String::new, |near| format!("; hint: did you mean \"{near}\"?"));
        problems.push(format!("view \"{SCHEMA}.{name}\" does not exist{hint}"));
    }
    match Error::list(ErrorKind::NotFound, "metrics that do not exist", problems) {
        Some(error) => Err(error),
        None => Ok(wanted.iter().cloned().collect::<BTreeSet<String>>().into_iter().collect()),
    }
}
