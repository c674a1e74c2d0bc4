//! What models read, from their parsed SQL, and whether that goes down the floors and in no circle.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast;

use super::files::ModelFile;
use super::parts;
use super::reach;
use super::sidecar::{self, Sidecar};
use super::syntax::SyntaxFault;
use super::{Model, checks, overlay};
use crate::catalog::TableId;
use crate::catalog::contract::Contract;
use crate::domain::names::{in_lower_case, nearest};

/// The schema of names that have none.
const DEFAULT_SCHEMA: &str = "metrics";

/// Tables of `meta` that models may read: those that do not depend on any model's rows.
const META_TABLES: [&str; 2] = ["metrics", "settings"];

/// Returns the floor of a schema: a model reads its own floor and those below.
fn floor(schema: &str) -> u8 {
    match schema {
        "crm" | "billing" | "campaign" | "finance" => 1,
        "core" => 2,
        "metrics" => 3,
        "quality" => 4,
        _ => 0,
    }
}

/// Returns the sidecar of a file, with what the user's folder lays over it; `Err` is every problem.
pub(super) fn sidecar_of(file: &ModelFile) -> Result<Sidecar, Vec<String>> {
    let mut sidecar = match file.sidecar.as_deref() {
        Some(text) => sidecar::parse(text).map_err(|problem| vec![format!("{}:{problem}", sidecar_file(file))])?,
        None => Sidecar::default(),
    };
    if file.is_inherited {
        let (beside, reach) = (Vec::new(), BTreeMap::new());
        sidecar = Sidecar { operator: None, beside, each: None, weeks_of: None, reach, ..sidecar };
    }
    let problems = match &file.overlay {
        Some((place, text)) => overlay::lay_over(&mut sidecar, place, text),
        None => Vec::new(),
    };
    if problems.is_empty() { Ok(sidecar) } else { Err(problems) }
}

fn sidecar_file(file: &ModelFile) -> String {
    file.file.replace(".sql", ".toml")
}

/// Returns the model in a file with its sidecar; `Err` is every problem of its SQL and of its laws.
pub(super) fn parse(file: ModelFile, sidecar: Sidecar) -> Result<Model, Vec<String>> {
    let mut problems = Vec::new();
    let mut reads = reads_of(&file.sql).unwrap_or_else(|fault| {
        problems.push(fault.described(&file.file));
        BTreeSet::new()
    });
    reads.extend(sidecar.beside.iter().filter_map(|name| table_id(name)));
    let own_file = sidecar_file(&file);
    let own = file.sidecar.as_deref().map(|text| (own_file.as_str(), text));
    let overlay = file.overlay.as_ref().map(|(place, text)| (place.as_str(), text.as_str()));
    let texts: Vec<(&str, &str)> = own.into_iter().chain(overlay).collect();
    let check_reads = checks::reads_of_checks(&sidecar, &texts).unwrap_or_else(|faults| {
        problems.extend(faults);
        Vec::new()
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    let ModelFile { id, file, sql, is_custom, .. } = file;
    Ok(Model { id, sql, sidecar, file, is_custom, reads, check_reads })
}

/// Returns the table that a dotted name stands for.
pub(super) fn table_id(name: &str) -> Option<TableId> {
    let (schema, name) = name.split_once('.')?;
    Some(TableId { schema: schema.to_owned(), name: name.to_owned() })
}

/// Why the tables of a select cannot be told.
#[derive(Debug)]
pub(super) struct ReadFault {
    /// Line and column, where the parser knows them.
    pub(super) place: Option<(usize, usize)>,
    /// What is wrong.
    pub(super) problem: String,
}

impl ReadFault {
    fn new(problem: impl Into<String>) -> Self {
        Self { place: None, problem: problem.into() }
    }

    /// Returns the problem with the file and the place in it.
    fn described(&self, file: &str) -> String {
        match self.place {
            Some((line, column)) => format!("{file}:{line}:{column}: {}", self.problem),
            None => format!("{file}: {}", self.problem),
        }
    }
}

/// Returns the tables that a select reads.
pub(super) fn reads_of(sql: &str) -> Result<BTreeSet<TableId>, ReadFault> {
    let mut statements = DFParser::parse_sql(sql).map_err(|fault| match SyntaxFault::of(&fault) {
        Some(SyntaxFault { problem, place: place @ Some(_) }) => {
            ReadFault { place, problem: format!("syntax error: {problem}") }
        }
        Some(fault) => ReadFault::new(fault.to_string()),
        None => ReadFault::new(fault.to_string()),
    })?;
    let count = statements.len();
    let (Some(statement), 1) = (statements.pop_front(), count) else {
        return Err(ReadFault::new(format!("expected one select, found {count} statements")));
    };
    if !matches!(&statement, Statement::Statement(inner) if matches!(**inner, ast::Statement::Query(_))) {
        return Err(ReadFault::new("expected a select, found another statement"));
    }
    tables_of(&statement, DEFAULT_SCHEMA).map_err(ReadFault::new)
}

/// Returns the tables that a statement names, those without a schema in `schema`; common table expressions are none.
pub fn tables_of(statement: &Statement, schema: &str) -> Result<BTreeSet<TableId>, String> {
    let (tables, _) = resolve_table_references(statement, true).map_err(|fault| in_lower_case(&fault.to_string()))?;
    Ok(tables
        .into_iter()
        .map(|table| TableId { schema: table.schema().unwrap_or(schema).to_owned(), name: table.table().to_owned() })
        .collect())
}

/// Returns what is wrong between models: unknown tables, calls up the floors, circles.
///
/// `tables` are those of the sources beside the contract's; `broken` are models that do not parse, and are known too.
pub(super) fn problems(
    models: &BTreeMap<TableId, Model>,
    broken: &BTreeSet<TableId>,
    source_schemas: &[String],
) -> Vec<String> {
    let mut problems = Vec::new();
    let is_known = |read: &TableId| {
        models.contains_key(read)
            || broken.contains(read)
            || Contract::get().table(&read.schema, &read.name).is_some()
            || source_schemas.contains(&read.schema)
            || (read.schema == "meta" && META_TABLES.contains(&read.name.as_str()))
    };
    let unknown = |place: &str, read: &TableId| {
        let known = models.keys().map(|id| (id.schema.as_str(), id.name.as_str()));
        let of_contract = Contract::get().tables().map(|table| (table.schema.as_str(), table.name.as_str()));
        unknown_table(place, read, known.chain(of_contract))
    };
    for model in models.values() {
        let of_parts = parts::problems(&model.sidecar).into_iter().chain(reach::problems(model, models, broken));
        problems.extend(of_parts.map(|problem| format!("{}: {problem}", model.file.replace(".sql", ".toml"))));
        for read in &model.reads {
            if !is_known(read) {
                problems.push(unknown(&place_of(model, read), read));
            } else if floor(&read.schema) > floor(&model.id.schema) {
                problems.push(format!(
                    "{}: \"{}\" reads \"{read}\", which is on a floor above; hint: move what both need into a lower schema",
                    place_of(model, read),
                    model.id
                ));
            }
        }
        // A law may look at any floor: nothing is computed from it.
        for check in &model.check_reads {
            problems.extend(check.reads.iter().filter(|read| !is_known(read)).map(|read| unknown(&check.place, read)));
        }
    }
    problems.extend(circles(models));
    problems
}

/// Returns the problem of a model that reads what there is not, with the nearest that there is.
pub(super) fn unknown_table<'a>(
    place: &str,
    read: &TableId,
    known: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let known: Vec<String> = known.map(|(schema, name)| format!("{schema}.{name}")).collect();
    let hint = nearest(&read.to_string(), known.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; hint: did you mean \"{near}\"?"));
    format!("{place}: reads \"{read}\", which is neither a model nor a source table{hint}")
}

/// Returns file and line of the first place that names a table.
pub(super) fn place_of(model: &Model, table: &TableId) -> String {
    format!("{}:{}", model.file, line_of(&model.sql, table))
}

/// Returns the first line on which a table is named; 1 where it is not named as such.
fn line_of(sql: &str, table: &TableId) -> usize {
    let dotted = table.to_string();
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    let names = |line: &str, name: &str| line.split(|letter| !is_name(letter)).any(|word| word == name);
    let line_with = |name: &str| sql.lines().position(|line| names(&line.to_lowercase(), name));
    let bare = || if table.schema == DEFAULT_SCHEMA { line_with(&table.name) } else { None };
    line_with(&dotted).or_else(bare).map_or(1, |index| index + 1)
}

fn circles(models: &BTreeMap<TableId, Model>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut done: BTreeSet<&TableId> = BTreeSet::new();
    for start in models.keys() {
        let mut path: Vec<(&TableId, Vec<&TableId>)> = Vec::new();
        let children = |id: &TableId| -> Vec<&TableId> {
            models
                .get(id)
                .map(|model| {
                    model.reads.iter().filter_map(|read| models.get_key_value(read)).map(|(id, _)| id).collect()
                })
                .unwrap_or_default()
        };
        if !done.contains(start) {
            path.push((start, children(start)));
        }
        while let Some((_, open)) = path.last_mut() {
            let Some(next) = open.pop() else {
                done.extend(path.pop().map(|(id, _)| id));
                continue;
            };
            if let Some(from) = path.iter().position(|(id, _)| *id == next) {
                let names: Vec<String> = path[from..].iter().map(|(id, _)| id.to_string()).collect();
                let model = &models[path[path.len() - 1].0];
                problems.push(format!(
                    "{}: models read each other in a circle: {} -> {next}; hint: move what both need into a third",
                    place_of(model, next),
                    names.join(" -> ")
                ));
            } else if !done.contains(next) {
                path.push((next, children(next)));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(rows: &[(&str, &str)]) -> (BTreeMap<TableId, Model>, Vec<String>) {
        let (mut models, mut problems) = (BTreeMap::new(), Vec::new());
        for (name, sql) in rows {
            let id = table_id(name).expect("a dotted name");
            let file = format!("sql/{}.sql", name.replace('.', "/"));
            let file = ModelFile {
                id,
                file,
                sql: (*sql).to_owned(),
                sidecar: None,
                is_inherited: false,
                overlay: None,
                is_custom: true,
            };
            match parse(file, Sidecar::default()) {
                Ok(model) => {
                    models.insert(model.id.clone(), model);
                }
                Err(faults) => problems.extend(faults),
            }
        }
        (models, problems)
    }

    #[test]
    fn a_circle_is_named_with_file_and_line() {
        let (models, _) = models(&[("core.a", "select 1\nfrom core.b"), ("core.b", "select * from core.a")]);
        assert_eq!(
            problems(&models, &BTreeSet::new(), &[]),
            ["sql/core/b.sql:1: models read each other in a circle: core.a -> core.b -> core.a; \
                hint: move what both need into a third"]
        );
    }

    #[test]
    fn a_call_up_the_floors_is_named_with_file_and_line() {
        let (models, _) = models(&[("core.a", "select *\nfrom metrics.b"), ("metrics.b", "select 1 as x")]);
        let found = problems(&models, &BTreeSet::new(), &[]);
        assert!(
            found[0].starts_with("sql/core/a.sql:2: \"core.a\" reads \"metrics.b\", which is on a floor above"),
            "{found:?}"
        );
    }

    #[test]
    fn a_syntax_error_is_named_with_its_line() {
        let (_, problems) = models(&[("core.a", "select 1\nfrom b\nwhere and c > 1")]);
        assert_eq!(problems, ["sql/core/a.sql:3:11: syntax error: expected: end of statement, found: c"]);
    }

    #[test]
    fn a_name_that_nothing_stands_for_is_a_problem() {
        let (models, _) = models(&[("core.a", "select * from core.nothing")]);
        assert!(problems(&models, &BTreeSet::new(), &[])[0].contains("neither a model nor a source table"));
    }

    #[test]
    fn a_model_that_does_not_parse_is_no_unknown_table_for_its_readers() {
        let (models, _) = models(&[("core.a", "select * from core.broken")]);
        assert!(problems(&models, &table_id("core.broken").into_iter().collect(), &[]).is_empty());
    }
}
