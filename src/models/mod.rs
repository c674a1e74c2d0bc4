//! Models: every SQL file, what stands beside it, and the order between them.
//!
//! A model is `SCHEMA/NAME.sql`, one select, and `SCHEMA/NAME.toml`, its sidecar. The built-in ones are in the binary; the
//! folder of `[models] location` is laid over them. Must not know files outside these two places, nor how a query runs.
//! Start at [`ModelSet::load`].

mod checks;
mod files;
mod order;
mod overlay;
pub mod parts;
pub mod reach;
mod rules;
pub mod sidecar;
pub mod syntax;
mod weeks;

pub use checks::CheckReads;
pub use order::tables_of;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::catalog::TableId;
use crate::config::QualityConfig;
use crate::error::{Error, ErrorKind, Result};
use files::ModelFile;
use rules::{Beside, Rules};
use sidecar::Sidecar;

/// What an error says above a list of models' problems.
pub const MODELS_ARE_WRONG: &str = "the models are wrong";

/// A view: one select with its sidecar.
#[derive(Debug, Clone)]
pub struct Model {
    /// Schema and name.
    pub id: TableId,
    /// The select.
    pub sql: String,
    /// Description, columns and what else stands in the sidecar.
    pub sidecar: Sidecar,
    /// The file, as errors name it: `sql/metrics/nrr.sql`.
    pub file: String,
    /// Whether the user's folder has its SQL.
    pub is_custom: bool,
    /// The tables and models that the select reads, and those that its operator reads beside it.
    pub reads: BTreeSet<TableId>,
    /// Where each law of the sidecar stands and what it reads, in the order of the laws.
    pub check_reads: Vec<CheckReads>,
}

/// All models, checked: each parses, reads only its own floor or those below, and none reads itself.
#[derive(Debug, Default)]
pub struct ModelSet {
    models: BTreeMap<TableId, Model>,
}

impl ModelSet {
    /// Loads the built-in models and lays a folder over them.
    ///
    /// # Errors
    /// `Model` with every problem at once, each with file and line.
    pub fn load(folder: Option<&Path>, source_schemas: &[String], quality: &QualityConfig) -> Result<Self> {
        let (mut files, mut problems) = files::built_in();
        if let Some(folder) = folder {
            problems.extend(files::lay_over(&mut files, folder));
        }
        let (models, broken) = parsed(files, quality, &mut problems);
        problems.extend(order::problems(&models, &broken, source_schemas));
        match Error::list(ErrorKind::Model, MODELS_ARE_WRONG, problems) {
            Some(error) => Err(error),
            None => Ok(Self { models }),
        }
    }

    /// Checks a model by itself: its select, its sidecar, and the same text as one that is laid over another's.
    ///
    /// # Errors
    /// `Model` with every problem at once.
    #[cfg(any(test, fuzzing))]
    pub fn check_alone(id: &TableId, sql: &str, sidecar: &str) -> Result<()> {
        let mut problems = Vec::new();
        for overlay in [None, Some(("overlay.toml".to_owned(), sidecar.to_owned()))] {
            let own = if overlay.is_some() { None } else { Some(sidecar.to_owned()) };
            let (file, sql) = (format!("{id}.sql"), sql.to_owned());
            let file =
                ModelFile { id: id.clone(), file, sql, sidecar: own, is_inherited: false, overlay, is_custom: true };
            match order::sidecar_of(&file).and_then(|sidecar| order::parse(file, sidecar)) {
                Ok(model) => {
                    let models = BTreeMap::from([(id.clone(), model)]);
                    problems.extend(order::problems(&models, &BTreeSet::new(), &[]));
                }
                Err(faults) => problems.extend(faults),
            }
        }
        Error::list(ErrorKind::Model, MODELS_ARE_WRONG, problems).map_or(Ok(()), Err)
    }

    /// Returns the problem of each model that reads a source table that is not there.
    pub fn unknown_tables(&self, tables: &BTreeSet<TableId>) -> Vec<String> {
        let mut problems = Vec::new();
        let is_unknown =
            |read: &&TableId| read.schema != "meta" && !self.models.contains_key(*read) && !tables.contains(*read);
        let mut look = |place: &dyn Fn(&TableId) -> String, reads: &BTreeSet<TableId>| {
            for read in reads.iter().filter(|read| is_unknown(read)) {
                let of_schema = tables.iter().filter(|table| table.schema == read.schema);
                let known = of_schema.map(|table| (table.schema.as_str(), table.name.as_str()));
                problems.push(order::unknown_table(&place(read), read, known));
            }
        };
        for model in self.models.values() {
            look(&|read| order::place_of(model, read), &model.reads);
            for check in &model.check_reads {
                look(&|_| check.place.clone(), &check.reads);
            }
        }
        problems
    }

    /// Returns the models, in the order of schema and name.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.models.values()
    }

    /// Returns a model.
    pub fn get(&self, id: &TableId) -> Option<&Model> {
        self.models.get(id)
    }

    /// Returns everything that reading these tables reads, models and source tables, themselves included.
    pub fn closure(&self, tables: impl IntoIterator<Item = TableId>) -> BTreeSet<TableId> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<TableId> = tables.into_iter().collect();
        while let Some(id) = open.pop() {
            if let Some(model) = self.models.get(&id) {
                open.extend(model.reads.iter().filter(|read| !reached.contains(*read)).cloned());
            }
            reached.insert(id);
        }
        reached
    }
}

impl FromIterator<Model> for ModelSet {
    /// Returns the set of models that were checked.
    fn from_iter<T: IntoIterator<Item = Model>>(models: T) -> Self {
        Self { models: models.into_iter().map(|model| (model.id.clone(), model)).collect() }
    }
}

/// Parses models, those that are repeated once they are, and notes what is wrong with them.
///
/// Returns them with the names of those that are wrong.
fn parsed(
    files: BTreeMap<TableId, ModelFile>,
    quality: &QualityConfig,
    problems: &mut Vec<String>,
) -> (BTreeMap<TableId, Model>, BTreeSet<TableId>) {
    let (mut models, mut broken) = (BTreeMap::new(), BTreeSet::new());
    let mut sidecars = BTreeMap::new();
    for (id, file) in &files {
        let sidecar = order::sidecar_of(file).unwrap_or_else(|faults| {
            problems.extend(faults);
            broken.insert(id.clone());
            Sidecar::default()
        });
        sidecars.insert(id.clone(), Beside { sidecar, file: file.file.clone(), is_custom: file.is_custom });
    }
    let (rules, of_rules) = Rules::new(&sidecars, &broken, quality);
    problems.extend(of_rules);
    let weeks = weeks::selects(&files, &sidecars, problems);
    for (id, mut file) in files {
        let sidecar = sidecars[&id].sidecar.clone();
        if let Some(sql) = weeks.get(&id) {
            file.sql.clone_from(sql);
        }
        if let Some(each) = sidecar.each {
            file.sql = rules.repeated(each, &file.sql, &sidecar);
        }
        match order::parse(file, sidecar) {
            Ok(model) if !broken.contains(&id) => {
                models.insert(id, model);
            }
            Ok(_) => {}
            Err(faults) => {
                problems.extend(faults);
                broken.insert(id);
            }
        }
    }
    (models, broken)
}
