//! `topline check --targets`: what is off target, whose it is and what is done then, and which metrics nobody answers for.

use serde::Serialize;

use super::findings::without;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::output::numbers::grouped;
use crate::cli::terminal::Terminal;
use crate::engine::Engine;
use crate::engine::targets::{OffTarget, Scorecard};
use crate::error::Result;

/// Below this a number is shown with all the places that a ratio needs.
const SMALL: f64 = 10.0;

/// How the metrics stand in the last complete period of each cadence.
#[derive(Debug, Default, Serialize)]
pub(super) struct Targets {
    scorecards: Vec<Counts>,
    off_target: Vec<OffTarget>,
    without_owner: Vec<String>,
    without_target: Vec<String>,
    without_action_plan: Vec<String>,
}

/// The last complete period of a cadence.
#[derive(Debug, Serialize)]
struct Counts {
    cadence: &'static str,
    period: String,
    on_target: usize,
    off_target: usize,
    no_target: usize,
}

/// Reads the scorecards and the registry.
///
/// # Errors
/// Those of the scorecards' queries.
pub(super) async fn read(engine: &Engine) -> Result<Targets> {
    let metrics = engine.metrics();
    let mut targets = Targets {
        without_owner: without(&metrics, |entry| entry.owner.is_some()),
        without_target: without(&metrics, |entry| entry.target.is_some()),
        without_action_plan: without(&metrics, |entry| entry.action_plan.is_some()),
        ..Targets::default()
    };
    for card in engine.scorecards().await? {
        let Scorecard { cadence, period, on_target, no_target, off_target } = card;
        targets.scorecards.push(Counts { cadence, period, on_target, off_target: off_target.len(), no_target });
        targets.off_target.extend(off_target);
    }
    Ok(targets)
}

impl Targets {
    /// Returns the same for people.
    pub(super) fn text(&self, terminal: &Terminal) -> String {
        let mut text = String::new();
        for card in &self.scorecards {
            text.push_str(&format!(
                "{:<14}{}: {} on target, {} off target, {} without a target\n",
                card.cadence, card.period, card.on_target, card.off_target, card.no_target
            ));
        }
        if !self.off_target.is_empty() {
            let columns = [
                ("off target", Lean::Left),
                ("period", Lean::Left),
                ("value", Lean::Right),
                ("before", Lean::Right),
                ("target", Lean::Right),
                ("owner", Lean::Left),
                ("action plan", Lean::Left),
            ];
            let rows = self.off_target.iter().map(row).collect();
            text.push('\n');
            text.push_str(&listing(terminal, &columns, rows, Overflow::Break));
            text.push('\n');
        }
        for (what, names) in [
            ("owner", &self.without_owner),
            ("target", &self.without_target),
            ("action plan", &self.without_action_plan),
        ] {
            if !names.is_empty() {
                text.push_str(&format!("without {what}: {}\n", names.join(", ")));
            }
        }
        text
    }
}

fn row(off: &OffTarget) -> Vec<String> {
    let figure = |number: Option<f64>| {
        number.map_or_else(|| "–".to_owned(), |number| grouped(number, if number.abs() < SMALL { 4 } else { 2 }))
    };
    vec![
        off.metric.clone(),
        off.period.clone(),
        figure(off.value),
        figure(off.previous),
        figure(off.target),
        off.owner.clone().unwrap_or_default(),
        off.action_plan.clone().unwrap_or_default(),
    ]
}
