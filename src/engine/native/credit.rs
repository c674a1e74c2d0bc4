//! Credit as a part of a plan: which touches, conversions and models a query asks for.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::{NativeTable, is_on, physical};
use crate::config::settings::Settings;
use crate::domain::calendar::{MICROS_PER_DAY, add_months};
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
        let span = months_of(&of_conversion).map(|(first, last)| {
            let calendar = settings.calendar();
            (calendar.start_of_day(first).saturating_sub(lookback_micros), calendar.start_of_day(add_months(last, 1)))
        });
        let mut children = vec![physical(state, &self.subject, &within(span), &of_touches).await?];
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

/// Returns the first and the last month that filters leave, where they say both.
fn months_of(filters: &[Expr]) -> Option<(i32, i32)> {
    let (mut first, mut last) = (None, None);
    let mut at_least = |day: i32| first = Some(first.map_or(day, |known: i32| known.max(day)));
    let mut at_most = |day: i32| last = Some(last.map_or(day, |known: i32| known.min(day)));
    let mut open: Vec<&Expr> = filters.iter().collect();
    while let Some(filter) = open.pop() {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                open.extend([left.as_ref(), right.as_ref()])
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_month(left) => match (op, day(right)) {
                (Operator::Eq, Some(day)) => {
                    at_least(day);
                    at_most(day);
                }
                (Operator::Gt | Operator::GtEq, Some(day)) => at_least(day),
                (Operator::Lt | Operator::LtEq, Some(day)) => at_most(day),
                _ => {}
            },
            Expr::Between(between) if !between.negated && is_month(&between.expr) => {
                if let Some(day) = day(&between.low) {
                    at_least(day);
                }
                if let Some(day) = day(&between.high) {
                    at_most(day);
                }
            }
            Expr::InList(list) if !list.negated && is_month(&list.expr) => {
                if let Some(days) = list.list.iter().map(day).collect::<Option<Vec<_>>>() {
                    days.iter().min().copied().into_iter().for_each(&mut at_least);
                    days.iter().max().copied().into_iter().for_each(&mut at_most);
                }
            }
            _ => {}
        }
    }
    first.zip(last)
}

fn is_month(part: &Expr) -> bool {
    matches!(part, Expr::Column(column) if column.name() == "month")
}

fn day(part: &Expr) -> Option<i32> {
    match part {
        Expr::Literal(ScalarValue::Date32(day), _) => *day,
        _ => None,
    }
}

/// Returns the filter that leaves touches from the first instant to before the second.
fn within(span: Option<(i64, i64)>) -> Vec<Expr> {
    let instant = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    match span {
        Some((from, to)) => vec![col("touched_at").gt_eq(instant(from)), col("touched_at").lt(instant(to))],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(day: i32) -> Expr {
        lit(ScalarValue::Date32(Some(day)))
    }

    #[test]
    fn months_are_found_where_filters_say_both_ends() {
        assert_eq!(months_of(&[col("month").eq(date(31))]), Some((31, 31)));
        assert_eq!(months_of(&[col("month").gt_eq(date(31)).and(col("month").lt(date(90)))]), Some((31, 90)));
        assert_eq!(months_of(&[col("month").in_list(vec![date(59), date(0)], false)]), Some((0, 59)));
        assert_eq!(months_of(&[col("month").gt_eq(date(31))]), None);
        assert_eq!(months_of(&[col("month").eq(date(31)).or(col("is_first"))]), None);
    }
}
