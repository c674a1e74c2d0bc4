//! Unions, one branch after the other: the engine starts every branch at once, and each would keep its hash tables until
//! its rows are taken.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary};
use futures::TryStreamExt;

use crate::functions::operator::{Operator, OperatorExec};

/// Makes unions whose order nobody counts on run their branches in turn.
#[derive(Debug)]
pub(super) struct BranchesInTurn;

impl PhysicalOptimizerRule for BranchesInTurn {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, options: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        in_turn(plan, Order::IsFree, options.execution.target_partitions)
    }

    fn name(&self) -> &str {
        "branches_in_turn"
    }

    fn schema_check(&self) -> bool {
        KEEPS_THE_SCHEMA
    }
}

/// Whether something above a node counts on an order of the rows in each of its partitions.
///
/// A branch whose rows have one value in a column is ordered by it without being so: merged with another it is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    IsFree,
    IsKept,
}

fn in_turn(node: Arc<dyn ExecutionPlan>, order: Order, threads: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let (needed, kept) = (node.required_input_ordering(), node.maintains_input_order());
    let mixes = node.is::<RepartitionExec>() || node.is::<CoalescePartitionsExec>();
    let children = node.children().into_iter().enumerate().map(|(place, child)| {
        let is_kept = needed[place].is_some() || if mixes { kept[place] } else { order == Order::IsKept };
        in_turn(Arc::clone(child), if is_kept { Order::IsKept } else { Order::IsFree }, threads)
    });
    let children = children.collect::<Result<Vec<_>>>()?;
    if node.is::<UnionExec>() && order == Order::IsFree {
        let mut equivalences = node.equivalence_properties().clone();
        equivalences.clear_orderings();
        equivalences.clear_per_partition_constants();
        let operator = TakeTurns { schema: node.schema(), equivalences, threads };
        return Ok(Arc::new(OperatorExec::new(Arc::new(operator), children)));
    }
    replace_children_if_necessary(node, children)
}

/// The engine may check that the rule does not change the columns.
const KEEPS_THE_SCHEMA: bool = true;

/// The rows of all children in lanes, each of which goes from one child to the next.
///
/// Partitions of one child can wait for each other, as those of a hash join do until its build side is read. So they are
/// in lanes of their own, and all lanes go through the children in one order.
#[derive(Debug)]
struct TakeTurns {
    schema: SchemaRef,
    /// What nodes above may have been planned for.
    equivalences: EquivalenceProperties,
    threads: usize,
}

impl Operator for TakeTurns {
    fn name(&self) -> &'static str {
        "BranchesInTurn"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn equivalences(&self) -> EquivalenceProperties {
        self.equivalences.clone()
    }

    fn streamed_child(&self) -> Option<usize> {
        // Every child is streamed.
        None
    }

    fn partitions(&self, children: &[Arc<dyn ExecutionPlan>]) -> usize {
        let widest = children.iter().map(|child| child.output_partitioning().partition_count()).max();
        widest.unwrap_or(1).max(self.threads)
    }

    fn execute(
        &self,
        children: &[Arc<dyn ExecutionPlan>],
        lane: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let lanes = self.partitions(children);
        // Partitions go round, so that children of one partition do not all wait in the first lane.
        let partitions = children.iter().flat_map(|child| {
            (0..child.output_partitioning().partition_count()).map(|partition| (Arc::clone(child), partition))
        });
        let own: Vec<_> = partitions.enumerate().filter(|(place, _)| place % lanes == lane).collect();
        let rows = futures::stream::iter(own.into_iter().map(Ok))
            .and_then(move |(_, (child, partition))| std::future::ready(child.execute(partition, Arc::clone(&context))))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::record_batch::RecordBatch;
    use futures::TryStreamExt;

    use crate::config::{Config, Environment};
    use crate::engine::Engine;

    /// Branches of unequal partitions, joined with what both read: hash joins wait for each other inside a branch.
    const UNEQUAL: &str = "select count(*) as rows from (
        select touches.touch_id from campaign.touches as touches
        inner join crm.accounts as accounts on accounts.account_id = touches.account_id
        union all select account_id from (select * from crm.accounts union all select * from crm.accounts) as both
        union all select 'one'
        union all select touches.touch_id from campaign.touches as touches
        inner join crm.accounts as accounts on accounts.account_id = touches.account_id)";

    #[tokio::test(flavor = "multi_thread")]
    async fn every_branch_gives_all_its_rows() {
        let engine =
            Engine::open(Config::sample(&Environment::default()).expect("the sample")).await.expect("it opens");
        let count = async |sql: &str| -> i64 {
            let rows: Vec<RecordBatch> =
                engine.session().query(sql).await.expect("it plans").try_collect().await.expect("it runs");
            let count = rows[0].column(0);
            arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(count).value(0)
        };
        let joined = count(
            "select count(*) as rows from campaign.touches as touches
             inner join crm.accounts as accounts on accounts.account_id = touches.account_id",
        )
        .await;
        let accounts = count("select count(*) as rows from crm.accounts").await;
        assert!(joined > 0 && accounts > 0);
        assert_eq!(count(UNEQUAL).await, 2 * joined + 2 * accounts + 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_window_may_count_on_what_has_one_value_in_all_branches() {
        let engine =
            Engine::open(Config::sample(&Environment::default()).expect("the sample")).await.expect("it opens");
        let sql = "select kind, id, lag(at) over (partition by kind, id order by at) as before from (
            select 'a' as kind, account_id as id, created_at as at from crm.accounts
            union all select 'a', contact_id, created_at from crm.contacts) as both";
        let batches: Vec<RecordBatch> =
            engine.session().query(sql).await.expect("it plans").try_collect().await.expect("it runs");
        assert!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() > 100);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_order_is_kept_across_branches() {
        let engine =
            Engine::open(Config::sample(&Environment::default()).expect("the sample")).await.expect("it opens");
        let sql = "select kind, id from (select 'b' as kind, account_id as id from crm.accounts
            union all select 'a', contact_id from crm.contacts
            union all select 'c', lead_id from crm.leads) as all_of_them order by kind, id";
        let batches: Vec<RecordBatch> =
            engine.session().query(sql).await.expect("it plans").try_collect().await.expect("it runs");
        let rows: Vec<(String, String)> = batches
            .iter()
            .flat_map(|batch| {
                let texts = |place: usize| arrow::array::AsArray::as_string::<i32>(batch.column(place)).clone();
                let (kinds, ids) = (texts(0), texts(1));
                (0..batch.num_rows()).map(move |row| (kinds.value(row).to_owned(), ids.value(row).to_owned()))
            })
            .collect();
        assert!(rows.len() > 300);
        assert!(rows.is_sorted());
    }
}
