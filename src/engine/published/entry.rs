//! What stands in the ledger: each entry is a deed, and the whole state of what is published after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::month::Month;

/// The month of views that have no period, which are published whole.
pub const WHOLE: &str = "all";

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The number, from 0.
    pub number: u64,
    /// The run that wrote it.
    pub run_id: String,
    /// When, in microseconds since 1970-01-01 UTC.
    pub at_micros: i64,
    /// What was done.
    pub event: Event,
    /// What is published from then on.
    pub state: State,
}

/// An entry without the state, which is most of its bytes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Deed {
    /// The number of the entry.
    pub number: u64,
    /// The run that wrote it.
    pub run_id: String,
    /// When, in microseconds since 1970-01-01 UTC.
    pub at_micros: i64,
    /// What was done.
    pub event: Event,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Months were published.
    Published(Publication),
    /// Laws were broken, so that nothing was published.
    Held(Hold),
    /// A run came to nothing.
    Failed {
        /// The metrics that it was about.
        metrics: Vec<String>,
        /// What was wrong.
        error: String,
    },
    /// A month was closed.
    Closed(Decision),
    /// A closed month was opened again.
    Reopened(Decision),
}

/// What a run published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    /// The instant at which it looked at the world, in microseconds since 1970-01-01 UTC.
    pub as_of_micros: i64,
    /// The metrics of which something was found that had not been recorded before.
    pub metrics: Vec<PublishedMetric>,
    /// The published numbers that changed.
    pub restatements: u64,
    /// The tick that it was for; `None` where no job asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobTick>,
}

/// A tick of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTick {
    /// The job.
    pub job: String,
    /// The tick, in microseconds since 1970-01-01 UTC.
    pub tick: i64,
}

/// What a run published of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedMetric {
    /// The metric.
    pub metric: String,
    /// Which of its months were computed, in words, and where it is all of them, why.
    #[serde(default)]
    pub computed: String,
    /// Months that were published for the first time.
    pub new: Vec<String>,
    /// Months of which a number changed.
    pub restated: Vec<String>,
    /// Closed months of which a number would have changed.
    pub pending: Vec<String>,
    /// Months that were written again although no number changed.
    pub rewritten: Vec<String>,
}

/// Why a run was held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The instant at which it looked at the world, in microseconds since 1970-01-01 UTC.
    pub as_of_micros: i64,
    /// The metrics that it was about.
    pub metrics: Vec<String>,
    /// The laws that are broken.
    pub broken: Vec<BrokenLaw>,
}

/// A law that is broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokenLaw {
    /// The metric.
    pub metric: String,
    /// The law.
    pub law: String,
    /// The rows that break it; `None` where its query cannot be answered.
    pub rows: Option<u64>,
    /// The first of them, or why there is no answer.
    pub examples: Vec<String>,
}

/// A decision about a month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The month: `2026-03`.
    pub month: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// What the records that were merged into others add up to, by table: `crm.accounts`.
pub type Merges = BTreeMap<String, String>;

/// What is published.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The tables, by the metric's name.
    pub tables: BTreeMap<String, TableState>,
    /// The months that are closed, with the numbers of the entries that closed them.
    pub closed: BTreeMap<String, u64>,
    /// The rows of closed months that would change, by month and metric.
    pub pending: BTreeMap<String, BTreeMap<String, u64>>,
    /// The version of the table of restatements; `None` while there was none.
    pub restatements: Option<u64>,
    /// The merges in what months are computed of, by the hash of its list of files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub merges: BTreeMap<String, Merges>,
}

impl State {
    /// Returns whether all months of a metric that were due were computed of one thing, but for those that wait to be
    /// opened. A run of some months leaves these computed of something else than the others.
    pub fn is_of(&self, metric: &str, basis: &Basis) -> bool {
        let Some(table) = self.tables.get(metric) else { return false };
        let is_waiting = |month: &String| self.pending.get(month).is_some_and(|rows| rows.contains_key(metric));
        let is_right = |month: &String| table.basis(month) == Some(basis) || is_waiting(month);
        table.covered.as_ref() == Some(basis) && table.months.keys().all(is_right)
    }

    /// Returns whether closed months of a metric are not as they would be published.
    pub fn has_pending(&self, metric: &str) -> bool {
        self.pending.values().any(|of_month| of_month.contains_key(metric))
    }
}

/// What is published of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableState {
    /// The version of its Delta table.
    pub version: u64,
    /// What the months were computed of.
    pub bases: Vec<Basis>,
    /// What all months that were due had last been computed of; `None` where some are open.
    pub covered: Option<Basis>,
    /// The months: `2026-03`, or [`WHOLE`].
    pub months: BTreeMap<String, MonthState>,
    /// The months that were computed and are whole, each range from its first to its last: it is published of those that
    /// are not among `months` that they have no rows.
    #[serde(default)]
    pub looked: Vec<(Month, Month)>,
}

/// A published month of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonthState {
    /// What its rows add up to, whatever their order.
    pub digest: String,
    /// Its rows.
    pub rows: u64,
    /// Which of the bases it was computed of.
    pub basis: usize,
    /// The entry with which its rows became visible.
    pub entry: u64,
}

/// What numbers were computed of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Basis {
    /// The instant at which the world was looked at, in microseconds since 1970-01-01 UTC.
    pub as_of_micros: i64,
    /// The hash of the list of files.
    pub inputs: String,
    /// The hash of the SQL of the metric and of all that it reads.
    pub sql: String,
    /// The hash of the settings.
    pub settings: String,
}

impl TableState {
    /// Returns the state of a table whose months were computed of different things.
    pub fn of(
        version: u64,
        covered: Option<Basis>,
        months: BTreeMap<String, (MonthState, Basis)>,
        looked: Vec<(Month, Month)>,
    ) -> Self {
        let mut bases: Vec<Basis> = months.values().map(|(_, basis)| basis.clone()).collect();
        bases.sort();
        bases.dedup();
        let place = |basis: &Basis| bases.iter().position(|known| known == basis).unwrap_or_default();
        let months =
            months.into_iter().map(|(month, (state, basis))| (month, MonthState { basis: place(&basis), ..state }));
        Self { version, covered, months: months.collect(), bases, looked }
    }

    /// Returns what a month was computed of; `None` where it is not published.
    pub fn basis(&self, month: &str) -> Option<&Basis> {
        self.bases.get(self.months.get(month)?.basis)
    }

    /// Returns what was computed last.
    pub fn last_basis(&self) -> Option<&Basis> {
        self.covered.as_ref().or_else(|| self.bases.iter().max_by_key(|basis| basis.as_of_micros))
    }

    /// Returns the months that were computed; see [`TableState::looked`].
    pub fn looked(&self) -> Vec<(Month, Month)> {
        // A state of a release that did not take them down knows of the last month that has rows.
        let last = || self.months.keys().filter_map(|month| month.parse().ok()).max();
        match (&self.covered, self.looked.is_empty()) {
            (Some(_), true) => last().map(|last| (Month::FIRST, last)).into_iter().collect(),
            _ => self.looked.clone(),
        }
    }

    /// Returns the months up to one that were not whole when all that were due were computed, each range from its first to
    /// its last.
    pub fn open_until(&self, last: Month) -> Vec<(Month, Month)> {
        let looked = self.looked();
        let next = looked.iter().skip(1).map(|(first, _)| first.plus(-1)).chain([last]);
        let between = looked.iter().zip(next).map(|((_, end), next)| (end.plus(1), next));
        between.filter(|(first, last)| first <= last).collect()
    }

    /// Returns whether a month is published, be it with rows or without.
    pub fn is_published(&self, month: &str) -> bool {
        let is_in = |month: Month| self.looked().iter().any(|(first, last)| *first <= month && month <= *last);
        self.months.contains_key(month) || month.parse().is_ok_and(is_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_does_not_say_which_months_were_computed_is_of_all_up_to_its_last() {
        let of = |covered: &str| -> TableState {
            let month = r#"{"digest": "d", "rows": 1, "basis": 0, "entry": 0}"#;
            let months = format!(r#"{{"2026-01": {month}, "2026-03": {month}}}"#);
            let text = format!(r#"{{"version": 0, "bases": [], "covered": {covered}, "months": {months}}}"#);
            serde_json::from_str(&text).expect("a state of an older release")
        };
        let whole = of(r#"{"as_of_micros": 0, "inputs": "i", "sql": "s", "settings": "s"}"#);
        assert!(["2025-12", "2026-01", "2026-02", "2026-03"].iter().all(|month| whole.is_published(month)));
        assert!(!whole.is_published("2026-04") && !whole.is_published(WHOLE));
        let of_some_months = of("null");
        assert!(of_some_months.is_published("2026-03") && !of_some_months.is_published("2026-02"));
    }
}
