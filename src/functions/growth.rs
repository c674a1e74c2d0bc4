//! Functions that make much of little, with a bound: `repeat('x', 1000000000)` takes its memory in one piece, beside all
//! accounts of the engine's memory. What a call would return is reckoned before it is made.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::udf_eq::UdfEq;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Documentation, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr as PhysicalBinary, Column};

use crate::domain::resident::resident_bytes;
use crate::error::{Error, ErrorKind};

/// A megabyte, in bytes.
const MB: f64 = 1_048_576.0;

/// The most bytes that one call may return for a batch of some 8,000 rows: 16 KB for each, or one text of that size.
const BYTES_MAX: f64 = 128.0 * MB;

/// The most patterns that a batch of rows may bring along: a compiled one takes up to 10 MB.
const PATTERNS_MAX: usize = 16;

/// How what a function returns grows with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// With all arguments together, so many times.
    Sum(u32),
    /// The first so often as the second says.
    Times,
    /// The first up to the length that the second says.
    Length,
    /// The third wherever the second stands in the first.
    Replacement,
    /// The last between the elements or texts of the others.
    Separator,
    /// A list from a number to another.
    Series,
    /// Not at all, but its second argument is a pattern, which has to be compiled.
    Pattern,
    /// The third wherever the pattern, which has to be compiled, stands in the first.
    PatternReplacement,
}

/// The functions of the engine that grow.
const FUNCTIONS: [(&str, Growth); 30] = [
    ("array_append", Growth::Sum(1)),
    ("array_concat", Growth::Sum(1)),
    ("array_prepend", Growth::Sum(1)),
    ("array_repeat", Growth::Times),
    ("array_resize", Growth::Length),
    ("array_to_string", Growth::Separator),
    ("concat", Growth::Sum(1)),
    ("concat_ws", Growth::Separator),
    ("encode", Growth::Sum(2)),
    ("generate_series", Growth::Series),
    ("initcap", Growth::Sum(3)),
    ("lower", Growth::Sum(3)),
    ("lpad", Growth::Length),
    ("make_array", Growth::Sum(1)),
    ("overlay", Growth::Sum(1)),
    ("range", Growth::Series),
    ("regexp_count", Growth::Pattern),
    ("regexp_instr", Growth::Pattern),
    ("regexp_like", Growth::Pattern),
    ("regexp_match", Growth::Pattern),
    ("regexp_replace", Growth::PatternReplacement),
    ("repeat", Growth::Times),
    ("replace", Growth::Replacement),
    ("rpad", Growth::Length),
    ("string_to_array", Growth::Sum(16)),
    ("substr_index", Growth::Sum(1)),
    ("to_char", Growth::Sum(64)),
    ("to_hex", Growth::Sum(2)),
    ("translate", Growth::Sum(4)),
    ("upper", Growth::Sum(3)),
];

/// Bytes from which the memory of the process is looked at, and what it has besides that of queries.
const LOOKED_AT: f64 = 8.0 * MB;
const PROCESS: f64 = 256.0 * MB;

/// Returns a function with its bound, which is lower where the process has more than the memory of its queries already;
/// `None` where it cannot grow.
pub fn bounded(function: &ScalarUDF, memory: usize) -> Option<ScalarUDF> {
    let (_, growth) = FUNCTIONS.into_iter().find(|(name, _)| *name == function.name())?;
    Some(ScalarUDF::from(Bounded { inner: Arc::clone(function.inner()).into(), growth, memory }))
}

/// A function that reckons before it is carried out. It is not simplified, which would put the engine's own in its place.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: UdfEq<Arc<dyn ScalarUDFImpl>>,
    growth: Growth,
    memory: usize,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.inner.return_type(kinds)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(kinds)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), self.growth, &args.args, args.number_rows, self.memory)?;
        self.inner.invoke_with_args(args)
    }
}

fn check(name: &str, growth: Growth, args: &[ColumnarValue], rows: usize, memory: usize) -> Result<()> {
    // A call with constants alone is made once, however many rows there are.
    let rows = if args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) { 1 } else { rows };
    let column = |place: usize, of: fn(&dyn Array) -> Result<Vec<f64>>| match args.get(place) {
        Some(ColumnarValue::Scalar(value)) => Ok(vec![of(&value.to_array()?)?.first().copied().unwrap_or(0.0); rows]),
        Some(ColumnarValue::Array(values)) => of(values),
        None => Ok(vec![0.0; rows]),
    };
    let product =
        |one: Vec<f64>, other: Vec<f64>| one.iter().zip(&other).map(|(one, other)| (one * other).max(0.0)).sum();
    let bytes: f64 = match growth {
        Growth::Sum(times) => f64::from(times) * sum(args, rows)?,
        Growth::Times => product(column(0, sizes)?, column(1, numbers)?),
        // A letter has up to four bytes, an element of a list some more.
        Growth::Length => 16.0 * column(1, numbers)?.iter().map(|length| length.max(0.0)).sum::<f64>(),
        Growth::Replacement => {
            let each = column(1, sizes)?.into_iter().zip(column(2, sizes)?).map(|(from, to)| 1.0 + to / from.max(1.0));
            product(column(0, sizes)?, each.collect())
        }
        Growth::Pattern => {
            check_patterns(name, args.get(1))?;
            0.0
        }
        Growth::PatternReplacement => {
            check_patterns(name, args.get(1))?;
            product(column(0, sizes)?, column(2, sizes)?)
        }
        Growth::Separator if name == "concat_ws" => {
            sum(args, rows)? + args.len() as f64 * column(0, sizes)?.iter().sum::<f64>()
        }
        Growth::Separator => sum(args, rows)? + product(column(0, lengths)?, column(1, sizes)?),
        Growth::Series => 8.0 * series(args, column(0, numbers)?, column(1, numbers)?, column(2, numbers)?),
    };
    if bytes > BYTES_MAX {
        return Err(too_much(name, bytes));
    }
    if bytes > LOOKED_AT {
        // Columns that are each within the bound are not all together.
        let memory = memory as f64 * 1.25 + PROCESS;
        let taken = resident_bytes().unwrap_or(0) as f64;
        if taken + bytes > memory {
            return Err(out_of_memory(name));
        }
    }
    Ok(())
}

fn out_of_memory(name: &str) -> DataFusionError {
    let error = Error::new(ErrorKind::Limit, format!("{name}() needs more memory than is left"));
    DataFusionError::External(Box::new(error.with_hint("ask for fewer or shorter values, or raise [limits] memory")))
}

fn too_much(name: &str, bytes: f64) -> DataFusionError {
    let (found, max) = ((bytes / MB).ceil(), BYTES_MAX / MB);
    let error = Error::new(
        ErrorKind::Limit,
        format!("{name}() would return {found} MB at once, more than the {max} MB that are allowed"),
    );
    DataFusionError::External(Box::new(error.with_hint("ask for fewer or shorter values")))
}

fn check_patterns(name: &str, patterns: Option<&ColumnarValue>) -> Result<()> {
    let Some(ColumnarValue::Array(patterns)) = patterns else { return Ok(()) };
    let texts = cast(patterns, &DataType::LargeUtf8)?;
    let distinct: HashSet<&str> = texts.as_string::<i64>().iter().flatten().collect();
    let found = distinct.len();
    if found <= PATTERNS_MAX {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::Limit,
        format!("{name}() is given {found} patterns at once, more than the {PATTERNS_MAX} that are allowed"),
    );
    Err(DataFusionError::External(Box::new(error.with_hint("write the pattern as a text in quotes"))))
}

/// Returns the bytes of all arguments in all rows.
fn sum(args: &[ColumnarValue], rows: usize) -> Result<f64> {
    let mut bytes = 0.0;
    for arg in args {
        bytes += match arg {
            ColumnarValue::Scalar(value) => rows as f64 * sizes(&value.to_array()?)?.iter().sum::<f64>(),
            ColumnarValue::Array(values) => sizes(values)?.iter().sum(),
        };
    }
    Ok(bytes)
}

/// Returns the bytes of each value; of lists, an equal part of all.
fn sizes(values: &dyn Array) -> Result<Vec<f64>> {
    match values.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary => {
            lengths(values)
        }
        _ => {
            let bytes = values.to_data().get_slice_memory_size()? as f64;
            Ok(vec![bytes / values.len().max(1) as f64; values.len()])
        }
    }
}

/// Returns the bytes of each text, or the elements of each list.
fn lengths(values: &dyn Array) -> Result<Vec<f64>> {
    if values.data_type().is_null() {
        return Ok(vec![0.0; values.len()]);
    }
    numbers(&length(values)?)
}

/// Returns each number; of other types 0, which the function itself refuses.
fn numbers(values: &dyn Array) -> Result<Vec<f64>> {
    if !values.data_type().is_numeric() {
        return Ok(vec![0.0; values.len()]);
    }
    let numbers = cast(values, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default).collect())
}

/// Returns the elements of series of whole numbers. Those of dates and instants are reckoned as days.
fn series(args: &[ColumnarValue], first: Vec<f64>, second: Vec<f64>, step: Vec<f64>) -> f64 {
    let is_count = args.len() == 1;
    let each = first.into_iter().zip(second).zip(step).map(|((first, second), step)| {
        let (from, to) = if is_count { (0.0, first) } else { (first, second) };
        let step = if step == 0.0 { 1.0 } else { step };
        ((to - from) / step).max(0.0)
    });
    each.sum()
}

/// Puts a function in place of `||`, so that it has a bound: texts double with each step of a query.
#[derive(Debug)]
pub struct BoundedConcatenation {
    function: Arc<ScalarUDF>,
}

impl BoundedConcatenation {
    /// Returns it for queries with so much memory, in bytes.
    pub fn new(memory: usize) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { function: Arc::new(ScalarUDF::from(Concatenation { signature, memory })) }
    }
}

impl FunctionRewrite for BoundedConcatenation {
    fn name(&self) -> &str {
        "bounded_concatenation"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let (left, right) = match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => (left, right),
            Expr::BinaryExpr(BinaryExpr { op, ref right, .. }) if is_pattern(op) && right.any_column_refs() => {
                let error = Error::new(ErrorKind::Refused, format!("a column is no pattern of {op}"));
                let error = error.with_hint("write the pattern as a text in quotes");
                return Err(DataFusionError::External(Box::new(error)));
            }
            other => return Ok(Transformed::no(other)),
        };
        let is_list = |side: &Expr| side.get_type(schema).is_ok_and(|kind| kind.is_list());
        if is_list(&left) || is_list(&right) {
            return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right })));
        }
        let call = ScalarFunction::new_udf(Arc::clone(&self.function), vec![*left, *right]);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    }
}

/// Returns whether an operator compiles what stands on its right, anew for each text.
fn is_pattern(operator: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
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
        check("||", Growth::Sum(1), &args.args, args.number_rows, self.memory)?;
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
