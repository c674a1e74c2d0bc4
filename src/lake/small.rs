//! The rows of small tables in memory: what dashboards ask for again and again is read and decoded once.
//!
//! Files of the lake never change, so rows are found by the names of their files.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;
use object_store::path::Path;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::sources::SourceFile;

/// Bytes of the files of a table that may be small: some months of a metric by channel, not the rows of single touches.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of the rows of a table that is small. A few bytes of a file can be millions of rows.
const ROW_BYTES_MAX: usize = 8 << 20;

/// Bytes of rows that are held in all.
const HELD_BYTES_MAX: u64 = 32 << 20;

/// Tables of which rows are held, about: each is some hundred kilobytes.
const TABLES: usize = 100;

/// The rows that are held, `None` where they turned out to be too many; those that nobody asked for in a while make room for
/// others.
#[derive(Debug)]
pub(super) struct SmallTables(Cache<Key, Option<RecordBatch>, Bytes>);

/// Files, and the columns that are read of them.
type Key = (Arc<[Path]>, SchemaRef);

/// Weighs rows.
#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Key, Option<RecordBatch>> for Bytes {
    fn weight(&self, (paths, _): &Key, rows: &Option<RecordBatch>) -> u64 {
        // What weighs nothing would never leave.
        let names: usize = paths.iter().map(|path| path.as_ref().len()).sum();
        (names + rows.as_ref().map_or(0, RecordBatch::get_array_memory_size)).max(1) as u64
    }
}

impl Default for SmallTables {
    fn default() -> Self {
        Self(Cache::with_weighter(TABLES, HELD_BYTES_MAX, Bytes))
    }
}

impl SmallTables {
    /// Returns whether files are small enough for their rows to be tried.
    pub(super) fn take(files: &[SourceFile]) -> bool {
        files.iter().map(|file| file.meta.size).sum::<u64>() <= FILE_BYTES_MAX
    }

    /// Returns all rows of files; where they are not known, a plan for all columns gives them. `None` where they are too many.
    ///
    /// # Errors
    /// Those of the plan.
    pub(super) async fn rows(
        &self,
        files: &[SourceFile],
        schema: &SchemaRef,
        (plan, context): (impl Future<Output = Result<Arc<dyn ExecutionPlan>>>, Arc<TaskContext>),
    ) -> Result<Option<RecordBatch>> {
        let paths: Arc<[Path]> = files.iter().map(|file| file.meta.location.clone()).collect();
        let read = async {
            let mut rows = execute_stream(plan.await?, context)?;
            let (mut batches, mut bytes) = (Vec::new(), 0);
            while let Some(batch) = rows.try_next().await? {
                bytes += batch.get_array_memory_size();
                if bytes > ROW_BYTES_MAX {
                    return Ok(None);
                }
                batches.push(batch);
            }
            Ok(Some(concat_batches(schema, &batches)?))
        };
        self.0.get_or_insert_async(&(paths, Arc::clone(schema)), read).await
    }
}
