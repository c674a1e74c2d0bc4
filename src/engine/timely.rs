//! Planning that comes to an end, and keeps nobody waiting: the engine's rules know of no stop, and a text of some
//! kilobytes can keep them busy for minutes. Each looks at the query's stop before it begins, those of the optimizer before
//! each step of the plan.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{Analyzer, AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::conditions::optimizer_rules;
use crate::functions::stop::QueryStop;

/// Returns a builder whose rules of all kinds are the engine's, with a look at the stop.
pub(super) fn with_timely_rules(builder: SessionStateBuilder) -> SessionStateBuilder {
    let (mut analyzer, mut optimizer, mut physical) = (Analyzer::new().rules, optimizer_rules(), physical_rules());
    analyzer.iter_mut().for_each(|rule| *rule = Arc::new(Timely(Arc::clone(rule))));
    optimizer.iter_mut().for_each(|rule| *rule = Arc::new(Timely(Arc::clone(rule))));
    physical.iter_mut().for_each(|rule| *rule = Arc::new(Timely(Arc::clone(rule))));
    builder.with_analyzer_rules(analyzer).with_optimizer_rules(optimizer).with_physical_optimizer_rules(physical)
}

fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    PhysicalOptimizer::new().rules
}

/// Does work that computes without giving way, such as planning. What else has to be done on its thread goes on
/// meanwhile on another; what the work waits for keeps no thread.
pub async fn apart<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let has_others = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    poll_fn(|context| match has_others {
        true => block_in_place(|| work.as_mut().poll(context)),
        false => work.as_mut().poll(context),
    })
    .await
}

/// A rule with a look at the stop before it begins.
#[derive(Debug)]
struct Timely<R: ?Sized>(Arc<R>);

fn look(options: &ConfigOptions) -> Result<()> {
    QueryStop::of(options).stop.check()
}

impl AnalyzerRule for Timely<dyn AnalyzerRule + Send + Sync> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        look(options)?;
        self.0.analyze(plan, options)
    }
}

impl OptimizerRule for Timely<dyn OptimizerRule + Send + Sync> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        look(&config.options())?;
        self.0.rewrite(plan, config)
    }
}

impl PhysicalOptimizerRule for Timely<dyn PhysicalOptimizerRule + Send + Sync> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, options: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        look(options)?;
        self.0.optimize(plan, options)
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        look(context.config_options())?;
        self.0.optimize_with_context(plan, context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::config::{Config, Environment};
    use crate::engine::Engine;
    use crate::error::ErrorKind;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_computes_keeps_no_other_waiting() {
        let ((begun, has_begun), (sender, receiver)) = (tokio::sync::oneshot::channel(), mpsc::channel());
        let computing = tokio::spawn(apart(async move {
            let _ = begun.send(());
            receiver.recv()
        }));
        has_begun.await.expect("it began");
        // The one thread computes until this one has its turn.
        tokio::spawn(async move { sender.send(7) }).await.expect("no panic").expect("somebody waits");
        assert_eq!(computing.await.expect("no panic"), Ok(7));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_waits_can_be_given_up() {
        let waiting = apart(std::future::pending::<()>());
        tokio::select! {
            biased;
            () = waiting => unreachable!("nothing ends it"),
            () = tokio::task::yield_now() => {}
        }
    }

    #[tokio::test]
    async fn planning_ends_with_its_query() {
        let engine =
            Engine::open(Config::sample(&Environment::default()).expect("the sample")).await.expect("it opens");
        let statement = engine.session().prepare("select account_id from crm.accounts").await.expect("it plans");
        statement.stop().set();
        let error = statement.physical_plan(None).await.expect_err("nobody waits for it");
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
}
