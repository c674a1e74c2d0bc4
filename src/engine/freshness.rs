//! Freshness: how new what a metric is made of is. Read cheaply: from footers where they say it, else from one column.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use datafusion::catalog::Session;
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::expr_fn::max as max_of;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::scalar::ScalarValue;

use super::state::Shared;
use super::{faults, row_checks};
use crate::catalog::TableId;
use crate::catalog::contract::{Contract, ContractTable};
use crate::catalog::snapshot::Snapshot;
use crate::config::settings::{AS_OF, Settings, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::settings::session_settings;
use crate::metrics::SCHEMA;
use crate::sources::footer::Footer;

/// A metric and a table that it reads.
#[derive(Debug)]
pub(super) struct Freshness {
    pub(super) metric: String,
    pub(super) table: TableId,
    pub(super) newest: Newest,
}

/// The newest that a table has.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest {
    pub(super) fact_column: Option<String>,
    /// Microseconds of the newest fact before `as_of`.
    pub(super) fact_at: Option<i64>,
    /// The file that was changed last, as `crm/accounts/part-0.parquet`.
    pub(super) file: Option<String>,
    /// Microseconds of that change.
    pub(super) file_at: Option<i64>,
}

/// Returns a row for each metric and contract table that it reads.
///
/// # Errors
/// `Source` where files that were added do not hold what they must, and what a scan of a fact column gives.
pub(super) async fn rows(shared: &Arc<Shared>, state: &dyn Session) -> Result<Vec<Freshness>> {
    let mut read: BTreeSet<(String, TableId)> = BTreeSet::new();
    for metric in shared.metrics() {
        let view = TableId { schema: SCHEMA.to_owned(), name: metric.view };
        let closure = shared.whole_models().closure([view]);
        let is_of_contract = |id: &TableId| Contract::get().table(&id.schema, &id.name).is_some();
        let tables = closure.into_iter().filter(|id| is_of_contract(id) && shared.sees(id));
        read.extend(tables.map(|table| (metric.name.clone(), table)));
    }
    let mut known: BTreeMap<TableId, Newest> = BTreeMap::new();
    let mut rows = Vec::new();
    for (metric, table) in read {
        let newest = match known.get(&table) {
            Some(newest) => newest.clone(),
            None => newest_of(shared, state, &table).await?,
        };
        known.insert(table.clone(), newest.clone());
        rows.push(Freshness { metric, table, newest });
    }
    Ok(rows)
}

async fn newest_of(shared: &Arc<Shared>, state: &dyn Session, id: &TableId) -> Result<Newest> {
    let (Some(state), Some(snapshot)) =
        (state.as_any().downcast_ref::<SessionState>(), state.config().get_extension::<Snapshot>())
    else {
        return Err(Error::new(ErrorKind::Internal, "freshness is asked for outside a query"));
    };
    let mut newest = Newest::default();
    // A contract table that models make has the files of all that they read.
    let mut footers = Vec::new();
    for read in shared.whole_models().closure([id.clone()]) {
        if let Some(table) = shared.catalog.table(&read.schema, &read.name) {
            footers.extend(snapshot.footers(table).await?.iter().cloned());
        }
    }
    // Files tell of all their rows, whoever may read some of them.
    let is_plain = shared.is_plain(id);
    if let Some(footer) = footers.iter().filter(|_| is_plain).max_by_key(|footer| footer.file.meta.last_modified) {
        newest.file = Some(footer.file.label.clone());
        newest.file_at = Some(footer.file.meta.last_modified.timestamp_micros());
    }
    let contract = Contract::get().table(&id.schema, &id.name);
    let Some((contract, column)) = contract.and_then(|table| Some((table, table.fact_column.as_ref()?))) else {
        return Ok(newest);
    };
    if !shared.shows(id, column) {
        return Ok(newest);
    }
    newest.fact_column = Some(column.clone());
    if footers.is_empty() {
        return Ok(newest);
    }
    let settings = session_settings(state.config_options());
    let limit = Limit::of(&settings, contract, column);
    let is_of_files = is_plain && shared.whole_models().get(id).is_none();
    let of_footers = if is_of_files { limit.newest_of_footers(&footers, column) } else { None };
    newest.fact_at = match of_footers {
        Some(fact) => Some(fact),
        None => limit.newest_of_rows(shared, state, id, column).await?,
    };
    if limit.is_date {
        let calendar = settings.calendar();
        let start = |day: i64| calendar.start_of_day(i32::try_from(day).unwrap_or(i32::MAX));
        newest.fact_at = newest.fact_at.map(start);
    }
    Ok(newest)
}

/// The first instant, in microseconds, or day that is no fact any more.
struct Limit {
    end: i64,
    is_date: bool,
}

impl Limit {
    fn of(settings: &Settings, contract: &ContractTable, column: &str) -> Self {
        let as_of = match settings.get(AS_OF) {
            Some(Value::Instant(Some(micros))) => *micros,
            _ => i64::MAX,
        };
        let is_date = contract.columns.iter().any(|known| known.name == column && known.data_type == DataType::Date32);
        // A day is a fact from its first instant on.
        let end = if is_date { i64::from(settings.calendar().day(as_of - 1)) + 1 } else { as_of };
        Self { end, is_date }
    }

    fn kind(&self) -> DataType {
        if self.is_date { DataType::Date32 } else { instant() }
    }

    /// Returns the newest fact as footers say it; `None` where they do not, or say one that is none yet.
    fn newest_of_footers(&self, footers: &[Footer], column: &str) -> Option<i64> {
        let mut newest = None;
        for footer in footers.iter().filter(|footer| footer.rows() > 0) {
            let greatest = cast(&footer.greatest(column)?, &self.kind()).ok()?;
            newest = newest.max(Some(self.greatest(&greatest)?));
        }
        newest.filter(|newest| *newest < self.end)
    }

    /// Returns the newest fact of the column itself.
    async fn newest_of_rows(
        &self,
        shared: &Arc<Shared>,
        state: &SessionState,
        id: &TableId,
        column: &str,
    ) -> Result<Option<i64>> {
        let end = match self.is_date {
            true => ScalarValue::Date32(i32::try_from(self.end).ok()),
            false => ScalarValue::TimestampMicrosecond(Some(self.end), Some("UTC".into())),
        };
        let provider = shared.provider(id).await?;
        let plan = LogicalPlanBuilder::scan(id.to_string(), provider_as_source(provider), None)
            .and_then(|plan| plan.filter(col(column).lt(lit(end))))
            .and_then(|plan| plan.aggregate(Vec::<Expr>::new(), vec![max_of(col(column)).alias("newest")]))
            .map_err(faults::of_query)?;
        let batches = row_checks::run(state, plan).await?;
        Ok(batches.iter().filter(|batch| batch.num_rows() > 0).find_map(|batch| self.greatest(batch.column(0))))
    }

    fn greatest(&self, values: &dyn Array) -> Option<i64> {
        match self.is_date {
            true => max(values.as_primitive_opt::<Date32Type>()?).map(i64::from),
            false => max(values.as_primitive_opt::<TimestampMicrosecondType>()?),
        }
    }
}

fn instant() -> DataType {
    DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()))
}
