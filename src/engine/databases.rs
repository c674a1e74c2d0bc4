//! `show databases`, which BI tools ask for: the one catalog.

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

use super::{CATALOG, faults};
use crate::error::{Error, ErrorKind, Result};

/// Returns the plan that lists the databases.
///
/// # Errors
/// `Internal` where the list cannot be made.
pub(super) fn databases() -> Result<LogicalPlan> {
    let schema = Arc::new(Schema::new(vec![Field::new("database_name", DataType::Utf8, false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringArray::from(vec![CATALOG]))])
        .map_err(|cause| Error::new(ErrorKind::Internal, "the list of databases cannot be made").with_source(cause))?;
    let table = MemTable::try_new(schema, vec![vec![batch]]).map_err(faults::of_query)?;
    LogicalPlanBuilder::scan("databases", provider_as_source(Arc::new(table)), None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(faults::of_query)
}
