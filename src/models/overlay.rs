//! A sidecar without SQL: what the user's folder says of a model that it does not bring itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::sidecar::{Check, MetricEntry, Sidecar};
use crate::domain::governance::Decisions;
use crate::domain::toml_faults;

/// What such a sidecar may say. What it does not say stays as it is; its laws are added.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overlay {
    metric: Option<Decisions>,
    #[serde(default)]
    measures: BTreeMap<String, Decisions>,
    #[serde(default)]
    checks: Vec<Check>,
}

/// Lays the text of such a sidecar over another and returns what is wrong with it.
pub(super) fn lay_over(sidecar: &mut Sidecar, file: &str, text: &str) -> Vec<String> {
    let overlay: Overlay = match toml::from_str(text) {
        Ok(overlay) => overlay,
        Err(fault) => return vec![format!("{file}:{}", toml_faults::described(text, &fault))],
    };
    let mut problems = Vec::new();
    let mut look = |place: &str, decisions: &Decisions| {
        problems.extend(
            decisions.problems().into_iter().map(|(key, problem)| format!("{file}: [{place}] {key}: {problem}")),
        );
    };
    if let Some(decisions) = &overlay.metric {
        look("metric", decisions);
    }
    for (name, decisions) in &overlay.measures {
        look(&format!("measures.{name}"), decisions);
    }
    let incomplete = |place: &str| format!("{file}: [{place}] is new, and needs label, unit, cadence and direction");
    if let Some(decisions) = &overlay.metric {
        match (&mut sidecar.metric, MetricEntry::of_decisions(decisions)) {
            (Some(entry), _) => entry.take_over(decisions),
            (None, Some(entry)) => sidecar.metric = Some(entry),
            (None, None) => problems.push(incomplete("metric")),
        }
    }
    for (name, decisions) in &overlay.measures {
        match (sidecar.measures.get_mut(name), MetricEntry::of_decisions(decisions)) {
            (Some(entry), _) => entry.take_over(decisions),
            (None, Some(entry)) => {
                sidecar.measures.insert(name.clone(), entry);
            }
            (None, None) => problems.push(incomplete(&format!("measures.{name}"))),
        }
    }
    sidecar.checks.extend(overlay.checks);
    problems
}
