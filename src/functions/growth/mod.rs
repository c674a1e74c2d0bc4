//! Functions that make much of little, with a bound: `repeat('x', 1000000000)` takes its memory in one piece, beside all
//! accounts of the engine's memory. What a call would return, or compare, is reckoned before it is made.

mod likeness;
mod operators;
mod sizes;
mod types;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::udf_eq::UdfEq;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::stop::{Phase, QueryStop};
use crate::domain::resident::resident_bytes;
use crate::error::{Error, ErrorKind};
pub use operators::BoundedOperators;
use sizes::{lengths, numbers, series, sizes, sum};
pub use types::check_type;
use types::{BoundedCast, CASTS};

/// The least that an element of a list takes, in bytes.
const ELEMENT_BYTES: f64 = 8.0;

/// A megabyte, in bytes.
const MB: f64 = 1_048_576.0;

/// The most bytes that one call may return for a batch of some 8,000 rows: 16 KB for each, or one text of that size.
const BYTES_MAX: f64 = 128.0 * MB;

/// The most bytes of a constant that is computed when a query is planned: plans copy and compare their constants over and
/// over. A longer one is computed when the query runs.
const CONSTANT_BYTES_MAX: f64 = 32.0 * 1024.0;

/// The most pairs of letters or elements that a call may compare for a batch of rows: some seconds' worth.
const PAIRS_MAX: f64 = (1_u64 << 30) as f64;

/// The most that it may compare for a constant of a plan, which may have thousands: a millisecond's worth.
const CONSTANT_PAIRS_MAX: f64 = (1_u64 << 20) as f64;

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
    /// The third in the place of each element of the first.
    Elements,
    /// The last between the elements or texts of the others.
    Separator,
    /// A list from a number to another.
    Series,
    /// Not at all, but each letter or element of the first is held against each of the second.
    Pairs,
    /// Not at all, but its second argument is a pattern, which has to be compiled.
    Pattern,
    /// The third wherever the pattern, which has to be compiled, stands in the first.
    PatternReplacement,
}

/// The functions of the engine that grow.
const FUNCTIONS: [(&str, Growth); 44] = [
    ("array_append", Growth::Sum(1)),
    ("array_concat", Growth::Sum(1)),
    ("array_distinct", Growth::Sum(8)),
    ("array_except", Growth::Sum(8)),
    ("array_has_all", Growth::Pairs),
    ("array_has_any", Growth::Pairs),
    ("array_intersect", Growth::Sum(8)),
    ("array_prepend", Growth::Sum(1)),
    ("array_repeat", Growth::Times),
    ("array_replace", Growth::Elements),
    ("array_replace_all", Growth::Elements),
    ("array_replace_n", Growth::Elements),
    ("array_resize", Growth::Length),
    ("array_to_string", Growth::Separator),
    ("array_union", Growth::Sum(8)),
    ("btrim", Growth::Pairs),
    ("concat", Growth::Sum(1)),
    ("concat_ws", Growth::Separator),
    ("encode", Growth::Sum(2)),
    ("generate_series", Growth::Series),
    ("initcap", Growth::Sum(3)),
    ("levenshtein", Growth::Pairs),
    ("lower", Growth::Sum(3)),
    ("lpad", Growth::Length),
    ("ltrim", Growth::Pairs),
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
    ("rtrim", Growth::Pairs),
    ("string_to_array", Growth::Sum(16)),
    ("strpos", Growth::Pairs),
    ("substr_index", Growth::Sum(1)),
    ("to_char", Growth::Sum(64)),
    ("to_hex", Growth::Sum(2)),
    ("translate", Growth::Sum(4)),
    ("upper", Growth::Sum(3)),
];

/// Bytes from which the memory of the process is looked at: a statement can have thousands of constants, and hundreds of
/// columns.
const LOOKED_AT: f64 = MB;
const CONSTANT_LOOKED_AT: f64 = 16.0 * 1024.0;

/// What the process has besides the memory of queries, in bytes.
const PROCESS: f64 = 256.0 * MB;

/// Returns a function with its bound, which is lower where the process has more than the memory of its queries already;
/// `None` where it cannot grow.
pub fn bounded(function: &ScalarUDF, memory: usize) -> Option<ScalarUDF> {
    let inner = UdfEq::from(Arc::clone(function.inner()));
    if CASTS.contains(&function.name()) {
        return Some(ScalarUDF::from(BoundedCast(inner)));
    }
    let (_, growth) = FUNCTIONS.into_iter().find(|(name, _)| *name == function.name())?;
    Some(ScalarUDF::from(Bounded { inner, growth, memory }))
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
        check(self.name(), self.growth, &args, self.memory)?;
        self.inner.invoke_with_args(args)
    }
}

/// Refuses a call that would make or compare too much, and any in a query that is to end.
fn check(name: &str, growth: Growth, call: &ScalarFunctionArgs, memory: usize) -> Result<()> {
    let QueryStop { stop, phase } = QueryStop::of(&call.config_options);
    stop.check()?;
    let args = call.args.as_slice();
    // A call with constants alone is made once, however many rows there are, and then written out for each.
    let is_constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let (rows, copies) = if is_constant { (1, call.number_rows) } else { (call.number_rows, 1) };
    let (bytes_max, pairs_max) = match phase {
        Phase::Planning => (CONSTANT_BYTES_MAX, CONSTANT_PAIRS_MAX),
        Phase::Running => (BYTES_MAX, PAIRS_MAX),
    };
    let reckoned = reckon(name, growth, args, rows)?;
    if growth == Growth::Pairs {
        return if reckoned > pairs_max { Err(too_many_pairs(name, reckoned)) } else { Ok(()) };
    }
    let bytes = reckoned * copies as f64;
    if bytes > bytes_max {
        return Err(too_much(name, bytes));
    }
    if bytes > if is_constant { CONSTANT_LOOKED_AT } else { LOOKED_AT } {
        // Columns that are each within the bound are not all together.
        check_process(&format!("{name}()"), bytes, memory)?;
    }
    Ok(())
}

/// Returns the bytes that a call returns, or the pairs that it compares.
fn reckon(name: &str, growth: Growth, args: &[ColumnarValue], rows: usize) -> Result<f64> {
    let column = |place: usize, of: fn(&dyn Array) -> Result<Vec<f64>>| match args.get(place) {
        Some(ColumnarValue::Scalar(value)) => Ok(vec![of(&value.to_array()?)?.first().copied().unwrap_or(0.0); rows]),
        Some(ColumnarValue::Array(values)) => of(values),
        None => Ok(vec![0.0; rows]),
    };
    let product =
        |one: Vec<f64>, other: Vec<f64>| one.iter().zip(&other).map(|(one, other)| (one * other).max(0.0)).sum();
    Ok(match growth {
        Growth::Sum(times) => f64::from(times) * sum(args, rows)?,
        Growth::Times => {
            // An element takes its place in a list, whatever is in it.
            let least = if name == "array_repeat" { ELEMENT_BYTES } else { 0.0 };
            let each = column(0, sizes)?.into_iter().map(|bytes| bytes.max(least)).collect();
            product(each, column(1, numbers)?)
        }
        // A letter has up to four bytes, an element of a list some more, or as many as what it is filled with.
        Growth::Length => {
            let lengths = column(1, numbers)?;
            if name == "array_resize" && lengths.iter().any(|length| *length < 0.0) {
                let error = Error::new(ErrorKind::Query, "array_resize() is given a length below 0");
                return Err(DataFusionError::External(Box::new(error.with_hint("give it a length of 0 or more"))));
            }
            let filled = if name == "array_resize" { column(2, sizes)? } else { vec![0.0; rows] };
            product(lengths, filled.into_iter().map(|bytes| bytes.max(16.0)).collect())
        }
        Growth::Elements => sum(args, rows)? + product(column(0, lengths)?, column(2, sizes)?),
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
        // The third stands where an element is NULL.
        Growth::Separator => {
            let between = product(column(0, lengths)?, column(1, sizes)?);
            sum(args, rows)? + between + product(column(0, lengths)?, column(2, sizes)?)
        }
        Growth::Series => {
            let has_second = args.len() > 1;
            8.0 * series(has_second, column(0, numbers)?, column(1, numbers)?, column(2, numbers)?)
        }
        Growth::Pairs => product(column(0, lengths)?, column(1, lengths)?),
    })
}

/// Refuses so many bytes more where the process has as much as it should while its queries have so much memory.
///
/// # Errors
/// `Limit`, which says for what.
pub fn check_process(what: &str, bytes: f64, memory: usize) -> Result<()> {
    let taken = resident_bytes().unwrap_or(0) as f64;
    if taken + bytes <= memory as f64 * 1.25 + PROCESS {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Limit, format!("{what} needs more memory than is left"));
    let error = error.with_hint("ask for fewer rows or shorter values, or raise [limits] memory");
    Err(DataFusionError::External(Box::new(error)))
}

fn too_much(name: &str, bytes: f64) -> DataFusionError {
    let (found, max) = ((bytes / MB).ceil(), BYTES_MAX / MB);
    let error = Error::new(
        ErrorKind::Limit,
        format!("{name}() would return {found} MB at once, more than the {max} MB that are allowed"),
    );
    DataFusionError::External(Box::new(error.with_hint("ask for fewer or shorter values")))
}

fn too_many_pairs(name: &str, pairs: f64) -> DataFusionError {
    let error = Error::new(
        ErrorKind::Limit,
        format!("{name}() would compare {pairs:.0} pairs at once, more than the {PAIRS_MAX:.0} that are allowed"),
    );
    DataFusionError::External(Box::new(error.with_hint("ask for shorter values")))
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

#[cfg(test)]
mod tests;
