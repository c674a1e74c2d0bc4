//! `topline export`: a query whose rows go into a file.

use crate::cli::arguments::{ExportArguments, QueryArguments};
use crate::domain::names::is_identifier;

/// Returns the query that an export is.
pub(super) fn query(arguments: ExportArguments) -> QueryArguments {
    let sql = table(&arguments.what).map_or(arguments.what, |table| format!("select * from {table}"));
    QueryArguments { sql: Some(sql), file: None, format: None, output: Some(arguments.to), user: None }
}

/// Returns a table as SQL names it; `None` where the text is none.
fn table(text: &str) -> Option<String> {
    let names: Vec<&str> = text.split('.').collect();
    let is_table = names.len() <= 2 && names.iter().all(|name| is_identifier(name));
    is_table.then(|| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_table_and_all_else_a_query() {
        assert_eq!(table("nrr").as_deref(), Some("\"nrr\""));
        assert_eq!(table("published.nrr").as_deref(), Some("\"published\".\"nrr\""));
        assert_eq!(table("select * from nrr"), None);
        assert_eq!(table("a.b.c"), None);
    }
}
