//! `topline explain-plan`: how a query would run.

use datafusion::physical_plan::displayable;

use super::query::read_stdin;
use crate::cli::arguments::ExplainPlanArguments;
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::Config;

/// Schemas and statistics would bury the plan.
const IS_VERBOSE: bool = false;

/// Prints the physical plan, an operator a line, inputs below and to the right of what reads them.
///
/// # Errors
/// Whatever planning gives.
pub(in crate::cli) async fn run(
    config: Config,
    arguments: &ExplainPlanArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let sql = if arguments.sql == "-" { read_stdin()? } else { arguments.sql.clone() };
    let engine = super::open(config).await?;
    let plan = engine.session().prepare(&sql).await?.physical_plan(None).await?;
    terminal.print(&displayable(plan.as_ref()).indent(IS_VERBOSE).to_string())?;
    Ok(Ending::Done)
}
