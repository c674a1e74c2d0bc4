//! The tables of `finance`.

use std::path::Path;

use super::calendar::{AS_OF_DAY, LEAP_DAY, add_months};
use super::company::Company;
use super::dice::{Dice, Stream};
use super::table::TableWriter;
use super::{SampleTable, schema};
use crate::error::Result;

/// The share of accounts that become customers, about.
const CUSTOMER_SHARE: f64 = 0.31;
/// What a new customer costs in reporting currency, about.
const CUSTOMER_COST: f64 = 4_400.0;
/// Recurring revenue of a customer in a year in reporting currency, about.
const CUSTOMER_REVENUE: f64 = 8_400.0;
/// The least that sales and marketing cost in a month.
const BUDGET_MIN: f64 = 400.0;
/// Recurring revenue for each employee.
const REVENUE_PER_EMPLOYEE: f64 = 145_000.0;
/// How many months pass, about, from the arrival of an account to its win.
const SALES_LAG: usize = 2;
/// Rates at the end of the history, and how much they move in a day.
const RATES: [(&str, f64, f64); 2] = [("EUR", 1.09, 0.0035), ("GBP", 1.27, 0.0040)];
/// Pounds have rates only after this share of the history.
const LATE_RATES: f64 = 0.06;

/// Department, category, channel, currency, and share of the cost of sales and marketing that is not ad spend.
const COSTS: [(&str, &str, Option<&str>, &str, f64); 11] = [
    ("sales", "salaries", None, "USD", 0.40),
    ("sales", "commissions", None, "USD", 0.09),
    ("sales", "tools", None, "USD", 0.04),
    ("sales", "prospecting", Some("outbound"), "USD", 0.08),
    ("marketing", "salaries", None, "USD", 0.18),
    ("marketing", "tools", None, "EUR", 0.04),
    ("marketing", "agency", Some("paid_search"), "USD", 0.04),
    ("marketing", "agency", Some("paid_social"), "GBP", 0.03),
    ("marketing", "production", Some("content"), "EUR", 0.05),
    ("marketing", "travel", Some("events"), "USD", 0.03),
    ("marketing", "email_service", Some("email"), "USD", 0.02),
];
/// The share of the cost of sales and marketing that is not ad spend.
const OTHER_SHARE: f64 = 0.60;

/// Metric, target of the first month and of the last one.
const TARGETS: [(&str, f64, f64); 13] = [
    ("pipeline_velocity_days", 55.0, 42.0),
    ("win_rate", 0.24, 0.28),
    ("gross_churn_rate", 0.025, 0.018),
    ("cac", 5_000.0, 4_000.0),
    ("cac:paid_search", 5_500.0, 4_500.0),
    ("nrr_12m", 1.04, 1.10),
    ("grr_12m", 0.82, 0.86),
    ("arpa", 620.0, 760.0),
    ("revenue_per_employee", 110_000.0, 140_000.0),
    ("ltv_to_cac", 3.0, 4.0),
    ("time_to_revenue_days", 75.0, 60.0),
    ("pipeline_conversion", 0.18, 0.22),
    ("forecast_accuracy", 0.7, 0.8),
];

/// The share of the budget that is spent in the first months, while the teams are hired.
const RAMP: [f64; 3] = [0.4, 0.6, 0.8];

/// The segment of a target for all of them.
const ALL_SEGMENTS: Option<&str> = None;

/// Returns what sales and marketing may cost in a month in reporting currency, for the customers expected in it.
pub fn monthly_budget(company: &Company, month: usize) -> f64 {
    let share = company.share_of_arrivals(month.saturating_sub(SALES_LAG));
    let ramp = RAMP.get(month).copied().unwrap_or(1.0);
    (company.accounts as f64 * share * CUSTOMER_SHARE * CUSTOMER_COST * ramp).max(BUDGET_MIN)
}

/// Writes the tables of `finance`.
pub fn write_finance(company: &Company, out: &Path) -> Result<Vec<SampleTable>> {
    let mut tables = vec![write_rates(company, out)?, write_costs(company, out)?];
    let mut headcount = TableWriter::new(out, &schema::HEADCOUNT, 0);
    let mut margin = TableWriter::new(out, &schema::GROSS_MARGIN, 0);
    let months = company.calendar.months();
    let mut arrived = 0.0;
    for month in 0..months {
        let day = company.calendar.first_day(month);
        let dice = &mut Dice::new(company.seed, Stream::Finance, 3, month as u64);
        arrived += company.share_of_arrivals(month.saturating_sub(SALES_LAG)) * 0.985_f64.powi((months - month) as i32);
        let revenue = company.accounts as f64 * arrived * CUSTOMER_SHARE * CUSTOMER_REVENUE;
        headcount.row()?.date(day).int((revenue / REVENUE_PER_EMPLOYEE).ceil() as i64 + 1);
        let grown = 0.72 + 0.07 * (month + 1) as f64 / months as f64 + dice.uniform(-0.008, 0.008);
        margin.row()?.date(day).double((grown * 1_000.0).round() / 1_000.0);
    }
    tables.push(headcount.finish()?);
    tables.push(margin.finish()?);
    tables.push(write_targets(company, out)?);
    Ok(tables)
}

/// Writes rates of working days; those of the pound start late, and the reporting currency has one nobody may use.
fn write_rates(company: &Company, out: &Path) -> Result<SampleTable> {
    let mut writer = TableWriter::new(out, &schema::FX_RATES, 0);
    let first = company.calendar.first_day(0);
    let late = first + (f64::from(AS_OF_DAY - first) * LATE_RATES) as i32 + 3;
    for (place, (currency, rate, step)) in (0..).zip(RATES) {
        let dice = &mut Dice::new(company.seed, Stream::Finance, 1, place);
        let start = if place == 0 { first.min(LEAP_DAY) } else { late };
        let mut rate = rate;
        // Up to the first week after `as_of`, of which nothing may know.
        for day in start..AS_OF_DAY + 7 {
            let is_weekend = (day + 3).rem_euclid(7) >= 5;
            // A pull back to where it started keeps twenty years of steps in sight.
            rate += rate * step * dice.normal() + (RATES[place as usize].1 - rate) * 0.004;
            let is_leap_day = day == LEAP_DAY;
            if (!is_weekend && (day >= first - 5)) || is_leap_day || day == start {
                writer.row()?.text(currency).date(day).decimal((rate * 1e6) as i64 * 100);
            }
        }
    }
    writer.row()?.text("USD").date(first).decimal(105_000_000);
    writer.finish()
}

fn write_costs(company: &Company, out: &Path) -> Result<SampleTable> {
    let mut writer = TableWriter::new(out, &schema::COSTS, 0);
    let months = company.calendar.months();
    // The month after the last one is planned already.
    for month in 0..=months {
        let day = add_months(company.calendar.first_day(0), month as i32);
        let budget = monthly_budget(company, month.min(months - 1)) * OTHER_SHARE;
        for (place, (department, category, channel, currency, share)) in (0..).zip(COSTS) {
            let dice = &mut Dice::new(company.seed, Stream::Finance, 100 + place, month as u64);
            let amount = (budget * share * dice.lognormal(1.0, 0.07) * 100.0).max(1.0) as i64;
            writer.row()?.date(day).text(department).text(category).text(channel).decimal(amount).text(currency);
        }
    }
    writer.finish()
}

fn write_targets(company: &Company, out: &Path) -> Result<SampleTable> {
    let mut writer = TableWriter::new(out, &schema::TARGETS, 0);
    let months = company.calendar.months();
    for month in 0..months {
        let day = company.calendar.first_day(month);
        let at = (month + 1) as f64 / months as f64;
        let pipeline = (monthly_budget(company, month) * 6.0 / 1_000.0).ceil() * 1_000.0;
        writer.row()?.text("new_pipeline").date(day).text(ALL_SEGMENTS).double(pipeline);
        let expansion = (monthly_budget(company, month) * at * 0.25 / 100.0).ceil() * 100.0;
        writer.row()?.text("expansion_revenue").date(day).text(ALL_SEGMENTS).double(expansion);
        for (metric, from, to) in TARGETS {
            let target = ((from + (to - from) * at) * 1_000.0).round() / 1_000.0;
            writer.row()?.text(metric).date(day).text(ALL_SEGMENTS).double(target);
        }
        for (segment, target) in [("smb", 0.98), ("mid_market", 1.06), ("enterprise", 1.12)] {
            writer.row()?.text("nrr_12m").date(day).text(segment).double(target);
        }
    }
    writer.finish()
}
