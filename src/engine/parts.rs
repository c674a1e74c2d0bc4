//! A large result in several parts, which a client reads at the same time.
//!
//! Only scans with filters and computed columns are cut: there a part is some of the files or of their row groups, and no
//! part needs another. A sort, an aggregate, a join or a limit would be computed once for each part, so their results stay
//! whole. A part carries a print of the plan that was cut, so whoever runs it later reads exactly what the others leave, or
//! gets an error.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, StatisticsArgs, StatisticsContext};

use super::faults;
use super::result::Extent;
use super::statement::{Asked, Ready, Statement};
use super::widths::BoundedExec;
use crate::error::{Error, ErrorKind, Result};

/// The fewest rows of a scan that is cut: fewer arrive in a blink through one connection.
const ROWS_MIN: usize = 1_000_000;

/// The rows of a scan for each that a filter is expected to leave, as the planner itself reckons.
const ROWS_FOR_EACH_LEFT: usize = 5;

/// A part of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which one it is, from 0.
    pub number: u32,
    /// How many there are, at least 2.
    pub count: u32,
    /// What tells whether the plan is still cut in the same way.
    pub print: u64,
}

impl Statement {
    /// Returns the parts that the result is cut into; none where it comes whole.
    ///
    /// # Errors
    /// `Query` where it does not plan.
    pub async fn parts(&self) -> Result<Vec<Part>> {
        let count = self.state.config().target_partitions();
        if count < 2 || self.write.is_some() || self.is_limited() || !is_row_by_row(&self.plan) {
            return Ok(Vec::new());
        }
        let plan = self.planned_to_its_end(&self.plan).await?;
        let has_filter = self.plan.exists(|node| Ok(matches!(node, LogicalPlan::Filter(_)))).is_ok_and(|found| found);
        let rows_min = if has_filter { ROWS_MIN * ROWS_FOR_EACH_LEFT } else { ROWS_MIN };
        let known = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::default());
        let rows = known.ok().and_then(|known| known.num_rows.get_value().copied());
        let groups = files_of(&plan).map_or(0, Vec::len);
        if groups < 2 || rows.is_none_or(|rows| rows < rows_min) {
            return Ok(Vec::new());
        }
        let (print, count) = (print_of(&plan), u32::try_from(groups).unwrap_or(u32::MAX));
        Ok((0..count).map(|number| Part { number, count, print }).collect())
    }

    /// Checks what the query reads, and plans one part of it to its end.
    ///
    /// # Errors
    /// As [`Statement::prepared`], and `Source` where the files have changed since the result was cut.
    pub async fn part(self, part: Part) -> Result<Ready> {
        let extent = self.extent();
        self.ready(extent, Asked::Part(part)).await
    }

    pub(super) async fn part_plan(self, part: Part) -> Result<Arc<dyn ExecutionPlan>> {
        self.check_reads().await?;
        let plan = self.planned_to_its_end(&self.plan).await?;
        let group = files_of(&plan).and_then(|groups| groups.get(part.number as usize)).cloned();
        match group.filter(|_| print_of(&plan) == part.print) {
            Some(group) => with_files(plan, &group),
            None => Err(Error::new(ErrorKind::Source, "the files have changed since the query was cut into parts")
                .with_hint("run the query again")),
        }
    }

    /// Returns whether the rows or bytes of a result are counted, which they can be in one place alone.
    fn is_limited(&self) -> bool {
        let Extent { rows_max, bytes_max } = self.extent();
        rows_max.is_some() || bytes_max.is_some()
    }

    /// Returns whether the query says in which order its rows come.
    pub fn is_ordered(&self) -> bool {
        let mut plan = &self.plan;
        loop {
            plan = match plan {
                LogicalPlan::Sort(_) => return true,
                LogicalPlan::Projection(projection) => &projection.input,
                LogicalPlan::SubqueryAlias(alias) => &alias.input,
                LogicalPlan::Limit(limit) => &limit.input,
                _ => return false,
            }
        }
    }
}

/// Returns whether a query reads one table, and computes each row of that row alone, and the same whenever it is asked.
fn is_row_by_row(plan: &LogicalPlan) -> bool {
    let is_one_of_them = match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(is_row_by_row)
        }
        _ => false,
    };
    is_one_of_them
        && plan
            .expressions()
            .iter()
            .all(|expression| !expression.exists(|part| Ok(varies(part))).is_ok_and(|found| found))
}

/// Returns whether an expression may give something else in another call, or has a query in it.
fn varies(expression: &Expr) -> bool {
    match expression {
        Expr::ScalarFunction(function) => function.func.signature().volatility != Volatility::Immutable,
        Expr::ScalarVariable(..) | Expr::Placeholder(_) | Expr::Exists(_) | Expr::InSubquery(_) => true,
        Expr::ScalarSubquery(_) => true,
        _ => false,
    }
}

/// Returns the files of each part; `None` where the plan does more than read, filter and compute row by row.
fn files_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&Vec<FileGroup>> {
    let mut node = plan;
    loop {
        if let Some(scan) = node.downcast_ref::<DataSourceExec>() {
            return scan.data_source().downcast_ref::<FileScanConfig>().map(|config| &config.file_groups);
        }
        let is_row_by_row = node.is::<ProjectionExec>()
            || node.is::<FilterExec>()
            || node.is::<CooperativeExec>()
            || node.is::<BoundedExec>();
        match node.children().as_slice() {
            [child] if is_row_by_row => node = *child,
            _ => return None,
        }
    }
}

/// Returns the plan over the files of one part.
fn with_files(plan: Arc<dyn ExecutionPlan>, group: &FileGroup) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let scan = node.downcast_ref::<DataSourceExec>();
        let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        Ok(match config {
            Some(config) => {
                let config = FileScanConfigBuilder::from(config.clone()).with_file_groups(vec![group.clone()]).build();
                Transformed::yes(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>)
            }
            None => Transformed::no(node),
        })
    })
    .data()
    .map_err(faults::of_query)
}

/// Returns a number that differs where the plan, its files or their contents differ.
fn print_of(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let mut hasher = DefaultHasher::new();
    DisplayableExecutionPlan::new(plan.as_ref()).indent(EVERY_FILE).to_string().hash(&mut hasher);
    for file in files_of(plan).into_iter().flatten().flat_map(FileGroup::iter) {
        let meta = &file.object_meta;
        (meta.location.as_ref(), meta.size, meta.last_modified, &meta.e_tag, file.range.as_ref()).hash(&mut hasher);
    }
    hasher.finish()
}

/// The plan is printed with all its files.
const EVERY_FILE: bool = true;
