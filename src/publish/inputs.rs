//! Whether the tables that a metric was computed of are still there.

use crate::domain::names::counted;
use crate::engine::Engine;
use crate::engine::published::basis::{Observation, recorded_files};
use crate::engine::published::entry::State;
use crate::error::{Error, ErrorKind, Result};

/// Refuses a metric of which a table had files when it was published, and has none: a folder that an extract left empty, or
/// a disk that is not mounted, looks like a company that never earned anything.
///
/// # Errors
/// `Source` with every such table, `Storage` where what was recorded cannot be read.
pub(super) async fn require_tables(
    engine: &Engine,
    state: &State,
    metric: &str,
    observation: &Observation,
) -> Result<()> {
    let before = state.tables.get(metric).and_then(|table| table.last_basis());
    let Some(before) = before.filter(|before| before.inputs != observation.basis.inputs) else { return Ok(()) };
    // Of a table whose place a model took, nothing is read.
    let is_model = |name: &str| engine.models().iter().any(|model| model.id.to_string() == name);
    let empty = observation.files.iter().filter(|(name, files)| files.is_empty() && !is_model(name));
    let empty: Vec<&String> = empty.map(|(name, _)| name).collect();
    if empty.is_empty() {
        return Ok(());
    }
    let recorded = recorded_files(engine.warehouse(), before).await?;
    let had_files = |name: &&&String| recorded.get(**name).is_some_and(|files| !files.is_empty());
    let problem = |name: &&String| {
        let files = counted(recorded[*name].len() as u64, "file");
        format!("table \"{name}\" had {files} when metric \"{metric}\" was published, and has none")
    };
    let problems = empty.iter().filter(had_files).map(problem).collect();
    match Error::list(ErrorKind::Source, "tables are gone", problems) {
        Some(error) => Err(error.with_hint(
            "is the location still there, and written? if there are to be no rows any more, a Parquet file without rows says so",
        )),
        None => Ok(()),
    }
}
