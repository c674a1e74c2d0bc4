//! The laws of sidecars as texts: each parses, and says what it reads.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::order::{ReadFault, reads_of};
use super::sidecar::Sidecar;
use crate::catalog::TableId;

/// Where a law stands, and what its query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReads {
    /// File and line: `sql/metrics/nrr.toml:41`.
    pub place: String,
    /// The tables and models.
    pub reads: BTreeSet<TableId>,
}

/// The part of a sidecar whose places are asked for.
#[derive(Default, Deserialize)]
struct Texts {
    #[serde(default)]
    checks: Vec<CheckText>,
}

#[derive(Deserialize)]
struct CheckText {
    sql: Spanned<String>,
}

/// Returns what each law of a sidecar reads, or the problems of all of them; its texts are named files, in order.
pub(super) fn reads_of_checks(sidecar: &Sidecar, texts: &[(&str, &str)]) -> Result<Vec<CheckReads>, Vec<String>> {
    let mut places = texts.iter().flat_map(|(file, text)| first_lines(text).into_iter().map(move |line| (*file, line)));
    let (mut found, mut problems, mut names) = (Vec::new(), Vec::new(), BTreeMap::new());
    for check in &sidecar.checks {
        let Some((file, line)) = places.next() else { break };
        if let Some((before, in_line)) = names.insert(&check.name, (file, line)) {
            problems.push(format!("{file}:{line}: check \"{}\" is there already, at {before}:{in_line}", check.name));
        }
        match reads_of(&check.sql) {
            Ok(reads) => found.push(CheckReads { place: format!("{file}:{line}"), reads }),
            Err(ReadFault { place, problem }) => {
                let line = line + place.map_or(0, |(line, _)| line - 1);
                problems.push(format!("{file}:{line}: check \"{}\": {problem}", check.name));
            }
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// Returns the line on which the SQL of each law begins.
fn first_lines(text: &str) -> Vec<usize> {
    let texts: Texts = toml::from_str(text).unwrap_or_default();
    let first_line = |sql: &Spanned<String>| {
        let (before, quoted) = text.split_at(sql.span().start);
        // A text in three quotes may begin on the line below them.
        let is_below = ["\"\"\"\n", "'''\n"].iter().any(|quotes| quoted.starts_with(quotes));
        before.matches('\n').count() + 1 + usize::from(is_below)
    };
    texts.checks.iter().map(|check| first_line(&check.sql)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::sidecar::parse;

    fn problems(text: &str) -> Vec<String> {
        let sidecar = parse(text).expect("a sidecar");
        reads_of_checks(&sidecar, &[("sql/metrics/nrr.toml", text)]).expect_err("laws that are wrong")
    }

    #[test]
    fn a_law_that_does_not_parse_is_named_with_its_line() {
        let text = "description = \"x\"\n[[checks]]\nname = \"one\"\ndescription = \"x\"\nsql = \"selec 1\"\n\
                    [[checks]]\nname = \"one\"\ndescription = \"x\"\nsql = \"\"\"\nselect 1\nfrom nrr\nwhere and x\"\"\"\n";
        assert_eq!(
            problems(text),
            [
                "sql/metrics/nrr.toml:5: check \"one\": syntax error: expected: an SQL statement, found: selec",
                "sql/metrics/nrr.toml:10: check \"one\" is there already, at sql/metrics/nrr.toml:5",
                "sql/metrics/nrr.toml:12: check \"one\": syntax error: expected: end of statement, found: x",
            ]
        );
    }
}
