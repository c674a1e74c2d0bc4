//! `setting('section.key')`: a setting of the session, folded to a literal when the query is planned.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::config::settings::{Settings, Value, unknown_setting};
use crate::domain::calendar::Calendar;

/// The settings of a session as DataFusion carries them to planning and execution.
#[derive(Debug, Clone, Default)]
pub struct SessionSettings(pub Settings);

impl ConfigExtension for SessionSettings {
    const PREFIX: &'static str = "topline";
}

impl ExtensionOptions for SessionSettings {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.0 =
            self.0.with(key, value).map_err(|fault| datafusion::error::DataFusionError::External(Box::new(fault)))?;
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        self.0
            .iter()
            .map(|(spec, value)| ConfigEntry {
                key: format!("topline.{}", spec.name),
                value: Some(value.to_string()),
                description: spec.description,
            })
            .collect()
    }
}

/// Returns the settings that a plan runs under.
pub fn session_settings(options: &ConfigOptions) -> Settings {
    options.extensions.get::<SessionSettings>().map(|settings| settings.0.clone()).unwrap_or_default()
}

/// Returns the calendar that a plan runs under.
pub fn session_calendar(options: &ConfigOptions) -> Calendar {
    session_settings(options).calendar()
}

/// Returns the type of instants everywhere: microseconds, UTC.
pub fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn scalar_of(value: &Value) -> ScalarValue {
    match value {
        Value::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Integer(number) => ScalarValue::Int64(Some(*number)),
        Value::Number(number) => ScalarValue::Float64(Some(*number)),
        Value::Instant(micros) => ScalarValue::TimestampMicrosecond(*micros, Some("UTC".into())),
    }
}

/// `setting(name)`: text, bigint, double or instant, as the setting is declared.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SettingFunction {
    signature: Signature,
}

impl SettingFunction {
    /// Returns the function.
    pub fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8], Volatility::Stable) }
    }
}

impl Default for SettingFunction {
    fn default() -> Self {
        Self::new()
    }
}

impl ScalarUDFImpl for SettingFunction {
    fn name(&self) -> &str {
        "setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        plan_err!("setting() takes the name of a setting as a literal text")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(Some(Some(name))) =
            arguments.scalar_arguments.first().map(|value| value.map(|text| text.try_as_str().flatten()))
        else {
            return plan_err!("setting() takes the name of a setting as a literal text");
        };
        let settings = Settings::default();
        let Some(value) = settings.get(name) else {
            return Err(datafusion::error::DataFusionError::External(Box::new(unknown_setting(name))));
        };
        Ok(Arc::new(Field::new(self.name(), scalar_of(value).data_type(), false)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let settings = session_settings(&arguments.config_options);
        let name = match arguments.args.first() {
            Some(ColumnarValue::Scalar(text)) => text.try_as_str().flatten().unwrap_or_default().to_owned(),
            _ => return plan_err!("setting() takes the name of a setting as a literal text"),
        };
        match settings.get(&name) {
            Some(value) => Ok(ColumnarValue::Scalar(scalar_of(value))),
            None => Err(datafusion::error::DataFusionError::External(Box::new(unknown_setting(&name)))),
        }
    }
}
