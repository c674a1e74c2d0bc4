//! Statements that write, read from their text: what they make, change or drop, and where.

use datafusion::sql::sqlparser::ast::{
    self, ColumnDef, ColumnOption, Expr, Ident, ObjectName, ObjectType, Query, SetExpr, TableObject,
};

use crate::engine::{CATALOG, TableKind};
use crate::error::{Error, ErrorKind, Result};

/// The schema that may be written to.
pub(in crate::engine) const SANDBOX: &str = "sandbox";

/// A statement that writes.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Order {
    /// The name as it is written.
    pub table: ObjectName,
    /// What is done.
    pub deed: Deed,
}

/// What a statement does.
#[derive(Debug, Clone)]
pub(in crate::engine) enum Deed {
    /// `create table NAME as QUERY`.
    TableOf { query: Box<Query>, exists: Exists },
    /// `create table NAME (COLUMN TYPE, ...)`.
    Table { columns: Vec<NewColumn>, exists: Exists },
    /// `create view NAME as QUERY`.
    View { query: Box<Query>, exists: Exists },
    /// `insert into NAME (COLUMN, ...) QUERY`; no columns are all of them.
    Insert { columns: Vec<String>, query: Box<Query> },
    /// `drop table NAME` or `drop view NAME`.
    Drop { kind: TableKind, may_be_missing: bool },
}

/// What happens where the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exists {
    /// It is an error.
    Fails,
    /// Nothing happens.
    IsKept,
    /// What is there is replaced.
    IsReplaced,
    /// The rows are added to it.
    IsExtended,
}

/// A column of a new table.
#[derive(Debug, Clone)]
pub(in crate::engine) struct NewColumn {
    /// The name.
    pub name: String,
    /// The type as it is written.
    pub data_type: String,
    /// Whether it may be NULL.
    pub is_nullable: bool,
}

impl Order {
    /// Returns what a statement that writes asks for.
    ///
    /// # Errors
    /// `Refused` where its form is none that is served.
    pub(in crate::engine) fn of(statement: ast::Statement) -> Result<Self> {
        let text = statement.to_string();
        match statement {
            ast::Statement::CreateTable(create) => {
                let exists = exists(create.or_replace, create.if_not_exists);
                let head = format!("CREATE {}TABLE {}{}", or_replace(exists), if_not_exists(exists), create.name);
                let Some(query) = create.query else {
                    let columns: Vec<String> = create.columns.iter().map(ToString::to_string).collect();
                    require_plain(&text, &format!("{head} ({})", columns.join(", ")), TABLE_FORM)?;
                    let columns = create.columns.into_iter().map(new_column).collect::<Result<_>>()?;
                    return Ok(Self { table: create.name, deed: Deed::Table { columns, exists } });
                };
                require_plain(&text, &format!("{head} AS {query}"), TABLE_FORM)?;
                Ok(Self { table: create.name, deed: Deed::TableOf { query, exists } })
            }
            ast::Statement::CreateView(create) => {
                let exists = exists(create.or_replace, create.if_not_exists);
                let form = "create [or replace] view sandbox.NAME as select ...";
                let plain = format!("CREATE {}VIEW {} AS {}", or_replace(exists), create.name, create.query);
                require_plain(&text, &plain, form)?;
                Ok(Self { table: create.name, deed: Deed::View { query: create.query, exists } })
            }
            ast::Statement::Insert(insert) => {
                let form = "insert into sandbox.NAME [(COLUMN, ...)] select ... or values ...";
                let (TableObject::TableName(table), Some(query)) = (insert.table, insert.source) else {
                    return Err(unusual(form));
                };
                let names: Vec<String> = insert.columns.iter().map(ToString::to_string).collect();
                let list = if names.is_empty() { String::new() } else { format!("({}) ", names.join(", ")) };
                require_plain(&text, &format!("INSERT INTO {table} {list}{query}"), form)?;
                let columns = insert.columns.iter().map(|name| last_part(name, form)).collect::<Result<_>>()?;
                Ok(Self { table, deed: Deed::Insert { columns, query } })
            }
            ast::Statement::Drop { object_type, if_exists, names, .. } => {
                let form = "drop table [if exists] sandbox.NAME or drop view [if exists] sandbox.NAME";
                let kind = match object_type {
                    ObjectType::Table => TableKind::Base,
                    ObjectType::View => TableKind::View,
                    _ => return Err(unusual(form)),
                };
                let [table] = <[ObjectName; 1]>::try_from(names).map_err(|_| unusual(form))?;
                let which = if if_exists { "IF EXISTS " } else { "" };
                require_plain(&text, &format!("DROP {object_type} {which}{table}"), form)?;
                Ok(Self { table, deed: Deed::Drop { kind, may_be_missing: if_exists } })
            }
            _ => Err(Error::new(ErrorKind::Internal, "the statement does not write")),
        }
    }

    /// Returns the words that name the statement.
    pub(in crate::engine) fn words(&self) -> &'static str {
        match &self.deed {
            Deed::TableOf { .. } | Deed::Table { .. } => "create table",
            Deed::View { .. } => "create view",
            Deed::Insert { .. } => "insert into",
            Deed::Drop { kind: TableKind::Base, .. } => "drop table",
            Deed::Drop { kind: TableKind::View, .. } => "drop view",
        }
    }

    /// Returns the name within the sandbox; one without a schema is in `schema`.
    ///
    /// # Errors
    /// `Refused` where it is anywhere else.
    pub(in crate::engine) fn name(&self, schema: &str) -> Result<String> {
        let parts: Vec<String> = self.table.0.iter().filter_map(|part| part.as_ident()).map(normal).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (schema, name) = match parts.as_slice() {
            [name] => (schema, *name),
            [schema, name] | [CATALOG, schema, name] => (*schema, *name),
            _ => return Err(outside(self.words(), &self.table.to_string())),
        };
        if schema != SANDBOX {
            return Err(outside(self.words(), &format!("{schema}.{name}")));
        }
        Ok(name.to_owned())
    }
}

/// Returns the error of a write to anywhere else.
pub(in crate::engine) fn outside(words: &str, table: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("{words} is not allowed for \"{table}\": topline is read-only outside schema \"{SANDBOX}\""),
    )
    .with_hint(format!("write {words} {SANDBOX}.NAME"))
}

/// Returns the number of the parameter in each cell, where the query is one row of values that are all parameters.
pub(in crate::engine) fn row_of_parameters(query: &Query) -> Option<Vec<usize>> {
    let SetExpr::Values(values) = query.body.as_ref() else { return None };
    let [row] = values.rows.as_slice() else { return None };
    row.content.iter().map(parameter_number).collect()
}

/// Returns the places at which a parameter stands alone in a row of values: its number from 0, and the column's.
pub(in crate::engine) fn parameters_in_values(query: &Query) -> Vec<(usize, usize)> {
    let SetExpr::Values(values) = query.body.as_ref() else { return Vec::new() };
    let cells = values.rows.iter().flat_map(|row| row.content.iter().enumerate());
    cells.filter_map(|(column, cell)| Some((parameter_number(cell)?, column))).collect()
}

fn parameter_number(cell: &Expr) -> Option<usize> {
    let Expr::Value(value) = cell else { return None };
    let ast::Value::Placeholder(name) = &value.value else { return None };
    name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
}

const TABLE_FORM: &str =
    "create [or replace] table [if not exists] sandbox.NAME as select ..., or (COLUMN TYPE [not null], ...)";

fn exists(or_replace: bool, if_not_exists: bool) -> Exists {
    match (or_replace, if_not_exists) {
        (true, _) => Exists::IsReplaced,
        (false, true) => Exists::IsKept,
        (false, false) => Exists::Fails,
    }
}

fn or_replace(exists: Exists) -> &'static str {
    if exists == Exists::IsReplaced { "OR REPLACE " } else { "" }
}

fn if_not_exists(exists: Exists) -> &'static str {
    if exists == Exists::IsKept { "IF NOT EXISTS " } else { "" }
}

/// Refuses a statement that says more than what is understood of it.
fn require_plain(text: &str, understood: &str, form: &str) -> Result<()> {
    if text == understood { Ok(()) } else { Err(unusual(form)) }
}

fn unusual(form: &str) -> Error {
    Error::new(ErrorKind::Refused, "this form of the statement is not supported").with_hint(format!("write {form}"))
}

fn new_column(column: ColumnDef) -> Result<NewColumn> {
    let mut is_nullable = true;
    for option in &column.options {
        match option.option {
            ColumnOption::Null => {}
            ColumnOption::NotNull => is_nullable = false,
            _ => {
                let problem = format!("column \"{}\": {} is not supported", column.name.value, option.option);
                return Err(Error::new(ErrorKind::Refused, problem)
                    .with_hint("a column has a name, a type and perhaps not null"));
            }
        }
    }
    Ok(NewColumn { name: normal(&column.name), data_type: column.data_type.to_string(), is_nullable })
}

fn last_part(name: &ObjectName, form: &str) -> Result<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(normal).ok_or_else(|| unusual(form)),
        _ => Err(unusual(form)),
    }
}

/// Returns a name as the engine knows it: small letters, but where it is quoted.
fn normal(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}
