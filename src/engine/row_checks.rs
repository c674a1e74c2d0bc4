//! Keys and values of source tables, checked once for each version of their files, before the first answer that reads them.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::expr_fn::{count, min};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Operator, binary_expr, col, lit, try_cast, when};
use datafusion::physical_plan::collect;

use super::state::Shared;
use super::unique_keys::{self, Verdict};
use super::{faults, schemas};
use crate::catalog::contract::{Contract, ContractTable, type_name};
use crate::catalog::snapshot::Snapshot;
use crate::catalog::{TableId, values};
use crate::domain::names::counted;
use crate::error::{Error, ErrorKind, Result};
use crate::models::Model;
use crate::sources::FileVersion;
use crate::sources::footer::Footer;

/// Duplicate keys that an error shows: enough to find the cause.
const DUPLICATES_SHOWN: usize = 5;

/// The file in the warehouse that remembers what was checked.
const MEMORY_FILE: &str = "checked_files.json";

/// Which files were found good, by table.
#[derive(Debug, Default)]
pub(super) struct Checked {
    good: Mutex<HashMap<String, Vec<FileVersion>>>,
    file: Option<PathBuf>,
}

impl Checked {
    /// Returns what the warehouse remembers; nothing where there is no warehouse or its memory cannot be read.
    pub(super) fn open(warehouse: Option<&Path>) -> Self {
        let file = warehouse.map(|folder| folder.join(MEMORY_FILE));
        let good = file.as_ref().and_then(|file| serde_json::from_slice(&std::fs::read(file).ok()?).ok());
        Self { good: Mutex::new(good.unwrap_or_default()), file }
    }

    fn is_good(&self, table: &str, versions: &[FileVersion]) -> bool {
        self.good.lock().unwrap_or_else(PoisonError::into_inner).get(table).is_some_and(|known| known == versions)
    }

    /// Remembers good files. A warehouse that cannot be written is no fault of the query: the next process checks again.
    fn remember(&self, found: Vec<(String, Vec<FileVersion>)>) {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.extend(found);
        let Some(file) = &self.file else { return };
        if let Err(cause) = write(file, &good) {
            tracing::warn!(%cause, "what was checked cannot be remembered in the warehouse");
        }
    }
}

fn write(file: &Path, good: &HashMap<String, Vec<FileVersion>>) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let whole = folder.join(format!("{MEMORY_FILE}.{}", std::process::id()));
    std::fs::write(&whole, serde_json::to_vec(good)?)?;
    std::fs::rename(whole, file)
}

/// Checks the contract tables that reading `tables` reads and whose files were not checked before.
///
/// # Errors
/// `Source` with every problem of all of them at once.
pub(super) async fn ensure(shared: &Arc<Shared>, state: &SessionState, tables: Vec<TableId>) -> Result<()> {
    let Some(snapshot) = state.config().get_extension::<Snapshot>() else {
        return Err(Error::new(ErrorKind::Internal, "rows are checked outside a query"));
    };
    let reached = shared.models.closure(tables);
    let mut open = Vec::new();
    for id in &reached {
        let Some(contract) = Contract::get().table(&id.schema, &id.name) else { continue };
        let versions = versions(shared, &snapshot, id).await?;
        if !versions.is_empty() && !shared.checked.is_good(&id.to_string(), &versions) {
            open.push((id.clone(), contract, versions));
        }
    }
    let mut problems = Vec::new();
    for (id, contract, _) in &open {
        problems.extend(problems_of(shared, state, &snapshot, id, contract).await?);
    }
    match Error::list(ErrorKind::Source, "the sources do not hold what the contract asks for", problems) {
        Some(error) => Err(error),
        None => {
            if !open.is_empty() {
                shared.checked.remember(open.into_iter().map(|(id, _, versions)| (id.to_string(), versions)).collect());
            }
            Ok(())
        }
    }
}

/// Returns the versions of all files behind a table, through the models that it may be made of.
async fn versions(shared: &Arc<Shared>, snapshot: &Snapshot, id: &TableId) -> Result<Vec<FileVersion>> {
    let mut versions = BTreeSet::new();
    for id in shared.models.closure([id.clone()]) {
        if let Some(model) = shared.models.get(&id) {
            versions.insert(FileVersion {
                path: id.to_string(),
                size: model.sql.len() as u64,
                version: model.sql.clone(),
            });
        } else if let Some(table) = shared.catalog.table(&id.schema, &id.name) {
            versions.extend(snapshot.footers(table).await?.iter().map(|footer: &Footer| footer.file.version()));
        }
    }
    Ok(versions.into_iter().collect())
}

async fn problems_of(
    shared: &Arc<Shared>,
    state: &SessionState,
    snapshot: &Snapshot,
    id: &TableId,
    contract: &ContractTable,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    if let Some(model) = shared.models.get(id) {
        let found = values_of_model(shared, state, model, contract).await?;
        problems.extend(found.missing);
        // A value that does not fit may fail to convert, and no key could be read.
        if !found.lossy.is_empty() {
            problems.extend(found.lossy);
            return Ok(problems);
        }
    } else if let Some(table) = shared.catalog.table(&id.schema, &id.name) {
        let footers = snapshot.footers(table).await?;
        if let Some(source) = shared.catalog.sources().find(|source| source.name == id.schema) {
            for footer in footers.iter() {
                problems.extend(values::problems(state, source, contract, footer).await);
            }
        }
        // Keys of rows that cannot be read say nothing.
        if !problems.is_empty() {
            return Ok(problems);
        }
    }
    let provider = shared.provider(id).await?;
    let scan =
        LogicalPlanBuilder::scan(id.to_string(), provider_as_source(provider), None).map_err(faults::of_query)?;
    if !contract.key.is_empty() {
        problems.extend(duplicates(state, scan, id, contract).await?);
    }
    Ok(problems)
}

/// Reads every file of a source's table.
///
/// # Errors
/// `Source` with every file whose data cannot be read.
pub(super) async fn read_all(shared: &Arc<Shared>, state: &SessionState) -> Result<()> {
    let Some(snapshot) = state.config().get_extension::<Snapshot>() else {
        return Err(Error::new(ErrorKind::Internal, "files are read outside a query"));
    };
    let mut problems = Vec::new();
    for table in shared.catalog.tables() {
        let Some(source) = shared.catalog.sources().find(|source| source.name == table.id.schema) else { continue };
        for footer in snapshot.footers(table).await?.iter() {
            problems.extend(values::unreadable(state, source, footer).await);
        }
    }
    match Error::list(ErrorKind::Source, "the sources cannot be read", problems) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Runs a part of a query of its own.
pub(super) async fn run(state: &SessionState, plan: LogicalPlanBuilder) -> Result<Vec<RecordBatch>> {
    let plan = plan.build().map_err(faults::of_query)?;
    let plan = state.create_physical_plan(&plan).await.map_err(faults::of_query)?;
    collect(plan, state.task_ctx()).await.map_err(faults::of_query)
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

async fn duplicates(
    state: &SessionState,
    scan: LogicalPlanBuilder,
    id: &TableId,
    contract: &ContractTable,
) -> Result<Vec<String>> {
    let keys: Vec<Expr> = contract.key.iter().map(|name| column(name)).collect();
    let plan = scan.clone().project(keys.clone()).and_then(LogicalPlanBuilder::build).map_err(faults::of_query)?;
    let plan = state.create_physical_plan(&plan).await.map_err(faults::of_query)?;
    if unique_keys::verdict(plan, state.task_ctx()).await.map_err(faults::of_query)? == Verdict::Unique {
        return Ok(Vec::new());
    }
    let plan = scan
        .aggregate(keys.clone(), vec![count(lit(1_i64)).alias("rows")])
        .and_then(|plan| plan.filter(col("rows").gt(lit(1_i64))))
        .and_then(|plan| plan.sort(keys.into_iter().map(|key| key.sort(true, false))))
        .and_then(|plan| plan.limit(0, Some(DUPLICATES_SHOWN)))
        .map_err(faults::of_query)?;
    let mut shown = Vec::new();
    for batch in run(state, plan).await? {
        for row in 0..batch.num_rows() {
            let values: Vec<String> = batch
                .columns()
                .iter()
                .take(contract.key.len())
                .map(|values| array_value_to_string(values, row).unwrap_or_default())
                .collect();
            let rows = batch.column(contract.key.len()).as_primitive::<Int64Type>().value(row);
            shown.push(format!("{} ({})", values.join(", "), counted(rows.unsigned_abs(), "row")));
        }
    }
    if shown.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!("{id}: the key {} is not unique: {}", contract.key.join(", "), shown.join("; "))])
}

/// The problems of a model's values.
#[derive(Debug, Default)]
struct ModelValues {
    missing: Vec<String>,
    lossy: Vec<String>,
}

/// Returns the problems of a model's values: NULLs where there must be none, and what a conversion would lose.
async fn values_of_model(
    shared: &Arc<Shared>,
    state: &SessionState,
    model: &Model,
    contract: &ContractTable,
) -> Result<ModelValues> {
    let plan = schemas::plan_of(shared, &model.sql).await?;
    let found =
        |name: &str| plan.schema().field_with_unqualified_name(name).ok().map(|field| field.data_type().clone());
    let mut counts = vec![count(lit(1_i64)).alias("rows")];
    let mut looked_at = Vec::new();
    for wanted in &contract.columns {
        let Some(kind) = found(&wanted.name) else { continue };
        let value = column(&wanted.name);
        let there_and_back = try_cast(try_cast(value.clone(), wanted.data_type.clone()), kind.clone());
        let is_lossy = binary_expr(there_and_back, Operator::IsDistinctFrom, value.clone());
        let lossy = when(is_lossy, value.clone()).end().map_err(faults::of_query)?;
        counts.push(count(value).alias(format!("present_{}", wanted.name)));
        if kind != wanted.data_type {
            counts.push(count(lossy.clone()).alias(format!("lossy_{}", wanted.name)));
            counts.push(min(lossy).alias(format!("least_{}", wanted.name)));
        }
        looked_at.push((wanted, kind));
    }
    let plan = LogicalPlanBuilder::from(plan).aggregate(Vec::<Expr>::new(), counts).map_err(faults::of_query)?;
    let mut problems = ModelValues::default();
    for batch in run(state, plan).await?.iter().filter(|batch| batch.num_rows() > 0) {
        let number =
            |name: &str| batch.column_by_name(name).map_or(0, |values| values.as_primitive::<Int64Type>().value(0));
        for (wanted, _) in &looked_at {
            let name = &wanted.name;
            let missing = number("rows") - number(&format!("present_{name}"));
            if missing > 0 && !wanted.is_nullable {
                problems.missing.push(format!(
                    "{}: required column \"{name}\" is NULL in {}",
                    model.file,
                    counted(missing.unsigned_abs(), "row")
                ));
            }
            let lossy = number(&format!("lossy_{name}"));
            if lossy > 0 {
                let least = batch.column_by_name(&format!("least_{name}"));
                let least =
                    least.map(|values| array_value_to_string(values, 0).unwrap_or_default()).unwrap_or_default();
                let kind = type_name(&wanted.data_type);
                problems.lossy.push(format!(
                    "{}: column \"{name}\" does not fit {kind} without loss in {}, such as {least}; hint: round it in the model",
                    model.file,
                    counted(lossy.unsigned_abs(), "row")
                ));
            }
        }
    }
    Ok(problems)
}
