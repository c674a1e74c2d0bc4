//! Whether a key is unique, without holding the keys: their hashes are compared, and keys only where hashes are equal.

use std::sync::Arc;

use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::TryStreamExt;

/// What comparing hashes says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No two hashes are equal, so no two keys are.
    Unique,
    /// Two hashes are equal, or there was no memory for all of them: the keys themselves must be compared.
    Doubtful,
}

/// Reads the key columns that a plan gives, all of them, and compares the hashes of its rows.
///
/// # Errors
/// Whatever reading gives; no memory for the hashes is no error.
pub(super) async fn verdict(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<Verdict> {
    // One seed for all partitions, another for each table: nobody can make keys whose hashes are equal for long.
    let seed = RandomState::default();
    let tasks: Vec<_> = (0..plan.output_partitioning().partition_count())
        .map(|partition| {
            let reservation = MemoryConsumer::new("unique keys").register(context.memory_pool());
            let rows = plan.execute(partition, Arc::clone(&context))?;
            Ok(SpawnedTask::spawn(hashes_of(rows, seed.clone(), reservation)))
        })
        .collect::<Result<_>>()?;
    let mut all: Vec<u64> = Vec::new();
    let mut held = Vec::new();
    for task in tasks {
        let joined = task.join().await.map_err(|cause| DataFusionError::Execution(cause.to_string()))?;
        let (hashes, reservation) = match joined {
            Err(fault) if matches!(fault.find_root(), DataFusionError::ResourcesExhausted(_)) => {
                return Ok(Verdict::Doubtful);
            }
            other => other?,
        };
        if all.is_empty() {
            all = hashes;
        } else {
            all.extend_from_slice(&hashes);
        }
        held.push(reservation);
    }
    let sorted = SpawnedTask::spawn_blocking(move || {
        all.sort_unstable();
        all
    });
    let sorted = sorted.join().await.map_err(|cause| DataFusionError::Execution(cause.to_string()))?;
    let has_equal = sorted.windows(2).any(|pair| pair[0] == pair[1]);
    Ok(if has_equal { Verdict::Doubtful } else { Verdict::Unique })
}

async fn hashes_of(
    mut rows: SendableRecordBatchStream,
    seed: RandomState,
    reservation: MemoryReservation,
) -> Result<(Vec<u64>, MemoryReservation)> {
    let (mut hashes, mut of_batch) = (Vec::new(), Vec::new());
    while let Some(batch) = rows.try_next().await? {
        reservation.try_grow(batch.num_rows() * 2 * size_of::<u64>())?;
        of_batch.clear();
        of_batch.resize(batch.num_rows(), 0);
        create_hashes(batch.columns(), &seed, &mut of_batch)?;
        hashes.extend_from_slice(&of_batch);
    }
    Ok((hashes, reservation))
}
