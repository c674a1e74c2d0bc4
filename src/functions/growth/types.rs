//! Types with a bound: the text of one can ask for a list within a list a hundred thousand times, and a value of one that
//! has a fixed size takes its memory even where it is NULL.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::udf_eq::UdfEq;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
};

use crate::error::{Error, ErrorKind};

/// The functions that read a type from a text.
pub(super) const CASTS: [&str; 2] = ["arrow_cast", "arrow_try_cast"];

/// The longest text of a type, in bytes: it is read by functions that call themselves.
const TEXT_BYTES_MAX: usize = 1_000;

/// The most levels of lists and structs within each other.
const LEVELS_MAX: usize = 16;

/// The most bytes of a value of fixed size: 128 MB in a batch of 8,192 rows.
const VALUE_BYTES_MAX: usize = 16 << 10;

/// Refuses a type that is too deep, or of which a value is too large whatever is in it.
///
/// # Errors
/// `Limit`.
pub fn check_type(kind: &DataType) -> Result<()> {
    let levels = levels(kind);
    if levels > LEVELS_MAX {
        let message = format!("a type has {levels} levels, more than the {LEVELS_MAX} that are allowed");
        return Err(limit(message, "use fewer lists and structs within each other"));
    }
    let bytes = bytes(kind);
    if bytes > VALUE_BYTES_MAX {
        let message = format!("a value of a type has {bytes} bytes, more than the {VALUE_BYTES_MAX} that are allowed");
        return Err(limit(message, "use a list or text of no fixed size"));
    }
    Ok(())
}

fn limit(message: String, hint: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Error::new(ErrorKind::Limit, message).with_hint(hint)))
}

/// Returns the types that a type is made of.
fn parts(kind: &DataType) -> Vec<&DataType> {
    match kind {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => vec![field.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| field.data_type()).collect(),
        DataType::Dictionary(_, value) => vec![value.as_ref()],
        DataType::RunEndEncoded(_, values) => vec![values.data_type()],
        _ => Vec::new(),
    }
}

fn levels(kind: &DataType) -> usize {
    parts(kind).into_iter().map(|part| 1 + levels(part)).max().unwrap_or(0)
}

/// Returns the bytes that a value, or an element of it, has whatever is in it; one of a negative size has more than any.
fn bytes(kind: &DataType) -> usize {
    let of_parts = || parts(kind).into_iter().map(bytes).fold(0, usize::saturating_add);
    let size = |size: i32| usize::try_from(size).unwrap_or(usize::MAX);
    match kind {
        DataType::FixedSizeBinary(length) => size(*length),
        DataType::FixedSizeList(_, length) => size(*length).saturating_mul(of_parts().max(1)),
        _ => kind.primitive_width().unwrap_or_else(of_parts),
    }
}

/// A cast to the type that a text says.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct BoundedCast(pub(super) UdfEq<Arc<dyn ScalarUDFImpl>>);

impl ScalarUDFImpl for BoundedCast {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.0.return_type(kinds)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let text = args.scalar_arguments.get(1).copied().flatten();
        let bytes = text.and_then(|text| text.try_as_str().flatten()).map_or(0, str::len);
        if bytes > TEXT_BYTES_MAX {
            let name = self.name();
            let message =
                format!("the type of {name}() has {bytes} letters, more than the {TEXT_BYTES_MAX} that are allowed");
            return Err(limit(message, "name a simpler type"));
        }
        let field = self.0.return_field_from_args(args)?;
        check_type(field.data_type())?;
        Ok(field)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.0.simplify(args, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.0.invoke_with_args(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_types_and_values_of_large_fixed_sizes_are_refused() {
        let of = |text: &str| check_type(&text.parse().expect("a type")).map_err(|error| error.to_string());
        let nested = |levels: usize| format!("{}Int64{}", "List(".repeat(levels), ")".repeat(levels));
        for text in
            ["Int64", "Timestamp(µs, \"UTC\")", "FixedSizeList(1536, Float32)", "Struct(\"a\": Int8)", &nested(16)]
        {
            assert_eq!(of(text), Ok(()), "{text}");
        }
        assert!(of(&nested(17)).is_err_and(|error| error.contains("17 levels")));
        for text in [
            "FixedSizeBinary(16385)",
            "FixedSizeList(1000000000, Int64)",
            "Struct(\"a\": FixedSizeBinary(16000), \"b\": FixedSizeBinary(16000))",
            "List(FixedSizeList(2000, FixedSizeList(2000, Utf8)))",
        ] {
            assert!(of(text).is_err_and(|error| error.contains("a value of a type has")), "{text}");
        }
    }
}
