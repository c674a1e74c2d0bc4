//! Tables as clients list them: by catalog, by patterns of schema and name, by kind.

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::CommandGetTables;

use super::columns;
use super::metadata::internal;
use crate::catalog::TableId;
use crate::engine::{CATALOG, Engine, TableKind, WireTypes};
use crate::error::Result;

/// The kinds of tables, in the order of their names.
pub(super) const TABLE_TYPES: [&str; 2] = ["BASE TABLE", "VIEW"];

/// What several drivers call a base table when they filter.
const TABLE: &str = "TABLE";

/// Escapes `%` and `_` in a pattern.
pub(super) const PATTERN_ESCAPE: char = '\\';

/// Returns the tables that a command asks for, with their columns where it asks for them.
///
/// # Errors
/// `Model` where the columns of a view are asked for that cannot be planned.
pub(super) async fn rows(engine: &Engine, types: WireTypes, command: CommandGetTables) -> Result<RecordBatch> {
    let wanted: Vec<(TableId, TableKind)> =
        engine.table_names().await?.into_iter().filter(|(id, kind)| is_wanted(&command, id, *kind)).collect();
    let includes_schema = command.include_schema;
    // The rows are filtered already, so the builder gets a command without filters.
    let mut builder =
        CommandGetTables { include_schema: includes_schema, ..CommandGetTables::default() }.into_builder();
    for (id, kind) in wanted {
        let schema =
            if includes_schema { columns::of_table(&engine.table_as(&id, types).await?) } else { Schema::empty() };
        builder.append(CATALOG, &id.schema, &id.name, type_of(kind), &schema).map_err(internal)?;
    }
    builder.build().map_err(internal)
}

/// Returns whether a filter on the catalog lets ours through; an empty one asks for what has no catalog.
pub(super) fn is_in_catalog(filter: Option<&str>) -> bool {
    filter.is_none_or(|filter| filter == CATALOG)
}

fn type_of(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Base => TABLE_TYPES[0],
        TableKind::View => TABLE_TYPES[1],
    }
}

fn is_wanted(command: &CommandGetTables, id: &TableId, kind: TableKind) -> bool {
    let matches = |pattern: &Option<String>, name: &str| pattern.as_ref().is_none_or(|pattern| is_like(pattern, name));
    let is_type = |filter: &String| filter == type_of(kind) || (filter == TABLE && kind == TableKind::Base);
    is_in_catalog(command.catalog.as_deref())
        && matches(&command.db_schema_filter_pattern, &id.schema)
        && matches(&command.table_name_filter_pattern, &id.name)
        && (command.table_types.is_empty() || command.table_types.iter().any(is_type))
}

/// Returns whether a name matches a pattern of `%` (any letters) and `_` (one letter), both of which can be escaped.
fn is_like(pattern: &str, name: &str) -> bool {
    enum Part {
        Any,
        One,
        Letter(char),
    }
    let mut parts = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            '%' => Part::Any,
            '_' => Part::One,
            PATTERN_ESCAPE => Part::Letter(letters.next().unwrap_or(PATTERN_ESCAPE)),
            other => Part::Letter(other),
        });
    }
    // Which beginnings of the name the parts so far match: one pass for each part, so no pattern takes long.
    let name: Vec<char> = name.chars().collect();
    let mut ends = vec![false; name.len() + 1];
    ends[0] = true;
    for part in parts {
        let mut next = vec![false; name.len() + 1];
        match part {
            Part::Any => {
                let first = ends.iter().position(|is_end| *is_end).unwrap_or(ends.len());
                next[first..].fill(true);
            }
            Part::One => next[1..].copy_from_slice(&ends[..name.len()]),
            Part::Letter(letter) => {
                for (place, other) in name.iter().enumerate() {
                    next[place + 1] = ends[place] && *other == letter;
                }
            }
        }
        ends = next;
    }
    ends[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_know_any_one_and_escapes() {
        for (pattern, name) in [
            ("%", ""),
            ("mrr%", "mrr_monthly"),
            ("%_monthly", "mrr_monthly"),
            ("m_r", "mrr"),
            (r"a\_b", "a_b"),
            ("%a%b%", "xaxbx"),
        ] {
            assert!(is_like(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "x"), ("mrr_", "mrr"), (r"a\_b", "axb"), (r"a\%b", "a_b"), ("%a", "ab")] {
            assert!(!is_like(pattern, name), "{pattern} {name}");
        }
    }
}
