//! Table functions that stand for a query: `explain_metric`, `metric_by`, `parts_law`, `as_of_version` and `as_of_time`.
//!
//! A call is replaced by its query before the statement is planned. So it reads what it reads like any other query, with
//! the settings of the session, and the rows of its sources are checked.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::parser::{ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::gate;
use super::published::PUBLISHED;
use super::state::Shared;
use crate::domain::names::is_identifier;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::parts::{Filter, Measure, day_of};

/// The functions with their arguments; those in brackets may be left out.
const CALLS: [(&str, &str); 5] = [
    ("as_of_time", "as_of_time('METRIC', 'INSTANT')"),
    ("as_of_version", "as_of_version('METRIC', VERSION)"),
    ("explain_metric", "explain_metric('METRIC', 'PERIOD' [, 'FILTER'])"),
    ("metric_by", "metric_by('METRIC', 'DIMENSION' [, 'FILTER'])"),
    ("parts_law", "parts_law('METRIC')"),
];

/// Returns a statement in which the query of each call stands in its place.
///
/// # Errors
/// `Argument` with every problem of the arguments of a call at once.
pub(super) async fn expanded(shared: &Arc<Shared>, statement: Statement) -> Result<Statement> {
    let mut queries = Vec::new();
    let expanded = with_queries(shared, statement, &mut queries)?;
    if shared.is_of_role() {
        for (metric, query) in queries {
            let query = Statement::Statement(Box::new(ast::Statement::Query(query)));
            // The reason would name what may not be read.
            shared.base().statement_to_plan(query).await.map_err(|_| refused(&metric))?;
        }
    }
    Ok(expanded)
}

/// Returns a statement with its calls replaced, and adds the query of each call that looks at records, with its metric.
fn with_queries(
    shared: &Arc<Shared>,
    statement: Statement,
    queries: &mut Vec<(String, Box<ast::Query>)>,
) -> Result<Statement> {
    match statement {
        Statement::Statement(mut inner) => match inner.visit(&mut Expansion { shared, queries }) {
            ControlFlow::Continue(()) => Ok(Statement::Statement(inner)),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => {
            let inner = with_queries(shared, *explain.statement, queries)?;
            Ok(Statement::Explain(ExplainStatement { statement: Box::new(inner), ..explain }))
        }
        other => Ok(other),
    }
}

fn refused(metric: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("the records of metric \"{metric}\" may not be read by this user"))
        .with_hint("the metric itself may; ask whoever runs the server for the tables that it is made of")
}

struct Expansion<'shared> {
    shared: &'shared Arc<Shared>,
    queries: &'shared mut Vec<(String, Box<ast::Query>)>,
}

impl VisitorMut for Expansion<'_> {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, args: Some(arguments), alias, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let Some((function, call)) = CALLS.into_iter().find(|(function, _)| is_named(name, function)) else {
            return ControlFlow::Continue(());
        };
        let query = texts(&arguments.args, call).and_then(|texts| query_of(self.shared, function, &texts));
        match query {
            Ok(query) => {
                if let Some(metric) = metric_of(&arguments.args).filter(|_| !function.starts_with(AS_OF)) {
                    self.queries.push((metric, query.clone()));
                }
                let alias = alias.take().unwrap_or_else(|| alias_of(function));
                *factor = TableFactor::Derived { lateral: false, subquery: query, alias: Some(alias), sample: None };
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// What the names of functions begin with that read what was published, and no records.
const AS_OF: &str = "as_of_";

fn metric_of(arguments: &[FunctionArg]) -> Option<String> {
    text(arguments.first()?, TAKES_NO_NUMBER)?
}

/// The metric is a text.
const TAKES_NO_NUMBER: bool = false;

fn is_named(name: &ObjectName, function: &str) -> bool {
    name.to_string().eq_ignore_ascii_case(function)
}

fn alias_of(function: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(function), columns: Vec::new(), at: None }
}

/// Returns the arguments of a call, each a text; the third of three may be left out or NULL.
fn texts(arguments: &[FunctionArg], call: &str) -> Result<Vec<Option<String>>> {
    let takes_number = call.contains("VERSION");
    let texts: Option<Vec<_>> = arguments.iter().map(|argument| text(argument, takes_number)).collect();
    let takes_one = !call.contains(',');
    texts
        .filter(|texts| match texts.as_slice() {
            [Some(_)] => takes_one,
            [Some(_), Some(_)] | [Some(_), Some(_), _] => !takes_one,
            _ => false,
        })
        .ok_or_else(|| {
            let and = if takes_number { "the metric in quotes" } else { "each argument a text in quotes" };
            Error::new(ErrorKind::Argument, format!("expected {call}, {and}"))
        })
}

fn text(argument: &FunctionArg, takes_number: bool) -> Option<Option<String>> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else { return None };
    match &value.value {
        ast::Value::SingleQuotedString(text) => Some(Some(text.clone())),
        ast::Value::Number(number, _) if takes_number => Some(Some(number.clone())),
        ast::Value::Null => Some(None),
        _ => None,
    }
}

fn query_of(shared: &Arc<Shared>, function: &str, arguments: &[Option<String>]) -> Result<Box<ast::Query>> {
    let argument = |place: usize| arguments.get(place).and_then(Option::as_deref);
    let (name, second) = (argument(0).unwrap_or_default(), argument(1).unwrap_or_default());
    if function.starts_with(AS_OF) {
        return published(function, name, second);
    }
    let mut problems = Vec::new();
    let day = match function {
        "explain_metric" => day_of(second).unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        }),
        _ => String::new(),
    };
    let measure = match Measure::find(&shared.models, name) {
        Ok(measure) => measure,
        // Seen as a metric, and not what it is made of.
        Err(_) if Measure::find(shared.whole_models(), name).is_ok_and(|of| shared.sees(&of.model.id)) => {
            return Err(refused(name));
        }
        Err(problem) => {
            problems.insert(0, problem);
            return Err(of_problems(problems));
        }
    };
    if function == "metric_by" {
        problems.extend(measure.dimension_problem(second));
    }
    let filter = measure.filter(argument(2)).unwrap_or_else(|found| {
        problems.extend(found);
        Filter::default()
    });
    if !problems.is_empty() {
        return Err(of_problems(problems));
    }
    let sql = match function {
        "explain_metric" => measure.explain_sql(&day, &filter),
        "parts_law" => Ok(measure.law_sql()),
        _ => measure.slices_sql(second, &filter),
    };
    let sql = sql.map_err(of_problems)?;
    let missing = shared.missing_tables();
    // The view has no rows then, and its number no records.
    if measure.model.sidecar.needs.iter().any(|need| missing.contains(need)) {
        return query(&format!("select * from ({sql}) as records_of_nothing where false"));
    }
    query(&sql)
}

/// Returns the query of what was published of a metric.
fn published(function: &str, metric: &str, at: &str) -> Result<Box<ast::Query>> {
    let is_right = if function == "as_of_version" {
        at.parse::<u64>().is_ok()
    } else {
        chrono::DateTime::parse_from_rfc3339(at).is_ok()
    };
    let mut problems = Vec::new();
    if !is_identifier(metric) {
        problems.push(format!("expected the name of a metric, found \"{metric}\""));
    }
    if !is_right {
        let expected = if function == "as_of_version" {
            "a version such as 12"
        } else {
            "an instant such as 2026-11-01T00:00:00Z"
        };
        problems.push(format!("expected {expected}, found \"{at}\""));
    }
    if !problems.is_empty() {
        return Err(of_problems(problems));
    }
    query(&format!("select * from {PUBLISHED}.\"{metric}@{at}\""))
}

fn of_problems(mut problems: Vec<String>) -> Error {
    // A single problem carries its hint as errors do.
    if let [problem] = problems.as_mut_slice()
        && let Some((message, hint)) = problem.split_once("; hint: ")
    {
        return Error::new(ErrorKind::Argument, message).with_hint(hint);
    }
    Error::list(ErrorKind::Argument, "the arguments are wrong", problems)
        .unwrap_or_else(|| Error::new(ErrorKind::Internal, "a call failed without a problem"))
}

fn query(sql: &str) -> Result<Box<ast::Query>> {
    let parsed = gate::parse_one(sql).map_err(|error| {
        let message = "the parts of a metric are no SQL";
        Error::new(ErrorKind::Model, message).with_hint(error.message().to_owned())
    })?;
    match parsed {
        Statement::Statement(inner) => match *inner {
            ast::Statement::Query(query) => Ok(query),
            _ => Err(Error::new(ErrorKind::Model, "the parts of a metric are no query")),
        },
        _ => Err(Error::new(ErrorKind::Model, "the parts of a metric are no query")),
    }
}
