//! The keys of `[quality]` that are no settings: which rules are on, and what those that need to be told something are told.

use std::fmt::Display;

use regex::Regex;
use toml::{Table, Value};

use super::reader::{Reader, described};

/// The keys of `[quality]` that are no settings.
pub(super) const QUALITY_KEYS: [&str; 4] = ["enable", "disable", "required_fields", "name_patterns"];

/// What the rules of schema `quality` are told. Names of rules, tables and columns are held against what there is when
/// the models are loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QualityConfig {
    /// Rules that are on although they are optional.
    pub enable: Vec<String>,
    /// Rules that are off.
    pub disable: Vec<String>,
    /// Columns that deals of a stage must have.
    pub required_fields: Vec<RequiredField>,
    /// Patterns that texts must match.
    pub name_patterns: Vec<NamePattern>,
}

/// A column that deals of a stage must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredField {
    /// The stage.
    pub stage: String,
    /// The column of `crm.opportunities`.
    pub column: String,
}

/// A pattern that a column's texts must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    /// The table, without its schema.
    pub table: String,
    /// The column.
    pub column: String,
    /// The regular expression.
    pub pattern: String,
}

impl Reader {
    pub(super) fn quality(&mut self, quality: &mut QualityConfig, key: &str, value: Value) {
        let place = format!("[quality] {key}");
        match key {
            "enable" => quality.enable = self.texts(&place, value, "names of rules"),
            "disable" => quality.disable = self.texts(&place, value, "names of rules"),
            "required_fields" => {
                for (stage, columns) in self.section(&place, value, "Negotiation = [\"amount\", \"close_date\"]") {
                    let place = format!("[quality.required_fields] {stage}");
                    for column in self.texts(&place, columns, "names of columns of crm.opportunities") {
                        quality.required_fields.push(RequiredField { stage: stage.clone(), column });
                    }
                }
            }
            _ => {
                let example = "campaigns.name = \"^[a-z_]+$\", with no quotes around the name";
                for (table, columns) in self.section(&place, value, example) {
                    let place = format!("[quality.name_patterns] {table}");
                    for (column, pattern) in self.section(&place, columns, example) {
                        let place = format!("{place}.{column}");
                        if let Some(pattern) = self.pattern(&place, pattern) {
                            quality.name_patterns.push(NamePattern { table: table.clone(), column, pattern });
                        }
                    }
                }
            }
        }
        if let Some(rule) = quality.disable.iter().find(|rule| quality.enable.contains(rule)).cloned() {
            self.problem_at("[quality]", format!("rule \"{rule}\" is both in enable and in disable"));
            quality.disable.retain(|other| *other != rule);
        }
    }

    fn section(&mut self, place: &str, value: Value, example: impl Display) -> Table {
        match value {
            Value::Table(table) => table,
            other => {
                let found = described(&other);
                self.problem_at(place, format!("expected a section, found {found}; hint: write {example}"));
                Table::new()
            }
        }
    }

    /// Returns a list of texts; a variable holds them in one text with commas.
    fn texts(&mut self, place: &str, value: Value, what: &str) -> Vec<String> {
        if let (Some(_), Value::String(text)) = (self.overrides.variable(place), &value) {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            return parts.map(str::to_owned).collect();
        }
        let Value::Array(values) = value else {
            self.problem_at(place, format!("expected a list of {what}, found {}", described(&value)));
            return Vec::new();
        };
        values.into_iter().filter_map(|value| self.text(place, value)).collect()
    }

    fn pattern(&mut self, place: &str, value: Value) -> Option<String> {
        let pattern = self.text(place, value)?;
        match Regex::new(&pattern) {
            Ok(_) => Some(pattern),
            Err(fault) => {
                let fault = fault.to_string();
                let why = fault.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.problem_at(place, format!("\"{pattern}\" is no regular expression: {why}"));
                None
            }
        }
    }
}
