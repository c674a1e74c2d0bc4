//! Each setting changes the views that it is about, and no others.
//!
//! A view that is new, or reads a setting that it did not read before, fails here with the entry to put in its place.

use std::collections::{BTreeMap, BTreeSet};

use topline::config::{Config, Environment};
use topline::engine::{Engine, Session};
use topline::models::Model;

use crate::support::{rows, sample, session};

/// A setting, a value other than its default, and the views of the sample that change with it.
type Reach = (&'static str, &'static str, &'static str);

/// Views of `metrics` stand without their schema.
const REACHES: &[Reach] = &[
    (
        "reporting.currency",
        "EUR",
        "arpa attribution attribution_by_campaign attribution_by_channel cac cac_by_channel expansion_revenue
         forecast_accuracy ltv_cac marketing_pnl monthly_scorecard mrr mrr_movements mrr_movements_weekly nrr
         nrr_by_segment open_pipeline pipeline_attribution pipeline_attribution_by_channel pipeline_conversion
         pipeline_created pipeline_created_weekly pipeline_movements pipeline_velocity
         pipeline_velocity_weekly quality.reconciliation quality.revenue_leakage quarterly_scorecard
         retention_cohorts revenue revenue_per_employee scorecard scorecard_values weekly_scorecard",
    ),
    (
        "reporting.timezone",
        "America/Sao_Paulo",
        "arpa attribution attribution_by_campaign attribution_by_channel cac cac_by_channel expansion_revenue
         forecast_accuracy funnel ltv_cac marketing_pnl monthly_scorecard mrr mrr_movements nrr nrr_by_segment
         pipeline_attribution pipeline_attribution_by_channel pipeline_conversion pipeline_created
         pipeline_created_weekly pipeline_movements pipeline_velocity pipeline_velocity_weekly
         quality.reconciliation quality.revenue_leakage quarterly_scorecard retention_cohorts revenue
         revenue_per_employee scorecard scorecard_values time_to_revenue_monthly weekly_scorecard
         win_rate_by_stage win_rate_by_stage_weekly",
    ),
    (
        "reporting.week_start",
        "sunday",
        "mrr_movements_weekly pipeline_created_weekly pipeline_velocity_weekly scorecard scorecard_values
         weekly_scorecard win_rate_by_stage_weekly",
    ),
    ("reporting.fiscal_year_start", "2", "quarterly_scorecard scorecard scorecard_values"),
    (
        "reporting.as_of",
        "2026-10-16T09:30:00Z",
        "arpa attribution attribution_by_campaign attribution_by_channel cac cac_by_channel expansion_revenue
         forecast_accuracy funnel ltv_cac marketing_pnl monthly_scorecard mrr mrr_movements
         mrr_movements_weekly nrr nrr_by_segment open_pipeline pipeline_attribution
         pipeline_attribution_by_channel pipeline_conversion pipeline_created pipeline_created_weekly
         pipeline_movements pipeline_velocity pipeline_velocity_weekly quality.missing_fx_rate
         quality.negative_leg quality.reconciliation quality.revenue_leakage quality.unresolved_touch
         quality.violations quarterly_scorecard retention_cohorts revenue revenue_per_employee scorecard
         scorecard_values time_to_revenue time_to_revenue_monthly weekly_scorecard win_rate_by_stage
         win_rate_by_stage_weekly",
    ),
    (
        "attribution.lookback_days",
        "30",
        "attribution attribution_by_campaign attribution_by_channel cac_by_channel marketing_pnl
         monthly_scorecard pipeline_attribution pipeline_attribution_by_channel quarterly_scorecard scorecard
         scorecard_values",
    ),
    (
        "attribution.half_life_days",
        "14",
        "attribution attribution_by_campaign attribution_by_channel cac_by_channel pipeline_attribution
         pipeline_attribution_by_channel",
    ),
    (
        "attribution.touch_scope",
        "contact_roles",
        "attribution attribution_by_campaign attribution_by_channel cac_by_channel marketing_pnl
         monthly_scorecard pipeline_attribution pipeline_attribution_by_channel quarterly_scorecard scorecard
         scorecard_values",
    ),
    ("cac.model", "first_touch", "marketing_pnl monthly_scorecard quarterly_scorecard scorecard scorecard_values"),
    (
        "cac.cost_lag_months",
        "1",
        "cac cac_by_channel ltv_cac marketing_pnl monthly_scorecard quarterly_scorecard scorecard
         scorecard_values",
    ),
    // The sample has a margin for each month.
    ("unit_economics.gross_margin", "0.5", ""),
    ("quality.mismatch_share", "0.5", "quality.reconciliation"),
    ("quality.billing_grace_days", "200", "quality.reconciliation quality.revenue_leakage"),
    ("quality.follow_up_hours", "48", "quality.revenue_leakage"),
    ("quality.overdue_days", "60", "quality.revenue_leakage"),
    ("quality.reconciliation_days", "180", "quality.reconciliation"),
];

/// Functions that follow a setting without naming it; what is left follows `reporting.timezone` and `reporting.as_of`.
const FOLLOWERS: [(&str, &[&str]); 2] = [
    ("reporting.week_start", &["week_of(", "local_week(", "week_series("]),
    ("reporting.fiscal_year_start", &["quarter_of(", "local_quarter(", "quarter_series("]),
];

/// Views that people ask, each with its SQL and that of all models that it reads.
struct Views {
    by_name: BTreeMap<String, (String, String)>,
}

impl Views {
    fn of(engine: &Engine) -> Self {
        let models: BTreeMap<String, &Model> =
            engine.models().iter().map(|model| (model.id.to_string(), model)).collect();
        let mut by_name = BTreeMap::new();
        for (id, model) in &models {
            let name = match model.id.schema.as_str() {
                "metrics" => model.id.name.clone(),
                "quality" => id.clone(),
                _ => continue,
            };
            let (mut sql, mut seen, mut open) = (String::new(), BTreeSet::new(), vec![id.clone()]);
            while let Some(id) = open.pop() {
                if let Some(model) = models.get(&id).filter(|_| seen.insert(id)) {
                    sql.push_str(&model.sql);
                    // Operators read the settings of attribution by themselves.
                    sql.push_str(if model.sidecar.operator.is_some() { "'attribution." } else { "" });
                    open.extend(model.reads.iter().map(ToString::to_string));
                }
            }
            by_name.insert(name, (id.clone(), sql));
        }
        Self { by_name }
    }

    /// Returns the rows of the views that a setting may move, in one order. Most settings are named by the SQL that
    /// reads them, so a view without the name is not asked.
    async fn answers(&self, session: &Session, setting: Option<&str>) -> BTreeMap<&str, Vec<Vec<String>>> {
        let mut answers = BTreeMap::new();
        for (name, (id, sql)) in &self.by_name {
            let follows = |setting: &str| match FOLLOWERS.iter().find(|(name, _)| *name == setting) {
                Some((_, functions)) => functions.iter().any(|function| sql.contains(function)),
                None if setting.starts_with("reporting.") => true,
                None if setting.starts_with("attribution.") => sql.contains("'attribution."),
                None => sql.contains(&format!("'{setting}'")),
            };
            if setting.is_none_or(follows) {
                let mut rows = rows(session, &format!("select * from {id}")).await;
                rows.sort();
                answers.insert(name.as_str(), rows);
            }
        }
        answers
    }
}

/// Returns a session on the sample with one setting changed.
async fn changed(engine: &Engine, name: &str, value: &str) -> Session {
    if name != "reporting.currency" {
        return session(engine, &[(name, value)]);
    }
    // The currency is not in a session.
    let variable = ("TOPLINE_REPORTING_CURRENCY".to_owned(), value.to_owned());
    let config = Config::sample(&Environment::from_variables([variable])).expect("a currency");
    Engine::open(config).await.expect("the sample opens").session()
}

/// Returns views as they stand in an entry, in lines of up to 110 characters.
fn entry(views: &BTreeSet<&str>) -> String {
    let mut lines = vec![String::new()];
    for view in views {
        let is_full = lines.last().is_some_and(|line| line.len() + view.len() > 100);
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(view);
        }
    }
    lines.join("\n         ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_moves_the_views_that_it_is_about() {
    let engine = sample().await;
    let views = Views::of(&engine);
    let before = views.answers(&engine.session(), None).await;
    let mut problems = Vec::new();
    for (name, value, expected) in REACHES {
        let after = views.answers(&changed(&engine, name, value).await, Some(name)).await;
        let moved: BTreeSet<&str> =
            after.iter().filter(|(view, rows)| before.get(*view) != Some(rows)).map(|(view, _)| *view).collect();
        if moved != expected.split_whitespace().collect() {
            problems.push(format!(
                "    (\n        \"{name}\",\n        \"{value}\",\n        \"{}\",\n    ),",
                entry(&moved)
            ));
        }
    }
    assert!(problems.is_empty(), "these settings move other views than their entries say:\n{}", problems.join("\n"));
}

#[tokio::test]
async fn every_setting_has_an_entry() {
    let engine = sample().await;
    let declared = rows(&engine.session(), "select name from meta.settings order by name").await;
    let declared: Vec<&str> = declared.iter().map(|row| row[0].as_str()).collect();
    let mut tried: Vec<&str> = REACHES.iter().map(|(name, ..)| *name).collect();
    tried.sort_unstable();
    assert_eq!(tried, declared);
}

#[tokio::test]
async fn quarters_follow_the_fiscal_year() {
    // A year from April has the quarters of the calendar; one from February has others, and what was created in its
    // quarters is the sum of their months.
    let engine = sample().await;
    let calendar: &[&str] = &["1", "4", "7", "10"];
    let quarters: [(&str, &[&str]); 4] =
        [("1", calendar), ("4", calendar), ("2", &["2", "5", "8", "11"]), ("12", &["3", "6", "9", "12"])];
    for (first, expected) in quarters {
        let session = session(&engine, &[("reporting.fiscal_year_start", first)]);
        let sql =
            "select distinct cast(date_part('month', period) as bigint) as month from quarterly_scorecard order by 1";
        let found = rows(&session, sql).await;
        assert_eq!(found.concat(), expected, "a fiscal year from month {first}");
        let sql = "with months as (select quarter_of(month) as quarter, sum(amount) as amount from pipeline_created group by 1)
             select count(*), count(*) filter (where abs(scorecard.value - cast(months.amount as double)) > 0.005)
             from quarterly_scorecard as scorecard
             inner join months on months.quarter = scorecard.period
             where scorecard.metric = 'new_pipeline'";
        let sums = rows(&session, sql).await.concat();
        assert!(sums[0] != "0" && sums[1] == "0", "a fiscal year from month {first}: {} of {}", sums[1], sums[0]);
    }
}
