//! How many bytes of files queries read, as their scans count them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::physical_plan::ExecutionPlan;

/// The count that a scan of Parquet files keeps.
const BYTES_SCANNED: &str = "bytes_scanned";

/// The bytes that the queries of a session and of its copies have read.
#[derive(Debug, Clone, Default)]
pub(super) struct Scanned(Arc<AtomicU64>);

impl Scanned {
    /// Returns the bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts what a plan will have read by the time that the guard is dropped.
    pub(super) fn guard(&self, plan: &Arc<dyn ExecutionPlan>) -> Scanning {
        Scanning { plan: Arc::clone(plan), total: self.clone() }
    }
}

/// A plan that is running.
pub(super) struct Scanning {
    plan: Arc<dyn ExecutionPlan>,
    total: Scanned,
}

impl Scanning {
    /// Returns the bytes that the plan has read so far.
    pub(super) fn bytes(&self) -> u64 {
        bytes_of(self.plan.as_ref())
    }
}

impl Drop for Scanning {
    fn drop(&mut self) {
        self.total.0.fetch_add(self.bytes(), Ordering::Relaxed);
    }
}

fn bytes_of(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name(BYTES_SCANNED)).map_or(0, |sum| sum.as_usize());
    own as u64 + plan.children().into_iter().map(|child| bytes_of(child.as_ref())).sum::<u64>()
}
