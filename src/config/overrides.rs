//! Variables laid over the configuration file.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::environment::Environment;
use super::reader::{is_text, keys_of, section_names};
use super::sources::SOURCE_KEYS;
use crate::domain::names::nearest;

/// Which places of the configuration a variable overrides.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    variables: BTreeMap<String, String>,
}

impl Overrides {
    /// Returns the variable that overrides a place such as `[flight] listen`.
    pub(super) fn variable(&self, place: &str) -> Option<&str> {
        self.variables.get(place).map(String::as_str)
    }
}

/// The key that a variable stands for.
enum Key<'a> {
    /// `[section] key`.
    Plain(&'a str, &'a str),
    /// `[sources.name] key`.
    OfSource(&'a str, &'a str),
}

/// Lays `TOPLINE_<SECTION>_<KEY>` and `TOPLINE_SOURCES_<NAME>_<KEY>` over the table and returns what is wrong with them.
pub(super) fn lay_over(table: &mut Table, environment: &Environment) -> (Overrides, Vec<String>) {
    let (mut overrides, mut problems) = (Overrides::default(), Vec::new());
    let sources_before: Vec<String> =
        table.get("sources").and_then(Value::as_table).into_iter().flat_map(Table::keys).cloned().collect();
    let mut new_sources: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (variable, text) in &environment.overrides {
        let name = variable.trim_start_matches("TOPLINE_").to_lowercase();
        match key_of(&name) {
            None => problems.push(unknown(variable)),
            Some(Key::Plain(section, key)) => {
                if insert(table, &[section], key, value_of(section, key, text)) {
                    overrides.variables.insert(format!("[{section}] {key}"), variable.clone());
                }
            }
            Some(Key::OfSource(source, key)) => {
                if insert(table, &["sources", source], key, Value::String(text.clone())) {
                    overrides.variables.insert(format!("[sources.{source}] {key}"), variable.clone());
                }
                if !sources_before.iter().any(|known| known == source) {
                    new_sources.entry(source.to_owned()).or_default().push(variable.clone());
                }
            }
        }
    }
    for (source, variables) in new_sources.into_iter().filter(|(_, keys)| keys.len() < SOURCE_KEYS.len()) {
        if let Some(Value::Table(sources)) = table.get_mut("sources") {
            sources.remove(&source);
        }
        let hint = nearest(&source, sources_before.iter().map(String::as_str)).map_or_else(
            || format!("a source needs both {}", SOURCE_KEYS.join(" and ")),
            |near| format!("did you mean source \"{near}\"?"),
        );
        let variables = variables.join("\", \"");
        problems.push(format!("environment variable \"{variables}\": there is no source \"{source}\"; hint: {hint}"));
    }
    (overrides, problems)
}

/// Returns the problem of a variable that stands for no key.
fn unknown(variable: &str) -> String {
    let known: Vec<String> = section_names()
        .flat_map(|section| keys_of(section).into_iter().map(move |key| (section, key)))
        .map(|(section, key)| format!("TOPLINE_{section}_{key}").to_uppercase())
        .collect();
    let hint = nearest(variable, known.iter().map(String::as_str)).map_or_else(
        || "variables are named TOPLINE_<SECTION>_<KEY>".to_owned(),
        |near| format!("did you mean \"{near}\"?"),
    );
    format!("unknown environment variable \"{variable}\"; hint: {hint}")
}

fn key_of(name: &str) -> Option<Key<'_>> {
    if let Some(rest) = name.strip_prefix("sources_") {
        let (source, key) = rest.rsplit_once('_')?;
        return SOURCE_KEYS.contains(&key).then_some(Key::OfSource(source, key));
    }
    section_names().find_map(|section| {
        let key = name.strip_prefix(section)?.strip_prefix('_')?;
        let key = keys_of(section).into_iter().find(|known| *known == key)?;
        Some(Key::Plain(section, key))
    })
}

/// Returns a variable's text in the type of its key; a text that is no number is left to the reader to refuse.
fn value_of(section: &str, key: &str, text: &str) -> Value {
    let number = text.parse().ok().filter(|value| matches!(value, Value::Integer(_) | Value::Float(_)));
    match number {
        Some(number) if !is_text(section, key) => number,
        _ => Value::String(text.to_owned()),
    }
}

/// Sets a key; a section that is no table is reported when the table is read.
fn insert(table: &mut Table, path: &[&str], key: &str, value: Value) -> bool {
    let mut place = table;
    for step in path {
        match place.entry(*step).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(next) => place = next,
            _ => return false,
        }
    }
    place.insert(key.to_owned(), value);
    true
}
