//! The rows of a view that files do not have.

use std::slice;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::Result as PlanResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::TryStreamExt;
use tokio::sync::OnceCell;

use crate::engine::Session;
use crate::engine::days::days_of;
use crate::error::Result;

/// Bytes of rows that are held for one view: a month of all metrics but the rows of single touches, some 100,000 deals.
const HELD_BYTES_MAX: usize = 64 << 20;

/// The rows of a view that files do not have.
#[derive(Debug, Clone)]
pub struct Rest {
    /// The query for them, with the columns of the view.
    pub sql: String,
    /// The column with a day in the month of a row, where the view has it, and the first day that these rows may have.
    pub days: Option<(String, i32)>,
}

impl Rest {
    /// Returns whether filters leave none of the rows.
    pub(super) fn is_left_out_by(&self, filters: &[Expr]) -> bool {
        let Some((column, first_day)) = &self.days else { return false };
        days_of(filters, column).1.is_some_and(|last| last < *first_day)
    }
}

/// Rows that are computed once, unless there are too many to hold.
#[derive(Debug, Default)]
pub(super) struct HeldRows(OnceCell<Option<Held>>);

/// Rows in memory.
#[derive(Debug)]
pub(super) struct Held {
    batches: Vec<RecordBatch>,
    /// The memory is the rows' until they are dropped.
    _reservation: MemoryReservation,
}

impl HeldRows {
    /// Returns the rows of a query, which is computed the first time; `None` where there are too many.
    ///
    /// # Errors
    /// Those of the query.
    pub(super) async fn of(&self, session: &Session, sql: &str, pool: &Arc<dyn MemoryPool>) -> Result<Option<&Held>> {
        let held = self.0.get_or_try_init(|| Held::of(session, sql, pool)).await?;
        Ok(held.as_ref())
    }
}

impl Held {
    async fn of(session: &Session, sql: &str, pool: &Arc<dyn MemoryPool>) -> Result<Option<Self>> {
        let mut rows = session.all_rows(sql).await?;
        let reservation = MemoryConsumer::new("rows for several queries").register(pool);
        let mut batches = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            let has_room = reservation.try_grow(batch.get_array_memory_size()).is_ok();
            if !has_room || reservation.size() > HELD_BYTES_MAX {
                return Ok(None);
            }
            batches.push(batch);
        }
        Ok(Some(Self { batches, _reservation: reservation }))
    }

    /// Returns the plan for columns of the rows.
    pub(super) fn scan(&self, columns: &Schema) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let Some(first) = self.batches.first() else {
            return Ok(Arc::new(EmptyExec::new(Arc::new(columns.clone()))));
        };
        let own = first.schema();
        let places = columns.fields().iter().map(|field| own.index_of(field.name()));
        let places = places.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(MemorySourceConfig::try_new_exec(slice::from_ref(&self.batches), own, Some(places))?)
    }
}
