//! `attribution(model, lookback_days, half_life_days)`: the rows of `metrics.attribution` under other parameters.

use std::sync::{Arc, Weak};

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableType, col, lit};
use datafusion::physical_plan::ExecutionPlan;

use super::access::wall::Wall;
use super::native::{physical, without_qualifiers};
use super::state::{Shared, with_settings};
use crate::catalog::TableId;
use crate::config::settings::{Bounds, Settings, TOUCH_MODELS, spec_of};
use crate::error::{Error, ErrorKind};
use crate::functions::settings::session_settings;

/// The name under which SQL calls it, which is that of the view too.
pub(super) const NAME: &str = "attribution";

/// The call as a hint shows it.
const SIGNATURE: &str = "attribution(model, lookback_days, half_life_days)";

/// The arguments after the model, with the settings that they stand in for.
const PARAMETERS: [(&str, &str); 2] =
    [("lookback_days", "attribution.lookback_days"), ("half_life_days", "attribution.half_life_days")];

/// Returns the view that the function plans.
pub(super) fn view() -> TableId {
    TableId { schema: super::DEFAULT_SCHEMA.to_owned(), name: NAME.to_owned() }
}

/// The function.
#[derive(Debug)]
pub(super) struct AttributionFunction {
    shared: Weak<Shared>,
}

impl AttributionFunction {
    pub(super) fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }
}

impl TableFunctionImpl for AttributionFunction {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let parameters = parameters(arguments.exprs()).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let view = self.shared.upgrade().and_then(|shared| shared.known(&view()));
        let Some(view) = view else { return internal_err!("{NAME}() is called before its view is planned") };
        let schema = view.schema();
        if view.is::<Wall>() {
            return Ok(Arc::new(Call { rows: Rows::BehindWall(view), schema, parameters }));
        }
        let Some(plan) = view.get_logical_plan() else { return internal_err!("{NAME} is no view") };
        Ok(Arc::new(Call { rows: Rows::OfPlan(plan.into_owned()), schema, parameters }))
    }
}

/// What a call asks for other than the view under the settings of the session.
#[derive(Debug, Default, PartialEq)]
struct Parameters {
    model: Option<String>,
    settings: Vec<(&'static str, String)>,
}

/// Returns what the arguments ask for; NULL and what is left out changes nothing.
fn parameters(arguments: &[Expr]) -> crate::error::Result<Parameters> {
    let (mut problems, mut found) = (Vec::new(), Parameters::default());
    if arguments.len() > 1 + PARAMETERS.len() {
        problems.push(format!("expected up to {} arguments, found {}", 1 + PARAMETERS.len(), arguments.len()));
    }
    let value_of = |argument: &Expr| match argument {
        Expr::Literal(value, _) => Ok(value.clone()),
        other => Err(format!("expected a literal, found {other}")),
    };
    if let Some(argument) = arguments.first() {
        let models = Bounds::OneOf(&TOUCH_MODELS);
        match value_of(argument) {
            Ok(value) if value.is_null() => {}
            Ok(value) => match value.try_as_str().flatten().filter(|name| TOUCH_MODELS.contains(name)) {
                Some(name) => found.model = Some(name.to_owned()),
                None => problems.push(format!("model: expected {models}, found {}", shown(&value))),
            },
            Err(problem) => problems.push(format!("model: {problem}")),
        }
    }
    for ((name, setting), argument) in PARAMETERS.iter().zip(arguments.iter().skip(1)) {
        match value_of(argument) {
            Ok(value) if value.is_null() => {}
            Ok(value) => match number(&value).filter(|text| Settings::default().with(setting, text).is_ok()) {
                Some(text) => found.settings.push((*setting, text)),
                None => {
                    let bounds = spec_of(setting).map_or(String::new(), |spec| spec.bounds.to_string());
                    problems.push(format!("{name}: expected {bounds}, found {}", shown(&value)));
                }
            },
            Err(problem) => problems.push(format!("{name}: {problem}")),
        }
    }
    let problems = problems.into_iter().map(|problem| format!("{NAME}(): {problem}")).collect();
    match Error::list(ErrorKind::Argument, "the arguments are wrong", problems) {
        Some(error) => {
            Err(error.with_hint(format!("call {SIGNATURE}; NULL stands for all models, or for the setting")))
        }
        None => Ok(found),
    }
}

/// Returns a number as a setting reads it.
fn number(value: &ScalarValue) -> Option<String> {
    if !value.data_type().is_numeric() {
        return None;
    }
    match value.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(Some(number))) => Some(number.to_string()),
        _ => None,
    }
}

fn shown(value: &ScalarValue) -> String {
    match value.try_as_str().flatten() {
        Some(text) => format!("\"{text}\""),
        None => number(value).unwrap_or_else(|| value.to_string()),
    }
}

/// Where the rows of the view come from.
#[derive(Debug)]
enum Rows {
    /// Its plan, which becomes part of the query's.
    OfPlan(LogicalPlan),
    /// The view, for those who may not look into it.
    BehindWall(Arc<dyn TableProvider>),
}

/// One call over the view.
#[derive(Debug)]
struct Call {
    rows: Rows,
    schema: SchemaRef,
    parameters: Parameters,
}

#[async_trait]
impl TableProvider for Call {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        if let Rows::BehindWall(view) = &self.rows {
            return view.supports_filters_pushdown(filters);
        }
        let of_filter = |filter: &&Expr| match filter.is_volatile() {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Exact,
        };
        Ok(filters.iter().map(of_filter).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return internal_err!("{NAME}() is planned outside the engine");
        };
        let mut settings = session_settings(state.config_options());
        for (name, value) in &self.parameters.settings {
            settings = settings.with(name, value).map_err(|error| DataFusionError::External(Box::new(error)))?;
        }
        let state = with_settings(state, settings);
        let mut filters = filters.iter().cloned().map(without_qualifiers).collect::<Result<Vec<_>>>()?;
        filters.extend(self.parameters.model.as_ref().map(|model| col("model").eq(lit(model.clone()))));
        let plan = match &self.rows {
            Rows::OfPlan(plan) => plan,
            Rows::BehindWall(view) => match view.downcast_ref::<Wall>() {
                Some(wall) => return wall.rows(&state, projection, &filters).await,
                None => return internal_err!("{NAME} is no view behind a wall"),
            },
        };
        let fields = self.schema.fields();
        let columns: Vec<&str> = match projection {
            Some(places) => places.iter().map(|place| fields[*place].name().as_str()).collect(),
            None => fields.iter().map(|field| field.name().as_str()).collect(),
        };
        physical(&state, plan, &filters, &columns).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Expr {
        lit(value.to_owned())
    }

    #[test]
    fn null_and_what_is_left_out_stand_for_the_settings() {
        assert_eq!(parameters(&[]).expect("no argument is needed"), Parameters::default());
        let null = || lit(ScalarValue::Null);
        assert_eq!(parameters(&[null(), null(), null()]).expect("each may be NULL"), Parameters::default());
        let Parameters { model, settings } =
            parameters(&[text("linear"), lit(30), lit(0.5)]).expect("they are within bounds");
        assert_eq!(model.as_deref(), Some("linear"));
        let expected = [("attribution.lookback_days", "30"), ("attribution.half_life_days", "0.5")];
        assert_eq!(settings, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn every_wrong_argument_is_named_at_once() {
        let error = parameters(&[text("markov"), lit(0), text("7"), lit(1)]).expect_err("four are wrong");
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert_eq!(
            error.problems().collect::<Vec<_>>(),
            [
                "attribution(): expected up to 3 arguments, found 4",
                "attribution(): model: expected one of first_touch, last_touch, last_non_direct, linear, position_based, \
                    time_decay, u_shaped_hubspot, u_shaped_marketo, w_shaped, full_path, found \"markov\"",
                "attribution(): lookback_days: expected a number above 0 up to 3650, found 0",
                "attribution(): half_life_days: expected a number above 0 up to 3650, found \"7\"",
            ]
        );
    }

    #[test]
    fn an_argument_is_a_literal() {
        let error = parameters(&[col("model")]).expect_err("a column is no literal");
        assert_eq!(error.message(), "attribution(): model: expected a literal, found model");
    }
}
