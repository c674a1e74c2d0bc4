//! Conditions that read no column stay where they are until they are decided.
//!
//! DataFusion would push one below an aggregate without groups, which has a row of nothing: `select * from (select 'a' as
//! kind, count(*) from accounts) where kind = 'b'` then answers a row. Left above, it is decided in the optimizer's next
//! round, and a part of a union that cannot have rows is left out as a whole, with all that it reads.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

/// Returns the rules of DataFusion's optimizer, with this one in place of its own.
pub(super) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let own: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(PushDownConditions::default());
    let rules = Optimizer::new().rules.into_iter();
    rules.map(|rule| if rule.name() == own.name() { Arc::clone(&own) } else { rule }).collect()
}

#[derive(Debug, Default)]
struct PushDownConditions {
    of_columns: PushDownFilter,
}

impl OptimizerRule for PushDownConditions {
    fn name(&self) -> &str {
        self.of_columns.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.of_columns.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else { return self.of_columns.rewrite(plan, config) };
        let parts = split_conjunction_owned(filter.predicate.clone());
        let (of_columns, constant): (Vec<Expr>, Vec<Expr>) =
            parts.into_iter().partition(|part| !part.column_refs().is_empty());
        let Some(constant) = conjunction(constant) else {
            return self.of_columns.rewrite(LogicalPlan::Filter(filter), config);
        };
        let Some(of_columns) = conjunction(of_columns) else {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        };
        let below = LogicalPlan::Filter(Filter::new(of_columns, filter.input));
        Ok(Transformed::yes(LogicalPlan::Filter(Filter::new(constant, Arc::new(below)))))
    }
}
