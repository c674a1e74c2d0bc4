//! Views by week that are views by month with weeks for months: one select for both.

use std::collections::BTreeMap;

use super::files::ModelFile;
use super::rules::Beside;
use crate::catalog::TableId;

/// Returns the select of each model whose sidecar says `weeks_of`, and notes those that name no view by month.
///
/// Every name of the select changes: `local_month` to `local_week`, `add_months` to `add_weeks`, `closed_month` to
/// `closed_week`.
pub(super) fn selects(
    files: &BTreeMap<TableId, ModelFile>,
    sidecars: &BTreeMap<TableId, Beside>,
    problems: &mut Vec<String>,
) -> BTreeMap<TableId, String> {
    let mut selects = BTreeMap::new();
    for (id, beside) in sidecars {
        let Some(name) = &beside.sidecar.weeks_of else { continue };
        if files.get(id).is_some_and(|file| !file.sql.is_empty()) {
            problems.push(format!("{}: a model with weeks_of has no select of its own", beside.file));
            continue;
        }
        let of_months = TableId { schema: id.schema.clone(), name: name.clone() };
        match files.get(&of_months) {
            Some(file) if file.sql.contains("month") => {
                selects.insert(id.clone(), file.sql.replace("month", "week"));
            }
            _ => problems.push(format!("{}: weeks_of: \"{of_months}\" is no view by month", beside.file)),
        }
    }
    selects
}
