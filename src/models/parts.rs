//! Where a number comes from: which rows of which model add up to a column of a view.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::sidecar::Sidecar;
use crate::domain::names::nearest;

/// The record that a row is of where it is an account, or a billing customer that belongs to none.
pub const ENTITY: &str = "entity";

/// Rows that make up numbers of a view. Several such sets together are the number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// A model, or one select.
    pub from: String,
    /// The rows that count; all where it is not said.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// The source table whose record a row is of, or `entity`.
    pub table: String,
    /// The columns that say which record of it.
    pub key: Vec<String>,
    /// The column that says in which period the row counts.
    pub period: String,
    /// The column with the live account, which brings the dimensions of accounts along.
    pub account: Option<String>,
    /// The column with the deal, which brings the dimensions of deals along.
    pub opportunity: Option<String>,
    /// Columns of the rows that numbers can be cut by.
    #[serde(default)]
    pub dimensions: Vec<String>,
    /// What a row adds, by column of the view.
    pub values: BTreeMap<String, Value>,
}

/// What a row adds to a number, as SQL over the columns of the row.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// To a sum.
    Sum(String),
    /// To a ratio of sums.
    Ratio(Ratio),
}

/// What a row adds to a ratio; what is left out is nothing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// To what is divided.
    pub numerator: Option<String>,
    /// To what it is divided by.
    pub denominator: Option<String>,
}

impl Value {
    /// Returns what a row adds to the sum, or to what is divided.
    pub fn numerator(&self) -> Option<&str> {
        match self {
            Self::Sum(sql) => Some(sql),
            Self::Ratio(ratio) => ratio.numerator.as_deref(),
        }
    }

    /// Returns what a row adds to what it is divided by.
    pub fn denominator(&self) -> Option<&str> {
        match self {
            Self::Sum(_) => None,
            Self::Ratio(ratio) => ratio.denominator.as_deref(),
        }
    }
}

/// Returns the column with the period that parts are of: a view of the present may have one for its parts alone.
pub fn period_of(sidecar: &Sidecar) -> Option<&str> {
    let of_parts = || {
        let period = &sidecar.parts.first()?.period;
        sidecar.columns.iter().find(|column| column.0 == *period).map(|column| column.0.as_str())
    };
    sidecar.period.as_deref().or_else(of_parts)
}

/// Returns what is wrong with the parts of a sidecar.
pub(super) fn problems(sidecar: &Sidecar) -> Vec<String> {
    let mut problems = Vec::new();
    let columns = || sidecar.columns.iter().map(|column| column.0.as_str());
    if !sidecar.parts.is_empty() && period_of(sidecar).is_none() {
        problems.push("[[parts]] are of periods, but \"period\" is not said".to_owned());
    }
    for name in sidecar.parts.iter().flat_map(|parts| parts.values.keys()) {
        if !columns().any(|column| column == name) {
            let hint =
                nearest(name, columns()).map_or_else(String::new, |near| format!("; hint: did you mean \"{near}\"?"));
            problems.push(format!("[parts.values] \"{name}\" is no column of the view{hint}"));
        }
    }
    for parts in sidecar.parts.iter().filter(|parts| parts.key.is_empty() || parts.values.is_empty()) {
        problems.push(format!("[[parts]] from \"{}\" need a key and values", parts.from));
    }
    for name in sidecar.apart.keys().chain(sidecar.totals.keys()) {
        if !sidecar.key.contains(name) {
            problems.push(format!("\"{name}\" of apart or totals is no column of the key"));
        }
    }
    problems.sort();
    problems.dedup();
    problems
}
