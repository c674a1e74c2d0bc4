//! Models whose rows go through a native operator.

mod credit;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, internal_err, plan_err};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, col};
use datafusion::physical_plan::ExecutionPlan;

use crate::functions::attribution::channel_credit::channel_credit_columns;
use crate::functions::attribution::credit::{Grain, credit_columns};
use crate::functions::attribution::weights::Model;
use crate::functions::identity::first_touches::{FirstTouches, TOUCH_COLUMNS, first_touch_columns};
use crate::functions::identity::operator::{IdentityOperator, Subject};
use crate::functions::mrr::{ITEM_COLUMNS, MrrPeriods, Period, mrr_columns, rate_columns};
use crate::functions::operator::OperatorExec;
use crate::models::sidecar::OperatorKind;

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
    Credit(Grain, &'static [Model]),
    ChannelCredit,
    FirstTouches,
    Mrr(Period),
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
            OperatorKind::MrrMonths => Work::Mrr(Period::Month),
            OperatorKind::MrrWeeks => Work::Mrr(Period::Week),
            OperatorKind::Credit => Work::Credit(Grain::Touch, &Model::ALL),
            OperatorKind::CreditSums => Work::Credit(Grain::Sums, &Model::ALL),
            OperatorKind::PipelineCredit => Work::Credit(Grain::Touch, Model::OF_PIPELINE),
            OperatorKind::PipelineCreditSums => Work::Credit(Grain::Sums, Model::OF_PIPELINE),
            OperatorKind::ChannelCredit => Work::ChannelCredit,
        };
        let (fields, count) = match work {
            Work::Identify(whose) => {
                let own = subject.schema().as_arrow().fields().iter().map(|field| field.as_ref().clone());
                (own.chain(whose.added_columns()).collect(), whose.beside_columns().len())
            }
            Work::Credit(grain, _) => (credit_columns(grain), 3),
            Work::ChannelCredit => (channel_credit_columns(), Subject::Touches.beside_columns().len() + 1),
            Work::FirstTouches => (first_touch_columns(), Subject::Touches.beside_columns().len()),
            Work::Mrr(period) => (mrr_columns(period), 1),
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

    /// Returns the select, then what is read beside it.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &LogicalPlan> {
        std::iter::once(&self.subject).chain(&self.beside)
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
            Work::Identify(_) | Work::FirstTouches | Work::Mrr(_) => false,
            Work::Credit(..) => is_on(filter, &["model"]) || is_on(filter, &credit::OF_CONVERSION),
            // A month's rows depend on the paths of all months.
            Work::ChannelCredit => is_on(filter, &["model"]),
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
            Work::Credit(grain, models) => self.credit(grain, models, state, &names, &filters).await,
            Work::ChannelCredit => self.channel_credit(state, &names, &filters).await,
            Work::FirstTouches => {
                let columns = [Subject::Touches.clue_columns(), &TOUCH_COLUMNS].concat();
                let children = self.children(state, &columns, Subject::Touches.beside_columns()).await?;
                Ok(Arc::new(OperatorExec::new(Arc::new(FirstTouches::new(&names)), children)))
            }
            Work::Mrr(period) => {
                let children = self.children(state, &ITEM_COLUMNS, &[&rate_columns(period)]).await?;
                Ok(Arc::new(OperatorExec::new(Arc::new(MrrPeriods::new(period, &names)), children)))
            }
        }
    }
}

/// Returns whether a filter reads these columns alone.
fn is_on(filter: &Expr, columns: &[&str]) -> bool {
    let read = filter.column_refs();
    !read.is_empty() && read.iter().all(|column| columns.contains(&column.name())) && !filter.is_volatile()
}

pub(super) fn without_qualifiers(filter: Expr) -> Result<Expr> {
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
pub(super) async fn physical(
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
