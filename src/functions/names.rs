//! Where a session is, as SQL asks for it: `current_database()`, `current_schema()`, `version()`.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Returns the functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [Name::Database, Name::Schema, Name::Version]
        .map(|name| ScalarUDF::from(NameFunction { name, signature: Signature::nullary(Volatility::Stable) }))
        .into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Database,
    Schema,
    Version,
}

impl Name {
    fn value(self, options: &ConfigOptions) -> String {
        match self {
            Self::Database => options.catalog.default_catalog.clone(),
            Self::Schema => options.catalog.default_schema.clone(),
            Self::Version => concat!("topline ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A function without arguments whose value is known before the first row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NameFunction {
    name: Name,
    signature: Signature,
}

impl ScalarUDFImpl for NameFunction {
    fn name(&self) -> &str {
        match self.name {
            Name::Database => "current_database",
            Name::Schema => "current_schema",
            Name::Version => "version",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _kinds: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(self.name.value(&arguments.config_options)))))
    }
}
