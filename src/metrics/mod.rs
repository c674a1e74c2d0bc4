//! What a metric is: its entry in the registry, from the sidecars of schema `metrics` and what the configuration decides.
//!
//! Must not know how a metric is served. Start at [`registry`]; which records a number comes from is in [`parts`].

pub mod parts;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::governance::{Decisions, whole_of};
use crate::domain::names::nearest;
use crate::models::ModelSet;
use crate::models::sidecar::MetricEntry;

/// The schema whose views are metrics.
pub const SCHEMA: &str = "metrics";

/// A metric with everything that is known of it.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The name: the view's, or that of a measure in it.
    pub name: String,
    /// The view that shows it, a name in schema `metrics`.
    pub view: String,
    /// What a row of the view is and which choices were made.
    pub description: String,
    /// The grain of the view in words.
    pub grain: String,
    /// Label, unit, cadence, direction, owner, target, threshold and action plan, where they are known.
    pub entry: Option<MetricEntry>,
    /// Tables without which the view has no rows.
    pub needs: Vec<String>,
    /// Those of them that no source has.
    pub missing: Vec<String>,
}

/// Returns the metrics, in the order of their names: one for each view, one for each measure that a view has besides, and
/// one for each part of a metric that something is decided about: `win_rate:Demo`.
pub fn registry(
    models: &ModelSet,
    decisions: &BTreeMap<String, Decisions>,
    missing_tables: &BTreeSet<String>,
) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for model in models.iter().filter(|model| model.id.schema == SCHEMA) {
        let sidecar = &model.sidecar;
        let missing: Vec<String> =
            sidecar.needs.iter().filter(|need| missing_tables.contains(*need)).cloned().collect();
        let metric = |name: &str, entry: Option<&MetricEntry>| Metric {
            name: name.to_owned(),
            view: model.id.name.clone(),
            description: sidecar.description.clone(),
            grain: sidecar.grain.clone(),
            entry: entry.cloned(),
            needs: sidecar.needs.clone(),
            missing: missing.clone(),
        };
        metrics.push(metric(&model.id.name, sidecar.metric.as_ref()));
        metrics.extend(sidecar.measures.iter().map(|(name, entry)| metric(name, Some(entry))));
    }
    // The order of names puts a whole before its parts, which inherit what is decided about it.
    for (name, decisions) in decisions {
        let parts: Vec<Metric> = metrics
            .iter()
            .filter(|metric| whole_of(name) == Some(metric.name.as_str()))
            .map(|whole| Metric { name: name.clone(), ..whole.clone() })
            .collect();
        // A part that has a measure of its own needs no other.
        if !metrics.iter().any(|metric| metric.name == *name) {
            metrics.extend(parts);
        }
        for metric in metrics.iter_mut().filter(|metric| metric.name == *name) {
            match &mut metric.entry {
                Some(entry) => entry.take_over(decisions),
                None => metric.entry = MetricEntry::of_decisions(decisions),
            }
        }
    }
    metrics.sort_by(|one, other| one.name.cmp(&other.name));
    metrics
}

/// Returns the problem of each name that something is decided about and that no metric has.
pub fn unknown_metrics(models: &ModelSet, decisions: &BTreeMap<String, Decisions>) -> Vec<String> {
    let known: Vec<String> =
        registry(models, &BTreeMap::new(), &BTreeSet::new()).into_iter().map(|metric| metric.name).collect();
    let mut problems = Vec::new();
    for name in decisions.keys() {
        let whole = whole_of(name).unwrap_or(name);
        if !known.iter().any(|known| known == whole || known == name) {
            let hint = nearest(whole, known.iter().map(String::as_str)).map_or_else(
                || "select metric from meta.metrics lists them".to_owned(),
                |near| format!("did you mean \"{near}\"?"),
            );
            let shown = if whole_of(name).is_some() { format!("\"{name}\"") } else { name.clone() };
            problems.push(format!("[metrics.{shown}]: there is no metric \"{whole}\"; hint: {hint}"));
        }
    }
    problems
}
