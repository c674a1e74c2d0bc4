//! The headline figures: which there are, and their values over the months of a trend.

use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::{TREND_MONTHS, values};
use crate::domain::month::Month;
use crate::error::Result;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// Reporting currency.
    Money,
    /// A share: 0.31 is 31 %.
    Ratio,
    /// Customers.
    Count,
    /// Days of 86,400 seconds.
    Days,
}

/// A figure as it is declared.
#[derive(Debug)]
struct Spec {
    section: &'static str,
    name: &'static str,
    label: &'static str,
    unit: Unit,
    panel: usize,
    column: &'static str,
}

/// A view that figures are read from.
#[derive(Debug)]
struct Panel {
    view: &'static str,
    filter: &'static str,
}

const MOVEMENTS: usize = 0;
const ARPA: usize = 1;
const RETENTION: usize = 2;
const CAC: usize = 3;
const TIME_TO_REVENUE: usize = 4;

/// The views, in the order of the numbers above.
const PANELS: [Panel; 5] = [
    Panel { view: "mrr_movements", filter: "" },
    Panel { view: "arpa", filter: "" },
    Panel { view: "nrr", filter: "" },
    Panel { view: "cac", filter: "" },
    Panel { view: "time_to_revenue_monthly", filter: " and channel = '(all)'" },
];

const fn spec(
    section: &'static str,
    (name, label): (&'static str, &'static str),
    unit: Unit,
    (panel, column): (usize, &'static str),
) -> Spec {
    Spec { section, name, label, unit, panel, column }
}

const RECURRING: &str = "Recurring revenue";
const KEPT: &str = "Retention";
const WON: &str = "Acquisition";
const SPEED: &str = "Time to revenue, days";

/// The figures, in the order of the page.
const SPECS: [Spec; 20] = [
    spec(RECURRING, ("mrr_closing", "MRR at the end of the month"), Unit::Money, (MOVEMENTS, "closing")),
    spec(RECURRING, ("mrr_new", "  new"), Unit::Money, (MOVEMENTS, "new")),
    spec(RECURRING, ("mrr_expansion", "  expansion"), Unit::Money, (MOVEMENTS, "expansion")),
    spec(RECURRING, ("mrr_reactivation", "  reactivation"), Unit::Money, (MOVEMENTS, "reactivation")),
    spec(RECURRING, ("mrr_contraction", "  contraction"), Unit::Money, (MOVEMENTS, "contraction")),
    spec(RECURRING, ("mrr_churn", "  churn"), Unit::Money, (MOVEMENTS, "churn")),
    spec(RECURRING, ("customers", "Customers"), Unit::Count, (MOVEMENTS, "customers_closing")),
    spec(RECURRING, ("arpa", "ARPA"), Unit::Money, (ARPA, "arpa")),
    spec(KEPT, ("nrr", "NRR"), Unit::Ratio, (RETENTION, "nrr")),
    spec(KEPT, ("grr", "GRR"), Unit::Ratio, (RETENTION, "grr")),
    spec(KEPT, ("nrr_12m", "NRR over 12 months"), Unit::Ratio, (RETENTION, "nrr_12m")),
    spec(KEPT, ("grr_12m", "GRR over 12 months"), Unit::Ratio, (RETENTION, "grr_12m")),
    spec(KEPT, ("logo_churn_rate", "Logo churn"), Unit::Ratio, (RETENTION, "logo_churn_rate")),
    spec(WON, ("cac", "CAC, all channels"), Unit::Money, (CAC, "cac")),
    spec(WON, ("acquisition_cost", "  cost"), Unit::Money, (CAC, "acquisition_cost")),
    spec(WON, ("ad_spend", "  of it ad spend"), Unit::Money, (CAC, "ad_spend")),
    spec(WON, ("new_customers", "  new customers"), Unit::Count, (CAC, "new_customers")),
    spec(SPEED, ("time_to_revenue_median", "Median"), Unit::Days, (TIME_TO_REVENUE, "median_days")),
    spec(SPEED, ("time_to_revenue_p90", "90th percentile"), Unit::Days, (TIME_TO_REVENUE, "p90_days")),
    spec(SPEED, ("time_to_revenue_customers", "  customers"), Unit::Count, (TIME_TO_REVENUE, "customers")),
];

/// A figure of a month.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    #[serde(skip)]
    pub section: &'static str,
    pub name: &'static str,
    #[serde(serialize_with = "trimmed")]
    pub label: &'static str,
    pub unit: Unit,
    pub value: Option<f64>,
    pub previous: Option<f64>,
    pub trend: Vec<Point>,
    /// Whether its view has no row for the month.
    #[serde(skip)]
    pub is_outside: bool,
}

/// A figure in a month of its trend.
#[derive(Debug, Serialize)]
pub(super) struct Point {
    pub month: String,
    pub value: Option<f64>,
}

/// In a list the indent says what is part of what; by itself a label has none.
fn trimmed<S: serde::Serializer>(label: &str, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(label.trim_start())
}

/// Returns the names of the views.
pub(super) fn views() -> impl Iterator<Item = &'static str> {
    PANELS.iter().map(|panel| panel.view)
}

/// Returns a query for each view: month, then its columns in the order of the figures, for the months of the trend.
pub(super) fn queries(month: Month) -> Vec<String> {
    let first = month.plus(1 - TREND_MONTHS).sql();
    let last = month.sql();
    let query = |(index, panel): (usize, &Panel)| {
        let columns: Vec<_> =
            columns(index).map(|spec| format!("cast(\"{}\" as double) as {}", spec.column, spec.name)).collect();
        format!(
            "select month, {} from metrics.{} where month between {first} and {last}{}",
            columns.join(", "),
            panel.view,
            panel.filter
        )
    };
    PANELS.iter().enumerate().map(query).collect()
}

/// Returns a query for each view: its first and last month.
pub(super) fn range_queries() -> Vec<String> {
    let query = |panel: &Panel| format!("select min(month) as first, max(month) as last from metrics.{}", panel.view);
    PANELS.iter().map(query).collect()
}

fn columns(panel: usize) -> impl Iterator<Item = &'static Spec> {
    SPECS.iter().filter(move |spec| spec.panel == panel)
}

/// Returns the figures of a month from the rows of the queries.
///
/// # Errors
/// `Model` where a view has other columns than it must.
pub(super) fn figures(month: Month, results: &[Vec<RecordBatch>]) -> Result<Vec<Figure>> {
    let months: Vec<Month> = month.since(month.plus(1 - TREND_MONTHS)).collect();
    let mut figures = Vec::with_capacity(SPECS.len());
    for spec in &SPECS {
        let place = columns(spec.panel).position(|other| other.name == spec.name).unwrap_or_default();
        let mut trend: Vec<Point> =
            months.iter().map(|month| Point { month: month.to_string(), value: None }).collect();
        let mut is_outside = true;
        for batch in results.get(spec.panel).into_iter().flatten() {
            for row in 0..batch.num_rows() {
                let of_row = values::month(batch, 0, row)?;
                let Some(index) = months.iter().position(|month| Some(*month) == of_row) else { continue };
                trend[index].value = values::number(batch, place + 1, row)?;
                is_outside &= index + 1 < months.len();
            }
        }
        let back = |months_back: usize| trend.iter().rev().nth(months_back).and_then(|point| point.value);
        figures.push(Figure {
            section: spec.section,
            name: spec.name,
            label: spec.label,
            unit: spec.unit,
            value: back(0),
            previous: back(1),
            trend,
            is_outside,
        });
    }
    Ok(figures)
}
