//! Parameters as clients write and bind them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, LogicalPlanBuilder, TryCast};
use datafusion::sql::parser::{ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::{self, VisitMut, VisitorMut};

use super::faults;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::check_room_of;

/// Returns the statement with each `?` numbered in the order of the text, as `$1`, `$2` and so on.
pub(super) fn with_numbered_parameters(statement: Statement) -> Statement {
    match statement {
        Statement::Statement(inner) => Statement::Statement(Box::new(with_numbers(*inner))),
        Statement::Explain(explain) => {
            let inner = with_numbered_parameters(*explain.statement);
            Statement::Explain(ExplainStatement { statement: Box::new(inner), ..explain })
        }
        other => other,
    }
}

/// Returns the statement with each `?` numbered, as [`with_numbered_parameters`] does.
pub(super) fn with_numbers(mut statement: ast::Statement) -> ast::Statement {
    let _ = statement.visit(&mut Numbering::default());
    statement
}

#[derive(Default)]
struct Numbering {
    seen: usize,
}

impl VisitorMut for Numbering {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ast::ValueWithSpan) -> ControlFlow<()> {
        if let ast::Value::Placeholder(name) = &mut value.value
            && name == "?"
        {
            self.seen += 1;
            *name = format!("${}", self.seen);
        }
        ControlFlow::Continue(())
    }
}

/// Returns the types that their place tells of parameters, where planning infers none: of those in `limit`, `offset` and
/// `cast`.
pub(super) fn types_by_place(plan: &LogicalPlan) -> Result<BTreeMap<String, DataType>> {
    let mut found = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        let is_limit = matches!(node, LogicalPlan::Limit(_));
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                match part {
                    Expr::Placeholder(parameter) if is_limit => {
                        found.insert(parameter.id.clone(), DataType::Int64);
                    }
                    Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                        if let Expr::Placeholder(parameter) = expr.as_ref() {
                            found.insert(parameter.id.clone(), field.data_type().clone());
                        }
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(faults::of_query)?;
    Ok(found)
}

/// Returns a plan in which rows of values have the types that they have now that parameters are bound.
pub(super) fn with_types_of_values(plan: LogicalPlan) -> Result<LogicalPlan> {
    let retyped = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Values(values) => Ok(Transformed::yes(LogicalPlanBuilder::values(values.values)?.build()?)),
        other => Ok(Transformed::no(other)),
    });
    retyped.map(|plan| plan.data).map_err(faults::of_query)
}

/// Returns rows of parameters in the types that a query has for them.
///
/// Drivers send what their language has: every whole number as 64 bits, a date as text. What converts without a loss
/// is converted; anything else stays, and planning decides or says what is wrong with it.
pub(super) fn bind(expected: &[FieldRef], rows: &RecordBatch) -> Result<RecordBatch> {
    if expected.len() != rows.num_columns() {
        return Err(Error::new(
            ErrorKind::Argument,
            format!("the query has {} parameters, but {} are bound", expected.len(), rows.num_columns()),
        ));
    }
    check_room_of(rows.columns().iter().zip(expected.iter().map(|field| field.data_type())))?;
    let columns: Vec<ArrayRef> =
        expected.iter().zip(rows.columns()).map(|(field, column)| converted(column, field.data_type())).collect();
    let fields = expected.iter().zip(&columns);
    let fields: Vec<_> =
        fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), MAY_BE_NULL)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|cause| Error::new(ErrorKind::Argument, "the parameters are not of one length").with_source(cause))
}

/// A parameter may always be NULL.
const MAY_BE_NULL: bool = true;

fn converted(column: &ArrayRef, kind: &DataType) -> ArrayRef {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    // Text is also what a parameter is whose type nothing tells.
    if is_text(kind) && !is_text(column.data_type()) && column.data_type() != &DataType::Null {
        return Arc::clone(column);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let Ok(converted) = cast_with_options(column, kind, &strict) else { return Arc::clone(column) };
    let is_lossless = column.data_type() == &DataType::Null
        || cast_with_options(&converted, column.data_type(), &strict)
            .is_ok_and(|back| back.to_data() == column.to_data());
    if is_lossless { converted } else { Arc::clone(column) }
}

/// Returns a row of parameters as planning takes them.
pub(super) fn values(rows: &RecordBatch, row: usize) -> Result<ParamValues> {
    let values: Result<Vec<ScalarValue>, _> =
        rows.columns().iter().map(|column| ScalarValue::try_from_array(column, row)).collect();
    values.map(ParamValues::from).map_err(faults::of_query)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn bound(kind: DataType, column: ArrayRef) -> DataType {
        let rows = RecordBatch::try_from_iter([("a", column)]).expect("one column");
        let field = Arc::new(Field::new("$1", kind, MAY_BE_NULL));
        bind(&[field], &rows).expect("it binds").column(0).data_type().clone()
    }

    #[test]
    fn what_converts_without_a_loss_is_converted() {
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
        assert_eq!(bound(DataType::Int32, Arc::clone(&whole)), DataType::Int32);
        assert_eq!(bound(DataType::Date32, Arc::new(StringArray::from(vec!["2026-01-31"]))), DataType::Date32);
        assert_eq!(bound(DataType::Utf8, whole), DataType::Int64);
    }

    #[test]
    fn what_would_change_stays() {
        assert_eq!(bound(DataType::Int64, Arc::new(Float64Array::from(vec![1.5]))), DataType::Float64);
        assert_eq!(bound(DataType::Int32, Arc::new(Int64Array::from(vec![1_i64 << 40]))), DataType::Int64);
        assert_eq!(bound(DataType::Int64, Arc::new(StringArray::from(vec!["x"]))), DataType::Utf8);
    }

    #[test]
    fn another_number_of_parameters_is_refused() {
        let rows = RecordBatch::try_from_iter([(
            "a",
            Arc::new(arrow::array::PrimitiveArray::<Int32Type>::from(vec![1])) as _,
        )])
        .expect("one column");
        assert_eq!(bind(&[], &rows).expect_err("one too many").kind(), ErrorKind::Argument);
    }
}
