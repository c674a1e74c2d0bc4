//! Clauses of other dialects, which the parser knows and the planner does not: those that are a `limit` become one, and
//! what would be left out of the answer without a word is refused.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Fetch, GroupByExpr, LimitClause, Query, Select, SetExpr, SetOperator, SetQuantifier, TableFactor, Top,
    TopQuantity, Value, VisitMut, VisitorMut,
};

use crate::error::{Error, ErrorKind, Result};

/// Settles the clauses of a statement.
///
/// # Errors
/// `Query` where one cannot be answered.
pub(super) fn settle(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(inner) => match inner.visit(&mut Clauses) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => settle(&mut explain.statement),
        _ => Ok(()),
    }
}

struct Clauses;

impl VisitorMut for Clauses {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        flow(settle_query(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        flow(check_select(select))
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Error> {
        flow(check_table(table))
    }
}

fn flow(settled: Result<()>) -> ControlFlow<Error> {
    settled.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

fn unknown(clause: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Query, format!("{clause} is not supported")).with_hint(hint)
}

fn settle_query(query: &mut Query) -> Result<()> {
    if query.for_clause.is_some() || query.format_clause.is_some() {
        return Err(unknown("a format of the answer in SQL", "topline query --format json writes JSON"));
    }
    if query.settings.is_some() {
        return Err(unknown("the clause settings", "write set topline.NAME = VALUE before the query"));
    }
    check_sets(&query.body)?;
    let count = match (query.fetch.take(), query.body.as_mut()) {
        (Some(fetch), _) => Some(count_of_fetch(fetch)?),
        (None, SetExpr::Select(select)) => select.top.take().map(count_of_top).transpose()?,
        (None, _) => None,
    };
    let Some(count) = count else { return Ok(()) };
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(count), offset: None, limit_by: vec![] })
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(count),
        Some(_) => return Err(unknown("a second limit of one query", "write one limit")),
    }
    Ok(())
}

fn count_of_fetch(Fetch { with_ties, percent, quantity }: Fetch) -> Result<Expr> {
    require_count(with_ties, percent)?;
    Ok(quantity.unwrap_or_else(|| number(1)))
}

fn count_of_top(Top { with_ties, percent, quantity }: Top) -> Result<Expr> {
    require_count(with_ties, percent)?;
    Ok(match quantity {
        Some(TopQuantity::Expr(count)) => count,
        Some(TopQuantity::Constant(count)) => number(count),
        None => number(1),
    })
}

fn require_count(with_ties: bool, percent: bool) -> Result<()> {
    if with_ties || percent {
        return Err(unknown("a limit by percent or with ties", "qualify rank() over (order by ...) <= 10 keeps ties"));
    }
    Ok(())
}

fn number(count: u64) -> Expr {
    Expr::value(Value::Number(count.to_string(), false))
}

/// Refuses `except all` and `intersect all`, which the planner answers as if the other side had each row without end.
fn check_sets(body: &SetExpr) -> Result<()> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return Ok(()) };
    if *set_quantifier == SetQuantifier::All && matches!(op, SetOperator::Except | SetOperator::Intersect) {
        let hint = "number equal rows with row_number() on both sides, and take except or intersect of these";
        return Err(unknown(&format!("{} all", op.to_string().to_lowercase()), hint));
    }
    check_sets(left)?;
    check_sets(right)
}

fn check_select(select: &Select) -> Result<()> {
    if select.prewhere.is_some() {
        return Err(unknown("the clause prewhere", "write where"));
    }
    if !select.connect_by.is_empty() {
        return Err(unknown("the clause connect by", "write with recursive"));
    }
    if !select.distribute_by.is_empty() {
        return Err(unknown("the clause distribute by", "leave it out: the answer is the same"));
    }
    if select.top.is_some() {
        return Err(unknown("top in a part of a union", "write limit in brackets: (select ... limit 10) union ..."));
    }
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &select.group_by;
    if let Some(modifier) = modifiers.first() {
        let hint = "write group by rollup (...), cube (...) or grouping sets (...)";
        return Err(unknown(&format!("group by ... {}", modifier.to_string().to_lowercase()), hint));
    }
    Ok(())
}

fn check_table(table: &TableFactor) -> Result<()> {
    match table {
        TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
            Err(unknown("the clause tablesample", "write where random() < 0.1"))
        }
        TableFactor::Table { version: Some(_), .. } => Err(unknown(
            "a table as of an instant",
            "as_of_time('METRIC', '2026-07-01T00:00:00Z') is what was published",
        )),
        TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => {
            Err(unknown("pivot", "write sum(amount) filter (where channel = 'email') as email for each column"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    fn settled(sql: &str) -> Result<String> {
        let mut statement = DFParser::parse_sql(sql).expect("it parses").pop_front().expect("a statement");
        settle(&mut statement).map(|()| statement.to_string())
    }

    #[test]
    fn a_limit_in_other_words_is_a_limit() {
        for (sql, expected) in [
            ("select a from t order by a fetch first 3 rows only", "SELECT a FROM t ORDER BY a LIMIT 3"),
            ("select a from t offset 2 rows fetch next row only", "SELECT a FROM t LIMIT 1 OFFSET 2 ROWS"),
            ("select top 3 a from t order by a", "SELECT a FROM t ORDER BY a LIMIT 3"),
            ("explain select top (1 + 1) a from t", "EXPLAIN SELECT a FROM t LIMIT 1 + 1"),
            ("select * from (select top 3 a from t) as u", "SELECT * FROM (SELECT a FROM t LIMIT 3) AS u"),
        ] {
            assert_eq!(settled(sql).expect("it is a limit"), expected, "{sql}");
        }
    }

    #[test]
    fn what_would_be_left_out_is_refused() {
        for (sql, clause) in [
            ("select a from t tablesample (10 percent)", "tablesample"),
            ("select a from t where a in (select a from u prewhere a = 1)", "prewhere"),
            ("select a, count(*) from t group by a with rollup", "group by ... with rollup"),
            ("with u as (select a from t group by all with cube) select * from u", "group by ... with cube"),
            ("select a from t except all select a from u", "except all"),
            ("select a from t union select a from u intersect all select a from v", "intersect all"),
            ("select top 3 with ties a from t order by a", "ties"),
            ("select a from t fetch first 10 percent rows only", "percent"),
            ("select top 3 a from t union all select a from u", "top in a part"),
            ("select top 3 a from t limit 4", "a second limit"),
            ("select a from t start with a = 1 connect by prior a = b", "connect by"),
            ("select a from t settings max_threads = 1", "settings"),
            ("select a from t for json auto", "a format"),
            ("select a from t format CSV", "a format"),
            ("select * from t pivot (sum(b) for a in (1, 2))", "pivot"),
        ] {
            let error = settled(sql).expect_err(sql);
            assert_eq!(error.kind(), ErrorKind::Query);
            assert!(error.message().contains(clause), "{sql}: {}", error.message());
        }
    }
}
