//! Model files: those in the binary, and the user's folder laid over them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::catalog::TableId;
use crate::domain::names::{is_identifier, nearest};

static CORE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql/core");
static METRICS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql/metrics");
static QUALITY: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql/quality");

/// The schemas that a user's folder may hold models for.
const SCHEMAS: [&str; 7] = ["crm", "billing", "campaign", "finance", "core", "metrics", "quality"];

/// A model's two files as texts.
#[derive(Debug, Clone)]
pub(super) struct ModelFile {
    pub(super) id: TableId,
    pub(super) file: String,
    pub(super) sql: String,
    pub(super) sidecar: Option<String>,
    /// Whether the sidecar is that of the model whose place it takes.
    pub(super) is_inherited: bool,
    /// A sidecar without SQL that the user's folder lays over: its file and text.
    pub(super) overlay: Option<(String, String)>,
    pub(super) is_custom: bool,
}

fn is_model(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "sql" || end == "toml")
}

/// Returns the built-in models; a file that is no text is a problem.
pub(super) fn built_in() -> (BTreeMap<TableId, ModelFile>, Vec<String>) {
    let (mut files, mut problems) = (BTreeMap::new(), Vec::new());
    for (schema, folder) in [("core", &CORE), ("metrics", &METRICS), ("quality", &QUALITY)] {
        let paths = folder.files().map(|file| file.path()).filter(|path| is_model(path));
        let names: BTreeSet<PathBuf> = paths.map(|path| path.with_extension("")).collect();
        for path in names {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = |extension: &'static str| {
                folder.get_file(path.with_extension(extension)).map(move |file| file.contents_utf8().ok_or(extension))
            };
            let (sql, sidecar) = match (text("sql").transpose(), text("toml").transpose()) {
                (Ok(sql), Ok(sidecar)) => (sql.unwrap_or_default(), sidecar),
                (Err(extension), _) | (_, Err(extension)) => {
                    problems.push(format!("sql/{schema}/{name}.{extension}: not a text"));
                    continue;
                }
            };
            let id = TableId { schema: schema.to_owned(), name };
            let model = ModelFile {
                file: format!("sql/{schema}/{}.sql", id.name),
                sql: sql.to_owned(),
                sidecar: sidecar.map(str::to_owned),
                is_inherited: false,
                overlay: None,
                is_custom: false,
                id,
            };
            files.insert(model.id.clone(), model);
        }
    }
    (files, problems)
}

/// Lays the models of a folder over others and returns the problems found on the way.
///
/// A model without a sidecar that takes the place of another keeps the other's, but for an operator or a repetition.
pub(super) fn lay_over(files: &mut BTreeMap<TableId, ModelFile>, folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let Ok(schemas) = std::fs::read_dir(folder) else {
        return vec![format!(
            "[models] location \"{}\" is no folder that can be read; hint: a relative one counts from the folder of the configuration file",
            folder.display()
        )];
    };
    let mut entries: Vec<_> = schemas.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    entries.sort();
    for path in entries.into_iter().filter(|path| path.is_dir()) {
        let schema = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !SCHEMAS.contains(&schema.as_str()) {
            if has_models(&path) {
                problems.push(format!("{}: models are for one of the schemas {}", path.display(), SCHEMAS.join(", ")));
            }
            continue;
        }
        problems.extend(lay_schema_over(files, &schema, &path));
    }
    problems
}

fn has_models(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "sql")))
}

fn lay_schema_over(files: &mut BTreeMap<TableId, ModelFile>, schema: &str, folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let is_sql = |path: &&PathBuf| path.extension().is_some_and(|end| end == "sql");
    for path in paths.iter().filter(is_sql) {
        problems.extend(lay_model_over(files, schema, path));
    }
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
        if !path.with_extension("sql").exists() {
            problems.extend(lay_sidecar_over(files, schema, path));
        }
    }
    problems
}

fn lay_model_over(files: &mut BTreeMap<TableId, ModelFile>, schema: &str, path: &Path) -> Option<String> {
    let label = path.display().to_string();
    let id = id_of(schema, path);
    if !is_identifier(&id.name) {
        return Some(format!("{label}: a model's name has small letters, digits and _ only"));
    }
    let sql = match std::fs::read_to_string(path) {
        Ok(sql) => sql,
        Err(cause) => return Some(format!("{label}: cannot be read: {cause}")),
    };
    let own = match std::fs::read_to_string(path.with_extension("toml")) {
        Ok(text) => Some(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
        Err(cause) => return Some(format!("{}: cannot be read: {cause}", path.with_extension("toml").display())),
    };
    let is_inherited = own.is_none();
    let sidecar = own.or_else(|| files.get(&id).and_then(|replaced| replaced.sidecar.clone()));
    let model = ModelFile { id, file: label, sql, sidecar, is_inherited, overlay: None, is_custom: true };
    files.insert(model.id.clone(), model);
    None
}

fn lay_sidecar_over(files: &mut BTreeMap<TableId, ModelFile>, schema: &str, path: &Path) -> Option<String> {
    let label = path.display().to_string();
    let id = id_of(schema, path);
    let Some(model) = files.get_mut(&id) else {
        let names = files.keys().filter(|known| known.schema == schema).map(|known| known.name.as_str());
        let hint = nearest(&id.name, names)
            .map_or_else(|| "a new view needs its SQL".to_owned(), |near| format!("did you mean \"{near}\"?"));
        return Some(format!("{label}: there is no model \"{id}\", and no SQL beside the sidecar; hint: {hint}"));
    };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            model.overlay = Some((label, text));
            None
        }
        Err(cause) => Some(format!("{label}: cannot be read: {cause}")),
    }
}

fn id_of(schema: &str, path: &Path) -> TableId {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    TableId { schema: schema.to_owned(), name }
}
