//! From which day to which day filters leave rows.

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;

/// Returns the first and the last day that filters leave of a column of days, where they say so.
pub(super) fn days_of(filters: &[Expr], column: &str) -> (Option<i32>, Option<i32>) {
    let is_it = |part: &Expr| matches!(part, Expr::Column(found) if found.name() == column);
    let (mut first, mut last) = (None, None);
    let mut at_least = |day: i32| first = Some(first.map_or(day, |known: i32| known.max(day)));
    let mut at_most = |day: i32| last = Some(last.map_or(day, |known: i32| known.min(day)));
    let mut open: Vec<&Expr> = filters.iter().collect();
    while let Some(filter) = open.pop() {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                open.extend([left.as_ref(), right.as_ref()])
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_it(left) => match (op, day(right)) {
                (Operator::Eq, Some(day)) => {
                    at_least(day);
                    at_most(day);
                }
                (Operator::GtEq, Some(day)) => at_least(day),
                (Operator::Gt, Some(day)) => at_least(day.saturating_add(1)),
                (Operator::LtEq, Some(day)) => at_most(day),
                (Operator::Lt, Some(day)) => at_most(day.saturating_sub(1)),
                _ => {}
            },
            Expr::Between(between) if !between.negated && is_it(&between.expr) => {
                if let Some(day) = day(&between.low) {
                    at_least(day);
                }
                if let Some(day) = day(&between.high) {
                    at_most(day);
                }
            }
            Expr::InList(list) if !list.negated && is_it(&list.expr) => {
                if let Some(days) = list.list.iter().map(day).collect::<Option<Vec<_>>>() {
                    days.iter().min().copied().into_iter().for_each(&mut at_least);
                    days.iter().max().copied().into_iter().for_each(&mut at_most);
                }
            }
            _ => {}
        }
    }
    (first, last)
}

fn day(part: &Expr) -> Option<i32> {
    match part {
        Expr::Literal(ScalarValue::Date32(day), _) => *day,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn date(day: i32) -> Expr {
        lit(ScalarValue::Date32(Some(day)))
    }

    #[test]
    fn days_are_found_where_filters_say_them() {
        assert_eq!(days_of(&[col("month").eq(date(31))], "month"), (Some(31), Some(31)));
        assert_eq!(
            days_of(&[col("month").gt_eq(date(31)).and(col("month").lt(date(90)))], "month"),
            (Some(31), Some(89))
        );
        assert_eq!(days_of(&[col("month").in_list(vec![date(59), date(0)], false)], "month"), (Some(0), Some(59)));
        assert_eq!(days_of(&[col("month").gt_eq(date(31))], "month"), (Some(31), None));
        assert_eq!(days_of(&[col("month").eq(date(31)).or(col("is_first"))], "month"), (None, None));
    }
}
