//! `topline check --targets`: what is off target, whose it is and what is done then, and which metrics nobody answers for.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;
use serde::Serialize;

use super::findings::without;
use crate::catalog::TableId;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::output::numbers::grouped;
use crate::cli::terminal::Terminal;
use crate::domain::governance::CADENCES;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::SCHEMA;

/// Below this a number is shown with all the places that a ratio needs.
const SMALL: f64 = 10.0;

/// How the metrics stand in the last complete period of each cadence.
#[derive(Debug, Default, Serialize)]
pub(super) struct Targets {
    scorecards: Vec<Scorecard>,
    off_target: Vec<OffTarget>,
    without_owner: Vec<String>,
    without_target: Vec<String>,
    without_action_plan: Vec<String>,
}

/// The last complete period of a cadence.
#[derive(Debug, Serialize)]
struct Scorecard {
    cadence: &'static str,
    period: String,
    on_target: usize,
    off_target: usize,
    no_target: usize,
}

/// A metric on the wrong side of its target by more than its threshold.
#[derive(Debug, Serialize)]
struct OffTarget {
    cadence: &'static str,
    period: String,
    metric: String,
    value: Option<f64>,
    previous: Option<f64>,
    target: Option<f64>,
    owner: Option<String>,
    action_plan: Option<String>,
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
    for cadence in CADENCES {
        let view = TableId { schema: SCHEMA.to_owned(), name: format!("{cadence}_scorecard") };
        if engine.models().get(&view).is_some() {
            targets.add(engine, cadence, &view).await?;
        }
    }
    Ok(targets)
}

impl Targets {
    async fn add(&mut self, engine: &Engine, cadence: &'static str, view: &TableId) -> Result<()> {
        let sql = format!(
            "select period, metric, value, previous, target, status, owner, action_plan from ( \
                 select *, max(period) over () as last_period from {view} where is_complete \
             ) where period = last_period order by metric"
        );
        let mut scorecard = None;
        for rows in engine.session().query(&sql).await?.collect().await? {
            for row in 0..rows.num_rows() {
                let period = text(&rows, "period", row)?.unwrap_or_default();
                let counts = scorecard.get_or_insert_with(|| Scorecard {
                    cadence,
                    period: period.clone(),
                    on_target: 0,
                    off_target: 0,
                    no_target: 0,
                });
                match text(&rows, "status", row)?.as_deref() {
                    Some("on_target") => counts.on_target += 1,
                    Some("off_target") => {
                        counts.off_target += 1;
                        self.off_target.push(OffTarget {
                            cadence,
                            period,
                            metric: text(&rows, "metric", row)?.unwrap_or_default(),
                            value: number(&rows, "value", row)?,
                            previous: number(&rows, "previous", row)?,
                            target: number(&rows, "target", row)?,
                            owner: text(&rows, "owner", row)?,
                            action_plan: text(&rows, "action_plan", row)?,
                        });
                    }
                    _ => counts.no_target += 1,
                }
            }
        }
        self.scorecards.extend(scorecard);
        Ok(())
    }

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

fn text(rows: &RecordBatch, name: &str, row: usize) -> Result<Option<String>> {
    let Some(values) = rows.column_by_name(name).filter(|values| !values.is_null(row)) else { return Ok(None) };
    array_value_to_string(values, row).map(Some).map_err(|cause| unreadable(name, cause))
}

fn number(rows: &RecordBatch, name: &str, row: usize) -> Result<Option<f64>> {
    let Some(values) = rows.column_by_name(name).filter(|values| !values.is_null(row)) else { return Ok(None) };
    let values = cast(values, &DataType::Float64).map_err(|cause| unreadable(name, cause))?;
    Ok(Some(values.as_primitive::<Float64Type>().value(row)))
}

fn unreadable(name: &str, cause: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Query, format!("column \"{name}\" of a scorecard cannot be read")).with_source(cause)
}
