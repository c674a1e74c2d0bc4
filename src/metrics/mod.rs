//! What a metric is: its entry in the registry, from the sidecars of schema `metrics`.
//!
//! Must not know how a metric is computed or served. Start at [`registry`].

use std::collections::BTreeSet;

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
    /// Label, unit, cadence, direction, owner, target, threshold and action plan, where the sidecar has them.
    pub entry: Option<MetricEntry>,
    /// Tables without which the view has no rows.
    pub needs: Vec<String>,
    /// Those of them that no source has.
    pub missing: Vec<String>,
}

/// Returns the metrics, in the order of their names: one for each view, and one for each measure that a view has besides.
pub fn registry(models: &ModelSet, missing_tables: &BTreeSet<String>) -> Vec<Metric> {
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
    metrics.sort_by(|one, other| one.name.cmp(&other.name));
    metrics
}
