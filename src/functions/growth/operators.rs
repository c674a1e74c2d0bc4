//! Operators with a bound: functions take their places.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Like, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr as PhysicalBinary, Column};

use super::Growth;
use super::likeness::Likeness;
use crate::error::{Error, ErrorKind};

/// Puts functions in place of `||`, with which texts double with each step of a query, and of `like` with patterns that are
/// computed. A column is refused as a pattern of other operators. Functions that the planner takes for other operators,
/// such as `[1, 2]` and `overlay(... placing ...)`, get their bound.
#[derive(Debug)]
pub struct BoundedOperators {
    concatenation: Arc<ScalarUDF>,
    functions: HashMap<String, Arc<ScalarUDF>>,
}

impl BoundedOperators {
    /// Returns them for queries with so much memory, in bytes, and these functions with a bound.
    pub fn new(memory: usize, functions: &[ScalarUDF]) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        let functions = functions.iter().map(|function| (function.name().to_owned(), Arc::new(function.clone())));
        let concatenation = Arc::new(ScalarUDF::from(Concatenation { signature, memory }));
        Self { concatenation, functions: functions.collect() }
    }

    /// Returns a call with its bound, which one from the registry has already.
    fn bounded(&self, call: ScalarFunction) -> Transformed<Expr> {
        match self.functions.get(call.func.name()) {
            Some(function) if *function != call.func => {
                Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), call.args)))
            }
            _ => Transformed::no(Expr::ScalarFunction(call)),
        }
    }
}

impl FunctionRewrite for BoundedOperators {
    fn name(&self) -> &str {
        "bounded_operators"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let (left, right) = match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => (left, right),
            Expr::BinaryExpr(BinaryExpr { op, ref right, .. }) if is_pattern(op) && right.any_column_refs() => {
                return Err(no_pattern(&op.to_string()));
            }
            Expr::SimilarTo(Like { ref pattern, .. }) if pattern.any_column_refs() => {
                return Err(no_pattern("similar to"));
            }
            Expr::Like(Like { negated, expr, pattern, escape_char: None, case_insensitive })
                if is_computed(&pattern) =>
            {
                let function = Arc::new(ScalarUDF::from(Likeness::new(negated, case_insensitive)));
                let call = ScalarFunction::new_udf(function, vec![*expr, *pattern]);
                return Ok(Transformed::yes(Expr::ScalarFunction(call)));
            }
            Expr::ScalarFunction(call) => return Ok(self.bounded(call)),
            other => return Ok(Transformed::no(other)),
        };
        let is_list = |side: &Expr| side.get_type(schema).is_ok_and(|kind| kind.is_list());
        if is_list(&left) || is_list(&right) {
            return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right })));
        }
        let call = ScalarFunction::new_udf(Arc::clone(&self.concatenation), vec![*left, *right]);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    }
}

/// Returns whether an operator compiles what stands on its right, anew for each text.
fn is_pattern(operator: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
}

/// Returns whether a pattern is known only when the query runs.
fn is_computed(pattern: &Expr) -> bool {
    !matches!(pattern, Expr::Literal(..) | Expr::Placeholder(_))
}

fn no_pattern(operator: &str) -> DataFusionError {
    let error = Error::new(ErrorKind::Refused, format!("a column is no pattern of {operator}"));
    DataFusionError::External(Box::new(error.with_hint("write the pattern as a text in quotes")))
}

/// What `||` does, with a bound.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concatenation {
    signature: Signature,
    memory: usize,
}

impl ScalarUDFImpl for Concatenation {
    fn name(&self) -> &str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = kinds else { return plan_err!("|| takes two values") };
        let (left, right) = BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_input_types()?;
        Ok(vec![left, right])
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        let [left, right] = kinds else { return plan_err!("|| takes two values") };
        BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()
    }

    fn is_strict(&self) -> bool {
        NULL_OF_NULL
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        super::check("||", Growth::Sum(1), &args, self.memory)?;
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let fields = ["left", "right"].into_iter().zip(&columns);
        let fields = fields.map(|(name, column)| Field::new(name, column.data_type().clone(), MAY_BE_NULL));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(schema, columns)?;
        let side = |name, place| Arc::new(Column::new(name, place)) as Arc<dyn PhysicalExpr>;
        let joined = PhysicalBinary::new(side("left", 0), Operator::StringConcat, side("right", 1)).evaluate(&batch)?;
        match joined {
            ColumnarValue::Array(values) if is_constant => {
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?))
            }
            other => Ok(other),
        }
    }
}

/// A text and NULL make NULL.
const NULL_OF_NULL: bool = true;

/// Either side may be NULL.
const MAY_BE_NULL: bool = true;
