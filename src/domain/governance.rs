//! What people decide about a metric: who answers for it, what it should be, and what is done when it is not.

use serde::Deserialize;

/// How often a metric is looked at.
pub const CADENCES: [&str; 3] = ["weekly", "monthly", "quarterly"];

/// Which way is good.
pub const DIRECTIONS: [&str; 2] = ["up", "down"];

/// The decisions that one place makes; what it does not say stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// Name for people.
    pub label: Option<String>,
    /// Unit of the value.
    pub unit: Option<String>,
    /// The column of the view that holds the value.
    pub column: Option<String>,
    /// One of [`CADENCES`].
    pub cadence: Option<String>,
    /// One of [`DIRECTIONS`].
    pub direction: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it should be.
    pub target: Option<f64>,
    /// How far it may be off.
    pub threshold: Option<f64>,
    /// What is done when it is off.
    pub action_plan: Option<String>,
}

impl Decisions {
    /// Returns what is wrong with the values, each a key with its problem.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let words: [(&'static str, &Option<String>, &[&str]); 2] =
            [("cadence", &self.cadence, &CADENCES), ("direction", &self.direction, &DIRECTIONS)];
        for (key, value, known) in words {
            if let Some(value) = value.as_ref().filter(|value| !known.contains(&value.as_str())) {
                problems.push((key, format!("expected one of {}, found \"{value}\"", known.join(", "))));
            }
        }
        for (key, value) in [("target", self.target), ("threshold", self.threshold)] {
            if value.is_some_and(|value| !value.is_finite()) {
                problems.push((key, "expected a number, found one that is none".to_owned()));
            }
        }
        if let Some(threshold) = self.threshold.filter(|threshold| *threshold < 0.0) {
            problems.push(("threshold", format!("expected a number of at least 0, found {threshold}")));
        }
        problems
    }
}

/// Returns the metric that a name is a part of: `win_rate` for `win_rate:Demo`.
pub fn whole_of(name: &str) -> Option<&str> {
    name.split_once(':').map(|(whole, _)| whole)
}
