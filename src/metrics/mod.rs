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
    /// The name, which is the view's.
    pub name: String,
    /// What a row is and which choices were made.
    pub description: String,
    /// The grain in words.
    pub grain: String,
    /// Label, unit, cadence, direction, owner, target, threshold and action plan, where the sidecar has them.
    pub entry: Option<MetricEntry>,
    /// Tables without which the view has no rows.
    pub needs: Vec<String>,
    /// Those of them that no source has.
    pub missing: Vec<String>,
}

/// Returns the metrics, in the order of their names.
pub fn registry(models: &ModelSet, missing_tables: &BTreeSet<String>) -> Vec<Metric> {
    models
        .iter()
        .filter(|model| model.id.schema == SCHEMA)
        .map(|model| {
            let sidecar = &model.sidecar;
            Metric {
                name: model.id.name.clone(),
                description: sidecar.description.clone(),
                grain: sidecar.grain.clone(),
                entry: sidecar.metric.clone(),
                needs: sidecar.needs.clone(),
                missing: sidecar.needs.iter().filter(|need| missing_tables.contains(*need)).cloned().collect(),
            }
        })
        .collect()
}
