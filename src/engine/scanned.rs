//! How many bytes of files queries read and put on disk, as their operators count them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;

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
        sum_of(self.plan.as_ref(), &|counts| counts.sum_by_name(BYTES_SCANNED).map(|sum| sum.as_usize()))
    }

    /// Returns the bytes that the plan has put on disk so far.
    pub(super) fn spilled(&self) -> u64 {
        sum_of(self.plan.as_ref(), &MetricsSet::spilled_bytes)
    }
}

impl Drop for Scanning {
    fn drop(&mut self) {
        self.total.0.fetch_add(self.bytes(), Ordering::Relaxed);
    }
}

/// Returns what the operators of a plan counted.
fn sum_of(plan: &dyn ExecutionPlan, count: &dyn Fn(&MetricsSet) -> Option<usize>) -> u64 {
    let own = plan.metrics().and_then(|counts| count(&counts)).unwrap_or(0);
    own as u64 + plan.children().into_iter().map(|child| sum_of(child.as_ref(), count)).sum::<u64>()
}
