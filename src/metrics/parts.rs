//! The records that a number is made of, as SQL: to explain it, to cut it, and to prove that they add up to it.
//!
//! Must not know how a query runs. Start at [`Measure::find`].

mod filter;
mod law;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::NaiveDate;

use super::{SCHEMA, registry};
use crate::domain::names::nearest;
use crate::models::parts::{self, Parts, Value};
use crate::models::sidecar::ColumnKind;
use crate::models::{Model, ModelSet};
pub use filter::Filter;
use rows::{Besides, OF_ACCOUNTS, OF_OPPORTUNITIES, rows_of};

/// Columns of every part row that a filter may name besides dimensions.
const OF_ROWS: [&str; 2] = ["source_key", "table_name"];

/// A column of a view whose numbers add up from records.
#[derive(Debug, Clone, Copy)]
pub struct Measure<'models> {
    /// The view.
    pub model: &'models Model,
    /// The column of it.
    pub column: &'models str,
    /// The column with the period.
    pub period: &'models str,
    /// What the column holds.
    pub kind: ColumnKind,
}

impl<'models> Measure<'models> {
    /// Returns every measure that comes from records, view by view, in the order of columns.
    pub fn all(models: &'models ModelSet) -> Vec<Self> {
        models.iter().flat_map(Self::of).collect()
    }

    /// Returns the measures of a view that come from records, in the order of columns.
    pub fn of(model: &'models Model) -> Vec<Self> {
        let Some(period) = parts::period_of(&model.sidecar) else { return Vec::new() };
        let has_parts = |column: &str| model.sidecar.parts.iter().any(|parts| parts.values.contains_key(column));
        let columns = model.sidecar.columns.iter().filter(|column| has_parts(&column.0));
        columns.map(|column| Self { model, column: &column.0, period, kind: column.1 }).collect()
    }

    /// Returns the measure of a name: a metric's, or `VIEW.COLUMN`; `Err` is the problem with a hint.
    pub fn find(models: &'models ModelSet, name: &str) -> Result<Self, String> {
        let all = Self::all(models);
        let of_view = |view: &str, column: &str| {
            all.iter().find(|measure| measure.model.id.name == view && measure.column == column).copied()
        };
        let registry = registry(models, &BTreeMap::new(), &BTreeSet::new());
        let mut known = false;
        for metric in registry.iter().filter(|metric| metric.name == name) {
            known = true;
            let column = metric.entry.as_ref().and_then(|entry| entry.column.as_deref()).unwrap_or(&metric.name);
            if let Some(measure) = of_view(&metric.view, column) {
                return Ok(measure);
            }
        }
        let view = name.split('.').next().unwrap_or_default();
        if let Some((view, column)) = name.split_once('.') {
            if let Some(measure) = of_view(view, column) {
                return Ok(measure);
            }
            let columns = models.iter().filter(|model| model.id.schema == SCHEMA && model.id.name == view);
            known = columns.flat_map(|model| &model.sidecar.columns).any(|known| known.0 == column);
        }
        let of_same: Vec<String> =
            all.iter().filter(|measure| measure.model.id.name == view).map(Self::dotted).collect();
        if known {
            let problem = format!("metric \"{name}\" is not made of records: it is no sum and no ratio of sums");
            return Err(match of_same.is_empty() {
                true => format!("{problem}; hint: select metric from meta.metrics where dimensions is not null"),
                false => format!("{problem}; hint: there are {}", of_same.join(", ")),
            });
        }
        let names: Vec<String> =
            registry.iter().map(|metric| metric.name.clone()).chain(all.iter().map(Self::dotted)).collect();
        let problem = format!("metric \"{name}\" does not exist");
        Err(match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("{problem}; hint: did you mean \"{near}\"?"),
            None if !of_same.is_empty() => format!("{problem}; hint: there are {}", of_same.join(", ")),
            None => format!("{problem}; hint: select metric from meta.metrics lists them"),
        })
    }

    /// Returns the name that is always right: `VIEW.COLUMN`.
    pub fn dotted(&self) -> String {
        format!("{}.{}", self.model.id.name, self.column)
    }

    /// Returns whether the number is a ratio of sums.
    pub fn is_ratio(&self) -> bool {
        self.parts().any(|(_, value)| value.denominator().is_some())
    }

    /// Returns what the number can be cut by, in the order of names: what all its parts have.
    pub fn dimensions(&self) -> Vec<String> {
        let mut common: Option<BTreeSet<String>> = None;
        for (parts, _) in self.parts() {
            let mut own: BTreeSet<String> = parts.dimensions.iter().cloned().collect();
            if parts.account.is_some() {
                own.extend(OF_ACCOUNTS.map(str::to_owned));
            }
            if parts.opportunity.is_some() {
                own.extend(OF_OPPORTUNITIES.map(|(name, _)| name.to_owned()));
            }
            common = Some(match common {
                Some(common) => common.intersection(&own).cloned().collect(),
                None => own,
            });
        }
        common.unwrap_or_default().into_iter().collect()
    }

    /// Returns the problem of a dimension that the number cannot be cut by.
    pub fn dimension_problem(&self, name: &str) -> Option<String> {
        let dimensions = self.dimensions();
        if dimensions.iter().any(|known| known == name) {
            return None;
        }
        let problem = format!("metric \"{}\" has no dimension \"{name}\"", self.dotted());
        Some(match nearest(name, dimensions.iter().map(String::as_str)) {
            Some(near) => format!("{problem}; hint: did you mean \"{near}\"?"),
            None if dimensions.is_empty() => format!("{problem}; hint: its records have none in common"),
            None => format!("{problem}; hint: it has {}", dimensions.join(", ")),
        })
    }

    /// Returns a filter over the records of the measure, with what stands apart chosen; `Err` is every problem.
    pub fn filter(&self, text: Option<&str>) -> Result<Filter, Vec<String>> {
        let mut known = self.dimensions();
        known.extend(OF_ROWS.map(str::to_owned));
        Filter::parse(text, &known)
    }

    /// Returns the SQL that lists the records of a period, in no order.
    ///
    /// `day` is any day of the period, as `2026-06-01`. `Err` is every problem.
    pub fn explain_sql(&self, day: &str, filter: &Filter) -> Result<String, Vec<String>> {
        let condition = self.condition(filter, None)?;
        let period = format!("{}(date '{day}')", self.period_function());
        let besides = Besides { columns: filter.columns(self), has_label: true };
        let records = format!(
            "select table_name, source_key, max(label) as label, {numerator} as numerator, {denominator} as denominator \
             from ({rows}) as part_rows where {condition} group by table_name, source_key",
            rows = self.rows_sql(&besides, Some(&period)),
            numerator = self.total("sum(numerator)"),
            denominator = if self.is_ratio() { "sum(denominator)" } else { "cast(null as double)" },
        );
        let (part, effect) = if self.is_ratio() {
            (
                "coalesce(cast(numerator as double), 0) / nullif(cast(parts_of as double), 0)",
                "cast(whole as double) / nullif(cast(parts_of as double), 0) \
                 - cast(whole - coalesce(numerator, 0) as double) \
                 / nullif(cast(parts_of - coalesce(denominator, 0) as double), 0)",
            )
        } else {
            ("numerator", "numerator")
        };
        Ok(format!(
            "with records as ({records}), \
             totals as (select *, sum(numerator) over () as whole, sum(denominator) over () as parts_of from records) \
             select table_name, source_key, label, numerator, denominator, {part} as part, {effect} as effect \
             from totals where numerator <> 0 or denominator <> 0"
        ))
    }

    /// Returns the SQL that cuts the number of every period by a dimension, in no order.
    ///
    /// `Err` is every problem.
    pub fn slices_sql(&self, dimension: &str, filter: &Filter) -> Result<String, Vec<String>> {
        let condition = self.condition(filter, Some(dimension))?;
        let mut besides = Besides { columns: filter.columns(self), ..Besides::default() };
        besides.columns.insert(dimension.to_owned());
        let rows = self.rows_sql(&besides, None);
        let is_ratio = self.is_ratio();
        let value = if is_ratio { RATIO.to_owned() } else { self.total("numerator") };
        Ok(format!(
            "select period, slice, numerator, denominator, {value} as value from (\
             select period, {dimension} as slice, {numerator} as numerator, {denominator} as denominator \
             from ({rows}) as part_rows where {condition} group by period, {dimension}) as slices",
            numerator = self.total("coalesce(sum(numerator), 0)"),
            denominator = if is_ratio { "sum(denominator)" } else { "cast(null as double)" },
        ))
    }

    /// Returns the SQL of what the view shows for the records of a period: how many rows, and their sum.
    ///
    /// `None` where the filter names what the view does not have. A ratio is one row's, else it has no sum.
    pub fn shown_sql(&self, day: &str, filter: &Filter) -> Option<String> {
        let keys = &self.model.sidecar.key;
        if !filter.all_in(keys) {
            return None;
        }
        let mut condition = self.condition(filter, None).ok()?;
        for (column, value) in self.model.sidecar.totals.iter().filter(|(column, _)| !filter.names(column)) {
            let _ = write!(condition, " and {column} <> '{value}'");
        }
        Some(format!(
            "select count(*) as rows_shown, sum({column}) as value from {view} where {period} = {of}(date '{day}') \
             and {condition}",
            column = self.column,
            view = self.model.id,
            period = self.period,
            of = self.period_function(),
        ))
    }

    /// Returns the SQL of the first day of the period that a day is in, and of the first and last period of the view.
    pub fn periods_sql(&self, day: &str) -> String {
        let (of, period) = (self.period_function(), self.period);
        format!(
            "select {of}(date '{day}') as period, min({period}) as first_period, max({period}) as last_period from {}",
            self.model.id
        )
    }

    fn parts(&self) -> impl Iterator<Item = (&'models Parts, &'models Value)> {
        let column = self.column;
        self.model.sidecar.parts.iter().filter_map(move |parts| Some((parts, parts.values.get(column)?)))
    }

    /// Returns the columns whose values stand side by side and of which a filter chooses none, with SQL for the choice.
    pub fn chosen(&self, filter: &Filter) -> Vec<(&'models str, &'models str)> {
        let apart = self.model.sidecar.apart.iter().filter(|(column, _)| !filter.names(column));
        apart.map(|(column, value)| (column.as_str(), value.as_str())).collect()
    }

    /// Returns the function that gives the first day of the period that a day is in.
    fn period_function(&self) -> &'static str {
        if self.period.contains("week") { "week_of" } else { "month_of" }
    }

    /// Returns a sum in the type of the view's column; a ratio's as it is.
    fn total(&self, sum: &str) -> String {
        match self.kind {
            _ if self.is_ratio() => sum.to_owned(),
            ColumnKind::Money => format!("cast({sum} as decimal(18, 2))"),
            ColumnKind::Count => format!("cast({sum} as bigint)"),
            _ => format!("cast({sum} as double)"),
        }
    }

    /// Returns the condition of a filter, with a value for each column whose values stand apart.
    fn condition(&self, filter: &Filter, cut_by: Option<&str>) -> Result<String, Vec<String>> {
        let mut condition = filter.sql().unwrap_or("true").to_owned();
        let mut problems = Vec::new();
        for (column, value) in self.chosen(filter).into_iter().filter(|(column, _)| cut_by != Some(column)) {
            if value.is_empty() {
                problems.push(format!(
                    "metric \"{}\" has one number for each {column}; hint: name one in the filter: {column} = '...'",
                    self.dotted()
                ));
            } else {
                let _ = write!(condition, " and {column} = {value}");
            }
        }
        if problems.is_empty() { Ok(condition) } else { Err(problems) }
    }

    /// Returns the SQL of the rows of all parts, of one period where one is named.
    fn rows_sql(&self, besides: &Besides, period: Option<&str>) -> String {
        let selects: Vec<String> = self.parts().map(|(parts, value)| rows_of(parts, value, besides, period)).collect();
        selects.join(" union all ")
    }
}

/// Returns a day of the period that a text names, as SQL has it: `2026-06-01` for a month such as `2026-06`.
///
/// `Err` is the problem.
pub fn day_of(period: &str) -> Result<String, String> {
    let day = if period.len() == "2026-06".len() { format!("{period}-01") } else { period.to_owned() };
    match NaiveDate::parse_from_str(&day, "%Y-%m-%d") {
        Ok(date) if date.to_string() == day => Ok(day),
        _ => Err(format!("expected a period such as 2026-06 or 2026-06-01, found \"{period}\"")),
    }
}

/// A ratio from its sums; NULL where nothing is divided by.
const RATIO: &str = "coalesce(cast(numerator as double), 0) / nullif(cast(denominator as double), 0)";
