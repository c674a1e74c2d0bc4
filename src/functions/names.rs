//! Where a session is and whose, as SQL asks for it: `current_database()`, `current_schema()`, `current_user`,
//! `user_attribute('NAME')`, `version()`.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Who asks, as DataFusion carries it to planning and execution. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionUser {
    /// The name.
    pub name: Arc<str>,
    /// What else is known of the user, by name.
    pub attributes: Arc<BTreeMap<String, String>>,
    /// Whether the user sees what concerns other users.
    pub is_admin: bool,
}

impl SessionUser {
    /// Returns whoever runs topline, under a name.
    pub fn owner(name: &str) -> Self {
        Self { name: name.into(), attributes: Arc::default(), is_admin: true }
    }

    /// Returns whose queries the user may see and end; `None` is everyone's.
    pub fn queries(&self) -> Option<&str> {
        if self.is_admin { None } else { Some(&self.name) }
    }
}

impl ConfigExtension for SessionUser {
    const PREFIX: &'static str = "topline_user";
}

impl ExtensionOptions for SessionUser {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, _key: &str, _value: &str) -> Result<()> {
        plan_err!("the user of a session cannot be set")
    }

    /// None: it is no option that anyone sets.
    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

/// Returns the functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let names = [Name::Database, Name::Schema, Name::User, Name::Version]
        .map(|name| ScalarUDF::from(NameFunction { name, signature: Signature::nullary(Volatility::Stable) }));
    let attribute = AttributeFunction { signature: Signature::exact(vec![DataType::Utf8], Volatility::Stable) };
    names.into_iter().chain([ScalarUDF::from(attribute)]).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Database,
    Schema,
    User,
    Version,
}

impl Name {
    /// Returns the value; `None` where a plan is of no session.
    fn value(self, options: &ConfigOptions) -> Option<String> {
        match self {
            Self::Database => Some(options.catalog.default_catalog.clone()),
            Self::Schema => Some(options.catalog.default_schema.clone()),
            Self::User => options.extensions.get::<SessionUser>().map(|user| user.name.to_string()),
            Self::Version => Some(concat!("topline ", env!("CARGO_PKG_VERSION")).to_owned()),
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
            Name::User => "current_user",
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
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(self.name.value(&arguments.config_options))))
    }
}

/// `user_attribute(name)`: what is known of the user who asks; NULL where nothing of the name is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AttributeFunction {
    signature: Signature,
}

impl ScalarUDFImpl for AttributeFunction {
    fn name(&self) -> &str {
        "user_attribute"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _kinds: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Scalar(name)) = arguments.args.first() else {
            return plan_err!("user_attribute() takes the name of an attribute as a literal text");
        };
        let user = arguments.config_options.extensions.get::<SessionUser>();
        let value = name.try_as_str().flatten().and_then(|name| user?.attributes.get(name).cloned());
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(value)))
    }
}
