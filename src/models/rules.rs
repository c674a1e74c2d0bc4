//! Rules of schema `quality`, and selects that are repeated for each of them or for what the configuration tells them.
//!
//! A rule is a model whose sidecar has `[rule]`. A model whose sidecar has `each` is a pattern of a select: names in
//! braces stand for what differs, and the model is the union of all.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;

use super::order::table_id;
use super::sidecar::{Each, RuleEntry, Severity, Sidecar};
use crate::catalog::TableId;
use crate::catalog::contract::{Contract, ContractColumn, ContractTable};
use crate::config::QualityConfig;
use crate::domain::names::nearest;

/// The schema of rules.
const SCHEMA: &str = "quality";

/// The table that required fields are of.
const DEALS: &str = "crm.opportunities";

/// What the names in braces stand for, in one repetition.
type Names = Vec<(&'static str, String)>;

/// The rules of a set of models, under a configuration.
pub(super) struct Rules<'a> {
    rules: Vec<Rule<'a>>,
    quality: &'a QualityConfig,
}

/// A model's sidecar, as far as its rules are concerned.
pub(super) struct Beside {
    pub(super) sidecar: Sidecar,
    /// The model's file.
    pub(super) file: String,
    pub(super) is_custom: bool,
}

struct Rule<'a> {
    name: &'a str,
    description: &'a str,
    entry: &'a RuleEntry,
    is_custom: bool,
    is_enabled: bool,
}

impl<'a> Rules<'a> {
    /// Returns the rules among models, and what is wrong with the configuration of them.
    ///
    /// `broken` are models whose sidecar does not parse: they may be rules.
    pub(super) fn new(
        sidecars: &'a BTreeMap<TableId, Beside>,
        broken: &BTreeSet<TableId>,
        quality: &'a QualityConfig,
    ) -> (Self, Vec<String>) {
        let mut rules = Vec::new();
        let mut problems = Vec::new();
        for (id, Beside { sidecar, file, is_custom }) in sidecars {
            let Some(entry) = &sidecar.rule else { continue };
            if id.schema != SCHEMA {
                let file = file.replace(".sql", ".toml");
                problems.push(format!("{file}: \"{id}\" has [rule]; hint: rules are models of schema {SCHEMA}"));
                continue;
            }
            let is_told = match sidecar.each {
                Some(Each::RequiredField) => !quality.required_fields.is_empty(),
                Some(Each::NamePattern) => !quality.name_patterns.is_empty(),
                _ => false,
            };
            let (is_on, is_off) = (quality.enable.contains(&id.name), quality.disable.contains(&id.name));
            let is_enabled = !is_off && (!entry.is_optional || is_on || is_told);
            let (name, description) = (id.name.as_str(), sidecar.description.as_str());
            rules.push(Rule { name, description, entry, is_custom: *is_custom, is_enabled });
        }
        let may_be_rule = |name: &str| broken.iter().any(|id| id.schema == SCHEMA && id.name == name);
        for (key, names) in [("enable", &quality.enable), ("disable", &quality.disable)] {
            let is_unknown = |name: &&String| !rules.iter().any(|rule| rule.name == **name) && !may_be_rule(name);
            for name in names.iter().filter(is_unknown) {
                let known = rules.iter().map(|rule| rule.name);
                problems.push(format!("[quality] {key}: there is no rule \"{name}\"{}", did_you_mean(name, known)));
            }
        }
        problems.extend(unknown_columns(quality));
        (Self { rules, quality }, problems)
    }

    /// Returns a select repeated for each of what its sidecar says, as one union; no rows where there is none.
    pub(super) fn repeated(&self, each: Each, sql: &str, sidecar: &Sidecar) -> String {
        let all = match each {
            Each::EnabledRule => self.rules.iter().filter(|rule| rule.is_enabled).map(Rule::names).collect(),
            Each::Rule => self.rules.iter().map(Rule::names).collect(),
            Each::ForeignKey => foreign_keys(),
            Each::RequiredField => self.required_fields(),
            Each::NamePattern => self.name_patterns(),
        };
        if all.is_empty() {
            return no_rows(sidecar);
        }
        let parts: Vec<String> = all.iter().map(|names| filled_in(sql.trim_end(), names)).collect();
        format!("{}\n", parts.join("\n\nunion all\n\n"))
    }

    fn required_fields(&self) -> Vec<Names> {
        let fields = self.quality.required_fields.iter();
        fields.map(|field| vec![("stage", quoted(&field.stage)), ("column", field.column.clone())]).collect()
    }

    fn name_patterns(&self) -> Vec<Names> {
        let patterns = self.quality.name_patterns.iter().filter_map(|pattern| {
            let table = Contract::get().tables().find(|table| table.name == pattern.table)?;
            let mut names = of_table(table);
            names.extend([("column", pattern.column.clone()), ("pattern", quoted(&pattern.pattern))]);
            Some(names)
        });
        patterns.collect()
    }
}

impl Rule<'_> {
    fn names(&self) -> Names {
        let severity = match self.entry.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        vec![
            ("rule", self.name.to_owned()),
            ("description", quoted(self.description)),
            ("severity", severity.to_owned()),
            ("advice", quoted(&self.entry.advice)),
            ("tables", quoted(&self.entry.tables.join(", "))),
            ("is_optional", self.entry.is_optional.to_string()),
            ("is_enabled", self.is_enabled.to_string()),
            ("is_custom", self.is_custom.to_string()),
        ]
    }
}

/// Returns what is wrong with the tables and columns that the configuration names.
fn unknown_columns(quality: &QualityConfig) -> Vec<String> {
    let mut problems = Vec::new();
    let mut column = |place: String, table: &ContractTable, name: &str| {
        if !table.columns.iter().any(|column| column.name == name) {
            let known = table.columns.iter().map(|column| column.name.as_str());
            let (schema, table) = (&table.schema, &table.name);
            problems.push(format!("{place}: {schema}.{table} has no column \"{name}\"{}", did_you_mean(name, known)));
        }
    };
    let table_named = |name: &str| Contract::get().tables().find(|table| table.name == name);
    for field in &quality.required_fields {
        if let Some(deals) = contract_table(DEALS) {
            column(format!("[quality.required_fields] {}", field.stage), deals, &field.column);
        }
    }
    for pattern in &quality.name_patterns {
        if let Some(table) = table_named(&pattern.table) {
            column(format!("[quality.name_patterns] {}", pattern.table), table, &pattern.column);
        }
    }
    let mut unknown: Vec<&str> = quality.name_patterns.iter().map(|pattern| pattern.table.as_str()).collect();
    unknown.retain(|name| table_named(name).is_none());
    unknown.dedup();
    for name in unknown {
        let known = Contract::get().tables().map(|table| table.name.as_str());
        problems.push(format!("[quality.name_patterns]: there is no table \"{name}\"{}", did_you_mean(name, known)));
    }
    problems
}

fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let hint = nearest(name, known.iter().copied())
        .map_or_else(|| format!("there are {}", known.join(", ")), |near| format!("did you mean \"{near}\"?"));
    format!("; hint: {hint}")
}

fn contract_table(name: &str) -> Option<&'static ContractTable> {
    let id = table_id(name)?;
    Contract::get().table(&id.schema, &id.name)
}

fn foreign_keys() -> Vec<Names> {
    let mut all = Vec::new();
    for table in Contract::get().tables() {
        for (column, target) in &table.references {
            let key = contract_table(target).and_then(|target| target.key.first()).cloned().unwrap_or_default();
            let mut names = of_table(table);
            names.extend([("column", column.clone()), ("target", target.clone()), ("target_key", key)]);
            all.push(names);
        }
    }
    all
}

/// Returns what stands for a table: its name, what names a row of it, and whether a row counts.
fn of_table(table: &ContractTable) -> Names {
    let name = format!("{}.{}", table.schema, table.name);
    vec![("counts", counts(table)), ("record_id", record_id(table)), ("table", name)]
}

/// Returns the condition under which a row exists at `as_of` and is not deleted.
fn counts(table: &ContractTable) -> String {
    let has = |name: &str| table.columns.iter().any(|column| column.name == name);
    let event = table.fact_column.as_deref().filter(|_| table.is_event);
    let happened = event.map(|column| match column {
        "month" => "month_of(records.month) <= last_day()".to_owned(),
        column if column.ends_with("_date") => format!("records.{column} <= last_day()"),
        column => format!("records.{column} < setting('reporting.as_of')"),
    });
    // A deleted customer's payments happened, so it matters whose they are.
    let is_kept = has("is_deleted") && table.name != "customers";
    let parts: Vec<String> = happened.into_iter().chain(is_kept.then(|| "not records.is_deleted".to_owned())).collect();
    if parts.is_empty() { "true".to_owned() } else { parts.join(" and ") }
}

/// Returns the expression of what names a row: its key, else its texts and dates.
fn record_id(table: &ContractTable) -> String {
    let is_name = |column: &&ContractColumn| matches!(column.data_type, DataType::Utf8View | DataType::Date32);
    let columns: Vec<&str> = if table.key.is_empty() {
        table.columns.iter().filter(is_name).map(|column| column.name.as_str()).collect()
    } else {
        table.key.iter().map(String::as_str).collect()
    };
    let texts: Vec<String> = columns.iter().map(|column| format!("cast(records.{column} as varchar)")).collect();
    if texts.len() == 1 { texts.concat() } else { format!("concat_ws(', ', {})", texts.join(", ")) }
}

/// Returns a text as it stands between quotes in SQL.
fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// Returns a select with the names in braces filled in; other braces stay.
fn filled_in(sql: &str, names: &Names) -> String {
    let mut filled = String::new();
    let mut rest = sql;
    while let Some(place) = rest.find('{') {
        filled.push_str(&rest[..place]);
        rest = &rest[place..];
        let known = names.iter().find(|(name, _)| rest[1..].strip_prefix(name).is_some_and(|end| end.starts_with('}')));
        match known {
            Some((name, value)) => {
                filled.push_str(value);
                rest = &rest[name.len() + 2..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Returns a select with the columns of a sidecar and no rows.
fn no_rows(sidecar: &Sidecar) -> String {
    let columns: Vec<String> =
        sidecar.columns.iter().map(|doc| format!("cast(null as {}) as {}", doc.1.sql_type(), doc.0)).collect();
    format!("select {} where false\n", columns.join(", "))
}
