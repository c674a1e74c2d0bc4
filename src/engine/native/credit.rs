//! Credit as a part of a plan: which touches, conversions and models a query asks for.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::{NativeTable, is_on, physical};
use crate::config::settings::Settings;
use crate::domain::calendar::{MICROS_PER_DAY, add_months};
use crate::engine::days::days_of;
use crate::functions::attribution::channel_credit::{ChannelCredit, ChannelModel, PATH_COLUMNS};
use crate::functions::attribution::credit::{CreditOperator, CreditOptions, Grain};
use crate::functions::attribution::eligible::{ACCOUNT, Beside, EligibleTouches};
use crate::functions::attribution::weights::Model;
use crate::functions::attribution::{CONVERSION_COLUMNS, LEAD_COLUMNS, ROLE_COLUMNS, SharedConversions};
use crate::functions::identity::numbered::{NumberedAccounts, NumberedTouches};
use crate::functions::identity::operator::Subject;
use crate::functions::operator::OperatorExec;
use crate::functions::settings::session_settings;

/// Columns of credit that are those of its conversion: filters on them choose conversions.
pub(super) const OF_CONVERSION: [&str; 5] = ["month", "opportunity_id", "opportunity_type", "account_id", "is_first"];

impl NativeTable {
    /// Plans credit by touch, of the models that the filters leave.
    pub(super) async fn credit(
        &self,
        grain: Grain,
        models: &[Model],
        state: &dyn Session,
        names: &[String],
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema_of(names);
        let (of_model, of_conversion): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| is_on(filter, &["model"]));
        let models = models_left(state, &of_model, models, Model::name)?;
        if models.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let settings = session_settings(state.config_options());
        let lookback_micros = lookback_micros(&settings);
        let beside = Beside {
            leads: models.iter().any(|model| model.has_lead_milestone()),
            roles: settings.text("attribution.touch_scope") == "contact_roles",
        };
        let has = |name: &str| names.iter().any(|other| other == name);
        let mut of_touches = vec!["touch_id", "touched_at", "live_account_id"];
        of_touches.extend((has("channel") || models.contains(&Model::LastNonDirect)).then_some("channel"));
        of_touches.extend(has("campaign_id").then_some("campaign_id"));
        of_touches.extend(beside.roles.then_some("person_id"));
        let mut of_conversions = CONVERSION_COLUMNS.to_vec();
        of_conversions.extend(beside.leads.then_some("created_at"));
        of_conversions.extend(["opportunity_type", "is_first"].into_iter().filter(|name| has(name)));
        let (first, last) = days_of(&of_conversion, "month");
        let calendar = settings.calendar();
        let from = first.map(|first| calendar.start_of_day(first).saturating_sub(lookback_micros));
        let to = last.map(|last| calendar.start_of_day(add_months(last, 1)));
        let mut children = vec![physical(state, &self.subject, &within(from, to), &of_touches).await?];
        children.push(physical(state, &self.beside[0], &of_conversion, &of_conversions).await?);
        if beside.leads {
            children.push(physical(state, &self.beside[1], &[], &LEAD_COLUMNS).await?);
        }
        if beside.roles {
            children.push(physical(state, &self.beside[2], &[], &ROLE_COLUMNS).await?);
        }
        let shared = SharedConversions::default();
        let eligible = EligibleTouches::new(&children[0].schema(), Arc::clone(&shared), lookback_micros, beside);
        let eligible = Arc::new(OperatorExec::new(Arc::new(eligible), children));
        let half_life_micros = settings.number("attribution.half_life_days") * MICROS_PER_DAY as f64;
        let options = CreditOptions { models, lookback_micros, half_life_micros, grain };
        Ok(Arc::new(OperatorExec::new(Arc::new(CreditOperator::new(schema, shared, options)), vec![eligible])))
    }

    /// Plans credit by channel, of the models that the filters leave.
    pub(super) async fn channel_credit(
        &self,
        state: &dyn Session,
        names: &[String],
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema_of(names);
        let models = models_left(state, filters, &ChannelModel::ALL, ChannelModel::name)?;
        if models.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let of_touches = [Subject::Touches.clue_columns(), &PATH_COLUMNS].concat();
        let mut touches = vec![physical(state, &self.subject, &[], &of_touches).await?];
        for (plan, columns) in self.beside.iter().zip(Subject::Touches.beside_columns()) {
            touches.push(physical(state, plan, &[], columns).await?);
        }
        let conversions = &self.beside[Subject::Touches.beside_columns().len()];
        let conversions = physical(state, conversions, &[], &CONVERSION_COLUMNS).await?;
        let accounts = NumberedAccounts::default();
        let numbered = NumberedTouches::new(&touches[0].schema(), ACCOUNT, &PATH_COLUMNS, accounts.clone());
        let numbered = Arc::new(OperatorExec::new(Arc::new(numbered), touches));
        let lookback_micros = lookback_micros(&session_settings(state.config_options()));
        let operator = ChannelCredit::new(schema, accounts, models, lookback_micros);
        Ok(Arc::new(OperatorExec::new(Arc::new(operator), vec![numbered, conversions])))
    }

    fn schema_of(&self, names: &[String]) -> SchemaRef {
        let fields = names.iter().filter_map(|name| self.schema.field_with_name(name).ok().cloned());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

fn lookback_micros(settings: &Settings) -> i64 {
    (settings.number("attribution.lookback_days") * MICROS_PER_DAY as f64) as i64
}

/// Returns the models that filters on the column `model` leave.
fn models_left<M: Copy>(
    state: &dyn Session,
    filters: &[Expr],
    models: &[M],
    name: fn(M) -> &'static str,
) -> Result<Vec<M>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(models.to_vec()) };
    let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(models.iter().map(|model| name(*model))));
    let schema = Arc::new(Schema::new(vec![Field::new("model", names.data_type().clone(), false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![names])?;
    let predicate = state.create_physical_expr(filter, &DFSchema::try_from(schema)?)?;
    let is_left = predicate.evaluate(&batch)?.into_array(models.len())?;
    let is_left = datafusion::common::cast::as_boolean_array(&is_left)?;
    Ok(models.iter().zip(is_left).filter(|(_, left)| *left == Some(true)).map(|(model, _)| *model).collect())
}

/// Returns the filters that leave touches from the first instant to before the second.
fn within(from: Option<i64>, to: Option<i64>) -> Vec<Expr> {
    let instant = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    let (from, to) =
        (from.map(|from| col("touched_at").gt_eq(instant(from))), to.map(|to| col("touched_at").lt(instant(to))));
    from.into_iter().chain(to).collect()
}
