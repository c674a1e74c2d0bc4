//! What numbers are computed of: files, SQL, settings and the instant, each named by its hash.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::INPUTS;
use super::entry::Basis;
use crate::catalog::TableId;
use crate::config::settings::Settings;
use crate::domain::hash::sha256;
use crate::engine::{Engine, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Lake;
use crate::metrics::SCHEMA;
use crate::models::sidecar::Sidecar;
use crate::sources::{FileVersion, InputFile};

/// Files that a restatement names as its cause: enough to see what came, few enough to read.
const FILES_SHOWN_MAX: usize = 20;

/// The files of each source table.
pub type Files = BTreeMap<String, Vec<InputFile>>;

/// The settings, and what else of the configuration the numbers depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    settings: BTreeMap<String, String>,
    /// What is decided about metrics, where the view reads it.
    decisions: Option<String>,
}

/// What a metric is computed of, with the documents behind the hashes.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The hashes, and the instant.
    pub basis: Basis,
    /// The files of each source table.
    pub files: Files,
    documents: Vec<Bytes>,
}

impl Observation {
    /// Looks at what a metric is computed of in a session of one instant.
    ///
    /// # Errors
    /// `Source` or `Storage` where the files cannot be listed.
    pub async fn of(engine: &Engine, session: &Session, metric: &str) -> Result<Self> {
        let id = TableId { schema: SCHEMA.to_owned(), name: metric.to_owned() };
        let closure = engine.models().closure([id]);
        let files: Files = session.input_files(&closure).await?;
        let mut models = BTreeMap::from([("topline".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        for model in closure.iter().filter_map(|id| engine.models().get(id)) {
            let Sidecar { operator, beside, needs, reach, period, publish, key, .. } = &model.sidecar;
            let rows = format!("{operator:?} {beside:?} {needs:?} {reach:?}");
            let division = format!("{period:?} {publish:?} {key:?}");
            models.insert(model.id.to_string(), format!("{}\n{rows} {division}", model.sql));
        }
        let reads_decisions = closure.iter().any(|id| id.schema == "meta");
        let settings = session.settings();
        let conditions = Conditions {
            settings: settings
                .iter()
                .filter(|(spec, _)| spec.name != AS_OF)
                .map(|(spec, value)| (spec.name.to_owned(), value.to_string()))
                .collect(),
            decisions: reads_decisions.then(|| format!("{:?}", engine.config().metrics)),
        };
        let documents = [document(&files)?, document(&models)?, document(&conditions)?];
        let [inputs, sql, settings] = [0, 1, 2].map(|place: usize| sha256(&documents[place]));
        let as_of_micros = session.settings().as_of().unwrap_or_default();
        Ok(Self { basis: Basis { as_of_micros, inputs, sql, settings }, files, documents: documents.into() })
    }

    /// Keeps the documents in the warehouse.
    ///
    /// # Errors
    /// `Storage` where they cannot be written.
    pub async fn keep(&self, lake: &Lake) -> Result<()> {
        for document in &self.documents {
            lake.keep(INPUTS, document.clone()).await?;
        }
        Ok(())
    }
}

/// The setting that is part of a basis by itself.
const AS_OF: &str = "reporting.as_of";

impl Conditions {
    /// Returns the recorded conditions.
    ///
    /// # Errors
    /// `Storage` where they are not there any more.
    pub async fn recorded(lake: &Lake, basis: &Basis) -> Result<Self> {
        recorded(lake, &basis.settings).await
    }

    /// Returns the settings at an instant.
    ///
    /// # Errors
    /// `Config` where a setting is not known any more.
    pub fn at(&self, as_of_micros: i64) -> Result<Settings> {
        let mut settings = Settings::default();
        for (name, value) in &self.settings {
            settings = settings.with(name, value)?;
        }
        let instant = chrono::DateTime::from_timestamp_micros(as_of_micros).unwrap_or_default();
        settings.with(AS_OF, &instant.to_rfc3339())
    }
}

/// Returns the recorded files.
///
/// # Errors
/// `Storage` where the list is not there any more.
pub async fn recorded_files(lake: &Lake, basis: &Basis) -> Result<Files> {
    recorded(lake, &basis.inputs).await
}

async fn recorded<T: for<'de> Deserialize<'de>>(lake: &Lake, hash: &str) -> Result<T> {
    let gone = || Error::new(ErrorKind::Storage, format!("document \"{INPUTS}/{hash}.json\" of the warehouse is gone"));
    let document = lake.kept(INPUTS, hash).await?.ok_or_else(gone)?;
    serde_json::from_slice(&document).map_err(|cause| gone().with_source(cause))
}

fn document(value: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|cause| Error::new(ErrorKind::Internal, "a document cannot be encoded").with_source(cause))
}

/// Returns which files came, went or changed, as a person reads it: `+billing/payments/b.parquet`.
pub fn files_between(before: &Files, after: &Files) -> String {
    fn by_path(files: &Files) -> BTreeMap<&str, &FileVersion> {
        files.values().flatten().map(|file| (file.version.path.as_str(), &file.version)).collect()
    }
    let (before, after) = (by_path(before), by_path(after));
    let mut found = Vec::new();
    for (path, file) in &after {
        match before.get(path) {
            None => found.push(format!("+{path}")),
            Some(known) if known != file => found.push(format!("~{path}")),
            Some(_) => {}
        }
    }
    found.extend(before.keys().filter(|path| !after.contains_key(*path)).map(|path| format!("-{path}")));
    let more = found.len().saturating_sub(FILES_SHOWN_MAX);
    found.truncate(FILES_SHOWN_MAX);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found.join(", ")
}
