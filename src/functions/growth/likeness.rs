//! `like` with a pattern that is computed: it is compiled anew for each row that has another one.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::{cast, ilike, like, nilike, nlike};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::type_coercion::binary::like_coercion;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::error::{Error, ErrorKind};
use crate::functions::stop::QueryStop;

/// The most bytes of patterns that are compiled for a batch of rows: a second's worth.
const COMPILED_BYTES_MAX: usize = 256 << 10;

/// What `like` and its kin do, with a bound.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Likeness {
    signature: Signature,
    is_negated: bool,
    ignores_case: bool,
}

impl Likeness {
    pub(super) fn new(is_negated: bool, ignores_case: bool) -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), is_negated, ignores_case }
    }

    /// Returns whether a pattern is compiled, and not just sought at a place of the text.
    fn is_compiled(&self, pattern: &str) -> bool {
        let start = pattern.strip_prefix('%').unwrap_or(pattern);
        let middle = start.strip_suffix('%').unwrap_or(start);
        self.ignores_case || middle.contains(['%', '_', '\\'])
    }

    /// Refuses patterns that take too long.
    fn check(&self, patterns: &dyn Array) -> Result<()> {
        let texts = cast(patterns, &DataType::LargeUtf8)?;
        let mut before = None;
        let mut bytes = 0;
        for pattern in texts.as_string::<i64>().iter().flatten() {
            if before != Some(pattern) && self.is_compiled(pattern) {
                bytes += pattern.len();
            }
            before = Some(pattern);
        }
        if bytes <= COMPILED_BYTES_MAX {
            return Ok(());
        }
        let name = self.name();
        let error = Error::new(
            ErrorKind::Limit,
            format!(
                "the patterns of {name} have {bytes} bytes at once, more than the {COMPILED_BYTES_MAX} that are allowed"
            ),
        );
        let hint = "use starts_with(), ends_with() or strpos(), or a pattern in quotes";
        Err(DataFusionError::External(Box::new(error.with_hint(hint))))
    }
}

impl ScalarUDFImpl for Likeness {
    fn name(&self) -> &str {
        match (self.is_negated, self.ignores_case) {
            (false, false) => "like",
            (false, true) => "ilike",
            (true, false) => "not like",
            (true, true) => "not ilike",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let [text, pattern] = kinds else { return plan_err!("{} takes two texts", self.name()) };
        let Some(kind) = like_coercion(text, pattern) else {
            return plan_err!("{} takes two texts, found {text} and {pattern}", self.name());
        };
        // Of a dictionary it looks at the texts.
        Ok(vec![if let DataType::Dictionary(_, value) = kind { *value } else { kind }; 2])
    }

    fn return_type(&self, _kinds: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        QueryStop::of(&args.config_options).stop.check()?;
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let [texts, patterns] = args.args.as_slice() else { return plan_err!("{} takes two texts", self.name()) };
        let (texts, patterns) = (texts.to_array(rows)?, patterns.to_array(rows)?);
        self.check(&patterns)?;
        let found = match (self.is_negated, self.ignores_case) {
            (false, false) => like(&texts, &patterns),
            (false, true) => ilike(&texts, &patterns),
            (true, false) => nlike(&texts, &patterns),
            (true, true) => nilike(&texts, &patterns),
        }?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}
