//! What may run: statements that read, those that write to the sandbox, and the settings of a session. Everything else is
//! refused with the reason.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::sandbox::Order;
use super::{bounds, clauses, expressions, faults, kill, parameters};
use crate::error::{Error, ErrorKind, Result};

/// The deepest nesting of expressions that is parsed; sqlparser's own guard against an overflow of the stack.
const PARSE_DEPTH_MAX: usize = 60;

/// A statement that may run.
#[derive(Debug, Clone)]
pub(super) enum Allowed {
    /// One that returns rows.
    Query(Box<Statement>),
    /// `set topline.NAME = VALUE`.
    Set { name: String, value: String },
    /// One that writes to the sandbox.
    Write(Box<Order>),
    /// `kill 'ID'`.
    Kill(String),
    /// `show databases`, which BI tools ask for.
    ShowDatabases,
}

/// Returns the statements of a text.
///
/// # Errors
/// `Query` where it does not parse, `Refused` where a statement is none that may run.
pub(super) fn parse(sql: &str) -> Result<Vec<Allowed>> {
    bounds::check_text(sql)?;
    let trimmed = sql.trim().trim_end_matches(';').trim();
    if trimmed.eq_ignore_ascii_case("show databases") || trimmed.eq_ignore_ascii_case("show catalogs") {
        return Ok(vec![Allowed::ShowDatabases]);
    }
    let dialect = datafusion::sql::sqlparser::dialect::GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location();
    let tokens = tokens.map_err(|fault| faults::of_query(ParserError::from(fault).into()))?;
    bounds::check_tokens(&tokens)?;
    if let Some(id) = kill::wanted(&tokens)? {
        return Ok(vec![Allowed::Kill(id)]);
    }
    let mut statements = datafusion::sql::parser::DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(PARSE_DEPTH_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(faults::of_query)?;
    if statements.is_empty() {
        return Err(Error::new(ErrorKind::Query, "there is no statement to run"));
    }
    statements.iter().try_for_each(bounds::check_tables)?;
    statements.iter_mut().try_for_each(clauses::settle)?;
    statements.into_iter().map(allow).collect()
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("{what} is not allowed: topline is read-only here")).with_hint(
        "select, with, explain, show, describe and set topline.NAME = VALUE are allowed, and in schema sandbox create, \
         insert and drop",
    )
}

fn allow(statement: Statement) -> Result<Allowed> {
    match statement {
        Statement::CopyTo(_) => Err(refused("copy")),
        Statement::CreateExternalTable(_) => Err(refused("create external table")),
        Statement::Reset(_) => Err(refused("reset")),
        Statement::Explain(ref explain) => match allow(*explain.statement.clone())? {
            Allowed::Query(_) => Ok(Allowed::Query(Box::new(statement))),
            _ => Err(refused("explain of a statement that is no query").with_hint("explain the query in it")),
        },
        Statement::Statement(inner) => match *inner {
            ast::Statement::Set(set) => allow_set(set),
            ast::Statement::Query(query) => {
                Ok(Allowed::Query(Box::new(Statement::Statement(Box::new(ast::Statement::Query(query))))))
            }
            inner @ (ast::Statement::Explain { .. }
            | ast::Statement::ExplainTable { .. }
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ShowVariable { .. }) => {
                Ok(Allowed::Query(Box::new(Statement::Statement(Box::new(inner)))))
            }
            inner @ (ast::Statement::CreateTable(_)
            | ast::Statement::CreateView(_)
            | ast::Statement::Insert(_)
            | ast::Statement::Drop { object_type: ast::ObjectType::Table | ast::ObjectType::View, .. }) => {
                Ok(Allowed::Write(Box::new(Order::of(parameters::with_numbers(inner))?)))
            }
            other @ (ast::Statement::Update(_)
            | ast::Statement::Delete(_)
            | ast::Statement::Merge(_)
            | ast::Statement::Truncate(_)
            | ast::Statement::AlterTable(_)) => {
                let hint = "create or replace table sandbox.NAME as select ... makes a table anew";
                Err(refused(&first_words(&other.to_string())).with_hint(hint))
            }
            other => Err(refused(&first_words(&other.to_string()))),
        },
    }
}

/// Returns the words that name a statement: `create table`, `insert into`.
fn first_words(sql: &str) -> String {
    let words: Vec<_> = sql
        .split_whitespace()
        .take_while(|word| word.chars().all(|other| other.is_ascii_uppercase()))
        .take(3)
        .collect();
    let words = words.join(" ").to_lowercase();
    if words.is_empty() { "this statement".to_owned() } else { words }
}

fn allow_set(set: ast::Set) -> Result<Allowed> {
    let ast::Set::SingleAssignment { variable, values, .. } = set else {
        return Err(refused("this form of set").with_hint("write set topline.attribution.lookback_days = 30"));
    };
    let name = variable.to_string().to_lowercase();
    let Some(setting) = name.strip_prefix("topline.") else {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("set {name} is not allowed: only settings of topline can be set"),
        )
        .with_hint("write set topline.NAME = VALUE; select name, bounds from meta.settings lists them"));
    };
    let [value] = values.as_slice() else {
        return Err(Error::new(ErrorKind::Query, format!("set {name}: expected one value, found {}", values.len())));
    };
    let value = match value {
        ast::Expr::Value(literal) => match &literal.value {
            ast::Value::SingleQuotedString(text) | ast::Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    Ok(Allowed::Set { name: setting.to_owned(), value })
}

/// Refuses a plan with a node that does more than read, and one that is too large.
///
/// # Errors
/// `Refused` with the node's name, `Limit`.
pub(super) fn verify(plan: &LogicalPlan) -> Result<()> {
    bounds::check_plan(plan)?;
    expressions::check(plan)?;
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        let reads = matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Join(_)
                | LogicalPlan::Repartition(_)
                | LogicalPlan::Union(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Subquery(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::Explain(_)
                | LogicalPlan::Analyze(_)
                | LogicalPlan::Distinct(_)
                | LogicalPlan::DescribeTable(_)
                | LogicalPlan::Unnest(_)
                | LogicalPlan::RecursiveQuery(_)
        );
        if !reads {
            let text = node.display().to_string();
            found = Some(text.split([':', ' ']).next().unwrap_or_default().to_lowercase());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(faults::of_query)?;
    match found {
        Some(node) => Err(refused(&node)),
        None => Ok(()),
    }
}

/// Returns the one statement of a text that a model or an operator brings along.
///
/// # Errors
/// `Query` where it does not parse, or has clauses that cannot be answered.
pub(super) fn parse_one(sql: &str) -> Result<Statement> {
    let mut statements = DFParser::parse_sql(sql).map_err(faults::of_query)?;
    let mut statement =
        statements.pop_front().ok_or_else(|| Error::new(ErrorKind::Query, "there is no statement to run"))?;
    clauses::settle(&mut statement)?;
    Ok(statement)
}
