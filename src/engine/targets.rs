//! Targets: how the metrics stand in the last complete period of each cadence, by the scorecards.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;
use serde::Serialize;

use super::Engine;
use crate::catalog::TableId;
use crate::domain::governance::CADENCES;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::SCHEMA;

/// The last complete period of a cadence.
#[derive(Debug, Clone)]
pub struct Scorecard {
    /// One of [`CADENCES`].
    pub cadence: &'static str,
    /// The first day of the period.
    pub period: String,
    /// Metrics that are on target.
    pub on_target: usize,
    /// Metrics that have none.
    pub no_target: usize,
    /// The others.
    pub off_target: Vec<OffTarget>,
}

/// A metric on the wrong side of its target by more than its threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OffTarget {
    /// One of [`CADENCES`].
    pub cadence: &'static str,
    /// The first day of the period.
    pub period: String,
    /// The metric.
    pub metric: String,
    /// What it is.
    pub value: Option<f64>,
    /// What it was in the period before.
    pub previous: Option<f64>,
    /// What it should be.
    pub target: Option<f64>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What is done then.
    pub action_plan: Option<String>,
}

impl Engine {
    /// Returns how the metrics stand in the last complete period of each cadence that has a scorecard and a period.
    ///
    /// # Errors
    /// Those of the scorecards' queries.
    pub async fn scorecards(&self) -> Result<Vec<Scorecard>> {
        let mut scorecards = Vec::new();
        for cadence in CADENCES {
            let view = TableId { schema: SCHEMA.to_owned(), name: format!("{cadence}_scorecard") };
            if self.models().get(&view).is_some() {
                scorecards.extend(self.scorecard(cadence, &view).await?);
            }
        }
        Ok(scorecards)
    }

    async fn scorecard(&self, cadence: &'static str, view: &TableId) -> Result<Option<Scorecard>> {
        let sql = format!(
            "select period, metric, value, previous, target, status, owner, action_plan from ( \
                 select *, max(period) over () as last_period from {view} where is_complete \
             ) where period = last_period order by metric"
        );
        let mut scorecard = None;
        for rows in self.session().query(&sql).await?.collect().await? {
            for row in 0..rows.num_rows() {
                let period = text(&rows, "period", row)?.unwrap_or_default();
                let card = scorecard.get_or_insert_with(|| Scorecard {
                    cadence,
                    period: period.clone(),
                    on_target: 0,
                    no_target: 0,
                    off_target: Vec::new(),
                });
                match text(&rows, "status", row)?.as_deref() {
                    Some("on_target") => card.on_target += 1,
                    Some("off_target") => card.off_target.push(OffTarget {
                        cadence,
                        period,
                        metric: text(&rows, "metric", row)?.unwrap_or_default(),
                        value: number(&rows, "value", row)?,
                        previous: number(&rows, "previous", row)?,
                        target: number(&rows, "target", row)?,
                        owner: text(&rows, "owner", row)?,
                        action_plan: text(&rows, "action_plan", row)?,
                    }),
                    _ => card.no_target += 1,
                }
            }
        }
        Ok(scorecard)
    }
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
