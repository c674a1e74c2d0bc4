//! Models whose rows go through a native operator.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, internal_err, plan_err};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableProviderFilterPushDown, TableType, col, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::domain::calendar::{MICROS_PER_DAY, add_months};
use crate::functions::attribution::credit::{CreditOperator, CreditOptions, Grain, credit_columns};
use crate::functions::attribution::eligible::{Beside, EligibleTouches};
use crate::functions::attribution::weights::Model;
use crate::functions::attribution::{CONVERSION_COLUMNS, LEAD_COLUMNS, ROLE_COLUMNS, SharedConversions};
use crate::functions::identity::first_touches::{FirstTouches, TOUCH_COLUMNS, first_touch_columns};
use crate::functions::identity::operator::{IdentityOperator, Subject};
use crate::functions::mrr::{ITEM_COLUMNS, MrrMonths, RATE_COLUMNS, mrr_columns};
use crate::functions::operator::OperatorExec;
use crate::functions::settings::session_settings;
use crate::models::sidecar::OperatorKind;

/// Columns of credit that are those of its conversion: filters on them choose conversions.
const OF_CONVERSION: [&str; 5] = ["month", "opportunity_id", "opportunity_type", "account_id", "is_first"];

/// A model's select, and the operator that its rows go through.
#[derive(Debug)]
pub(super) struct NativeTable {
    work: Work,
    subject: LogicalPlan,
    beside: Vec<LogicalPlan>,
    schema: SchemaRef,
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Identify(Subject),
    Credit(Grain),
    FirstTouches,
    MrrMonths,
}

impl NativeTable {
    pub(super) fn new(operator: OperatorKind, subject: LogicalPlan, beside: Vec<LogicalPlan>) -> Result<Self> {
        let work = match operator {
            OperatorKind::IdentifyAccounts => Work::Identify(Subject::Accounts),
            OperatorKind::IdentifyContacts => Work::Identify(Subject::Contacts),
            OperatorKind::IdentifyLeads => Work::Identify(Subject::Leads),
            OperatorKind::IdentifyCustomers => Work::Identify(Subject::Customers),
            OperatorKind::IdentifyTouches => Work::Identify(Subject::Touches),
            OperatorKind::FirstTouches => Work::FirstTouches,
            OperatorKind::MrrMonths => Work::MrrMonths,
            OperatorKind::Credit => Work::Credit(Grain::Touch),
            OperatorKind::CreditSums => Work::Credit(Grain::Sums),
        };
        let (fields, count) = match work {
            Work::Identify(whose) => {
                let own = subject.schema().as_arrow().fields().iter().map(|field| field.as_ref().clone());
                (own.chain(whose.added_columns()).collect(), whose.beside_columns().len())
            }
            Work::Credit(grain) => (credit_columns(grain), 3),
            Work::FirstTouches => (first_touch_columns(), Subject::Touches.beside_columns().len()),
            Work::MrrMonths => (mrr_columns(), 1),
        };
        if beside.len() != count {
            return plan_err!("the operator reads {count} tables beside its select, found {}", beside.len());
        }
        Ok(Self { work, subject, beside, schema: Arc::new(Schema::new(fields)) })
    }

    fn names(&self, projection: Option<&Vec<usize>>) -> Vec<String> {
        let all = self.schema.fields();
        match projection {
            Some(places) => places.iter().map(|place| all[*place].name().clone()).collect(),
            None => all.iter().map(|field| field.name().clone()).collect(),
        }
    }

    /// Returns the plans of these columns of the select, and of those of the tables beside it.
    async fn children(
        &self,
        state: &dyn Session,
        columns: &[&str],
        beside: &[&[&str]],
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let mut children = vec![physical(state, &self.subject, &[], columns).await?];
        for (plan, columns) in self.beside.iter().zip(beside) {
            children.push(physical(state, plan, &[], columns).await?);
        }
        Ok(children)
    }

    async fn identify(
        &self,
        whose: Subject,
        state: &dyn Session,
        names: &[String],
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let subject_schema = self.subject.schema().as_arrow();
        let is_needed =
            |field: &Field| names.contains(field.name()) || whose.clue_columns().contains(&field.name().as_str());
        let needed: Vec<&str> = subject_schema
            .fields()
            .iter()
            .filter(|field| is_needed(field))
            .map(|field| field.name().as_str())
            .collect();
        let mut children = vec![physical(state, &self.subject, filters, &needed).await?];
        for (plan, columns) in self.beside.iter().zip(whose.beside_columns()) {
            let is_asked =
                |column: &&&str| **column != "converted_contact_id" || names.iter().any(|name| name == "person_id");
            let columns: Vec<&str> = columns.iter().filter(is_asked).copied().collect();
            children.push(physical(state, plan, &[], &columns).await?);
        }
        let operator = IdentityOperator::new(whose, &children[0].schema(), names)?;
        Ok(Arc::new(OperatorExec::new(Arc::new(operator), children)))
    }

    async fn credit(
        &self,
        grain: Grain,
        state: &dyn Session,
        names: &[String],
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema: SchemaRef = Arc::new(Schema::new(
            names.iter().filter_map(|name| self.schema.field_with_name(name).ok().cloned()).collect::<Vec<_>>(),
        ));
        let (of_model, of_conversion): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| is_on(filter, &["model"]));
        let models = models_of(state, &of_model)?;
        if models.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let settings = session_settings(state.config_options());
        let day = MICROS_PER_DAY as f64;
        let lookback_micros = (settings.number("attribution.lookback_days") * day) as i64;
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
        let half_life_micros = settings.number("attribution.half_life_days") * day;
        let options = CreditOptions { models, lookback_micros, half_life_micros, grain };
        Ok(Arc::new(OperatorExec::new(Arc::new(CreditOperator::new(schema, shared, options)), vec![eligible])))
    }
}

#[async_trait]
impl TableProvider for NativeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let subject = self.subject.schema().as_arrow();
        let of_subject: Vec<&str> = subject.fields().iter().map(|field| field.name().as_str()).collect();
        let is_taken = |filter: &Expr| match self.work {
            // Rows of a table that is identified as a whole belong together: none may be left out before.
            Work::Identify(Subject::Touches) => is_on(filter, &of_subject),
            Work::Identify(_) | Work::FirstTouches | Work::MrrMonths => false,
            Work::Credit(_) => is_on(filter, &["model"]) || is_on(filter, &OF_CONVERSION),
        };
        Ok(filters
            .iter()
            .map(|filter| {
                if is_taken(filter) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let names = self.names(projection);
        let filters = filters.iter().cloned().map(without_qualifiers).collect::<Result<Vec<_>>>()?;
        match self.work {
            Work::Identify(whose) => self.identify(whose, state, &names, &filters).await,
            Work::Credit(grain) => self.credit(grain, state, &names, &filters).await,
            Work::FirstTouches => {
                let columns = [Subject::Touches.clue_columns(), &TOUCH_COLUMNS].concat();
                let children = self.children(state, &columns, Subject::Touches.beside_columns()).await?;
                Ok(Arc::new(OperatorExec::new(Arc::new(FirstTouches::new(&names)), children)))
            }
            Work::MrrMonths => {
                let children = self.children(state, &ITEM_COLUMNS, &[&RATE_COLUMNS]).await?;
                Ok(Arc::new(OperatorExec::new(Arc::new(MrrMonths::new(&names)), children)))
            }
        }
    }
}

/// Returns whether a filter reads these columns alone.
fn is_on(filter: &Expr, columns: &[&str]) -> bool {
    let read = filter.column_refs();
    !read.is_empty() && read.iter().all(|column| columns.contains(&column.name())) && !filter.is_volatile()
}

fn without_qualifiers(filter: Expr) -> Result<Expr> {
    let unqualified = filter.transform(|part| {
        Ok(match part {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    })?;
    Ok(unqualified.data)
}

/// Plans a part of a query.
///
/// Only the whole plan is optimized, and the part with it: rules that run a second time over what they have changed
/// before fail, or change it again.
async fn physical(
    state: &dyn Session,
    plan: &LogicalPlan,
    filters: &[Expr],
    columns: &[&str],
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut builder = LogicalPlanBuilder::from(plan.clone());
    if let Some(filter) = conjunction(filters.iter().cloned()) {
        builder = builder.filter(filter)?;
    }
    let plan = builder.project(columns.iter().map(|name| col(*name)))?.build()?;
    let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
        return internal_err!("a part of a query is planned outside the engine");
    };
    let state = SessionStateBuilder::new_from_existing(state.clone()).with_physical_optimizer_rules(Vec::new()).build();
    state.create_physical_plan(&plan).await
}

/// Returns the models that filters on the column `model` leave.
fn models_of(state: &dyn Session, filters: &[Expr]) -> Result<Vec<Model>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(Model::ALL.to_vec()) };
    let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(Model::ALL.map(Model::name)));
    let schema = Arc::new(Schema::new(vec![Field::new("model", names.data_type().clone(), false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![names])?;
    let predicate = state.create_physical_expr(filter, &DFSchema::try_from(schema)?)?;
    let is_left = predicate.evaluate(&batch)?.into_array(Model::ALL.len())?;
    let is_left = datafusion::common::cast::as_boolean_array(&is_left)?;
    Ok(Model::ALL.into_iter().zip(is_left).filter(|(_, left)| *left == Some(true)).map(|(model, _)| model).collect())
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
