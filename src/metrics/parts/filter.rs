//! A condition on records, as people write it behind `--where`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Measure;
use crate::domain::names::{in_lower_case, nearest};

/// The deepest nesting of a condition: nobody writes a deeper one by hand.
const DEPTH_MAX: usize = 30;

/// A condition that names dimensions only.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    sql: Option<String>,
    columns: BTreeSet<String>,
}

impl Filter {
    /// Returns a condition; `Err` is every problem.
    pub(super) fn parse(text: Option<&str>, known: &[String]) -> Result<Self, Vec<String>> {
        let Some(text) = text else { return Ok(Self::default()) };
        let condition = parsed(text).map_err(|problem| vec![format!("filter \"{text}\": {problem}")])?;
        let mut found = Names::default();
        let _ = condition.visit(&mut found);
        let mut problems = Vec::new();
        if found.has_query {
            problems.push(format!("filter \"{text}\": expected a condition on dimensions, found a query"));
        }
        for name in found.names.iter().filter(|name| !known.contains(name)) {
            let hint = nearest(name, known.iter().map(String::as_str))
                .map_or_else(|| format!("there are {}", known.join(", ")), |near| format!("did you mean \"{near}\"?"));
            problems.push(format!("filter \"{text}\": there is no dimension \"{name}\"; hint: {hint}"));
        }
        if problems.is_empty() {
            Ok(Self { sql: Some(format!("({condition})")), columns: found.names })
        } else {
            Err(problems)
        }
    }

    /// Returns whether the condition names a column.
    pub fn names(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    /// Returns whether the condition names these columns at most.
    pub(super) fn all_in(&self, columns: &[String]) -> bool {
        self.columns.iter().all(|name| columns.contains(name))
    }

    /// Returns the condition in parentheses; `None` where everything counts.
    pub fn sql(&self) -> Option<&str> {
        self.sql.as_deref()
    }

    /// Returns the dimensions that rows need for the condition, what stands apart included.
    pub(super) fn columns(&self, measure: &Measure<'_>) -> BTreeSet<String> {
        let dimensions = measure.dimensions();
        let apart = measure.model.sidecar.apart.keys();
        apart.chain(&self.columns).filter(|name| dimensions.contains(name)).cloned().collect()
    }
}

fn parsed(text: &str) -> Result<Expr, String> {
    let dialect = GenericDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).try_with_sql(text);
    let condition = parser.and_then(|mut parser| {
        let condition = parser.parse_expr()?;
        parser.expect_token(&Token::EOF).map(|_| condition)
    });
    condition.map_err(|fault| {
        let text = fault.to_string();
        let text = text.trim_start_matches("sql parser error: ");
        format!("syntax error: {}", in_lower_case(text.split(" at Line: ").next().unwrap_or_default()))
    })
}

/// The columns that a condition names.
#[derive(Default)]
struct Names {
    names: BTreeSet<String>,
    has_query: bool,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.has_query = true;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Identifier(name) if name.quote_style.is_some() => {
                self.names.insert(name.value.clone());
            }
            Expr::Identifier(name) => {
                self.names.insert(name.value.to_lowercase());
            }
            Expr::CompoundIdentifier(_) => {
                self.names.insert(expression.to_string());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Result<Filter, Vec<String>> {
        Filter::parse(Some(text), &["channel".to_owned(), "segment".to_owned()])
    }

    #[test]
    fn a_condition_is_kept_whole() {
        let found = filter("channel = 'email' or Segment is null").expect("a condition");
        assert_eq!(found.sql(), Some("(channel = 'email' OR Segment IS NULL)"));
        assert!(found.names("segment") && !found.names("model"));
    }

    #[test]
    fn every_name_that_is_none_is_a_problem() {
        let problems = filter("chanel = 'email' and facts.x = 1").expect_err("two problems");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("no dimension \"chanel\"; hint: did you mean \"channel\"?"), "{problems:?}");
    }

    #[test]
    fn more_than_a_condition_is_refused() {
        assert!(filter("channel = 'a'; drop table x").is_err());
        assert!(filter("channel = 'a') or (1 = 1").is_err());
        assert!(filter("channel in (select name from crm.accounts)").is_err());
        assert!(filter("").is_err());
    }
}
