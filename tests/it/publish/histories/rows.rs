//! Rows of metrics by their keys, and how two versions of them differ.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use topline::ErrorKind;
use topline::engine::Engine;

/// The columns of keys, of all metrics.
const KEYS: [&str; 3] = ["month", "entity_id", "scope"];

/// What tells a row apart: its month, which is empty where it has none, and the rest of its key as restatements say it.
type Key = (String, String);

/// Rows by their keys, with the values that are not NULL by the column's name.
pub type Rows = BTreeMap<Key, BTreeMap<String, String>>;

/// Returns the rows of a query; none where its table is not there yet.
pub async fn of_query(engine: &Engine, sql: &str) -> Rows {
    let found = async { engine.session().query(sql).await?.collect().await };
    match found.await {
        Ok(batches) => batches.iter().flat_map(of_batch).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Rows::new(),
        Err(error) => panic!("{sql}\n{error:#?}"),
    }
}

fn of_batch(batch: &RecordBatch) -> Vec<(Key, BTreeMap<String, String>)> {
    let schema = batch.schema();
    let row = |row: usize| {
        let (mut month, mut key, mut values) = (String::new(), Vec::new(), BTreeMap::new());
        for (field, column) in schema.fields().iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row)) {
            let text = array_value_to_string(column, row).expect("a value that can be shown");
            match field.name().as_str() {
                "month" => month = text,
                name if KEYS.contains(&name) => key.push(format!("{name}={text}")),
                name => drop(values.insert(name.to_owned(), text)),
            }
        }
        ((month, key.join(", ")), values)
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Returns whether a month is published: it has rows, or had none when it was looked at, which months before `ended` were.
fn is_known(rows: &Rows, ended: &str, month: &str) -> bool {
    rows.keys().any(|(known, _)| known == month) || !month.is_empty() && month < ended
}

/// Returns what restatements must say of two versions: months that were not published before are no restatement.
pub fn restatements(metric: &str, before: &Rows, after: &Rows, ended: &str) -> Vec<String> {
    let is_known = |month: &String| is_known(before, ended, month);
    // A column that came or went is none that changed.
    let columns = |rows: &Rows| -> Vec<String> { rows.values().flat_map(|values| values.keys().cloned()).collect() };
    let (of_before, of_after) = (columns(before), columns(after));
    let mut keys: Vec<&Key> = before.keys().chain(after.keys()).filter(|(month, _)| is_known(month)).collect();
    keys.sort();
    keys.dedup();
    let mut found = Vec::new();
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        let mut names: Vec<&String> = old.into_iter().chain(new).flat_map(BTreeMap::keys).collect();
        names.sort();
        names.dedup();
        for name in names {
            let is_in = |rows: &Rows, names: &[String]| rows.is_empty() || names.contains(name);
            let is_common = is_in(before, &of_before) && is_in(after, &of_after);
            let value = |row: Option<&BTreeMap<String, String>>| row.and_then(|row| row.get(name)).cloned();
            let (old, new) = (value(old), value(new));
            if is_common && old != new {
                let [old, new] = [old, new].map(Option::unwrap_or_default);
                found.push(format!("{metric} | {} | {name} | {old} | {new} | {}", key.1, key.0));
            }
        }
    }
    found
}

/// Returns the rows of months that do not move.
pub fn frozen(rows: &Rows, still: &Still<'_>) -> Rows {
    rows.iter()
        .filter(|((month, _), _)| !month.is_empty() && still.has(month))
        .map(|(key, row)| (key.clone(), row.clone()))
        .collect()
}

/// Which months do not move.
pub struct Still<'a> {
    /// Those of which no number changes, not even by its column.
    pub is_closed: &'a dyn Fn(&str) -> bool,
    /// Those that are not computed, for now.
    pub is_ahead: &'a dyn Fn(&str) -> bool,
    /// Months before it were published, those without rows, too.
    pub ended: &'a str,
}

impl Still<'_> {
    pub fn has(&self, month: &str) -> bool {
        (self.is_closed)(month) || (self.is_ahead)(month)
    }
}

/// Returns how published rows differ from what they must be: those of months that do not move as they were, all others as
/// they are now.
pub fn differences(live: &Rows, kept: &Rows, published: &Rows, still: &Still<'_>) -> Vec<String> {
    let is_live = |month: &String| month.is_empty() || !still.has(month) || !is_known(kept, still.ended, month);
    let mut wrong = Vec::new();
    for (key, row) in live.iter().filter(|((month, _), _)| is_live(month)) {
        if published.get(key) != Some(row) {
            wrong.push(format!("{key:?}: expected {row:?}, found {:?}", published.get(key)));
        }
    }
    for (key, row) in kept {
        let found = published.get(key);
        let is_in_row = |(name, value): (&String, &String)| row.get(name).is_none_or(|known| known == value);
        let is_same = match (still.is_closed)(&key.0) {
            true => found == Some(row),
            false => found.is_some_and(|found| found.iter().all(is_in_row)),
        };
        if !is_same {
            wrong.push(format!("{key:?} does not move: expected {row:?}, found {found:?}"));
        }
    }
    let is_expected = |key: &Key| kept.contains_key(key) || live.contains_key(key) && is_live(&key.0);
    wrong.extend(
        published.iter().filter(|(key, _)| !is_expected(key)).map(|(key, row)| format!("{key:?}: too much: {row:?}")),
    );
    wrong
}
