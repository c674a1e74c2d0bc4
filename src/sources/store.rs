//! A source's object store, and the tables that lie in it.

use std::collections::BTreeMap;
use std::path::Path as LocalPath;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::datasource::object_store::ObjectStoreUrl;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, parse_url_opts};
use percent_encoding::percent_decode_str;

use super::sample_store;
use crate::config::{Location, SourceConfig};
use crate::error::{Error, ErrorKind, Result};

const EXTENSION: &str = ".parquet";

/// A configured source, opened.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name, which is the schema of its tables.
    pub name: String,
    /// The URL under which plans name its store; nothing outside the source can be reached through it.
    pub url: ObjectStoreUrl,
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    location: String,
    prefix: Path,
    single_file: Option<Path>,
    is_remote: bool,
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct FileVersion {
    /// The path within the source.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The store's tag of the version, else the time of the last change.
    pub version: String,
}

/// A Parquet file of a table.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Where it lies in the store, its size and version.
    pub meta: ObjectMeta,
    /// The path as a person sees it: `crm/accounts/part-0.parquet`.
    pub label: String,
    /// Values of Hive partitions in its path, `key=value`, in the order of the path.
    pub partitions: Vec<(String, String)>,
}

/// The value of a Hive partition that stands for NULL.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

impl SourceFile {
    /// Returns the value that the path gives to a column, as the column's type; `None` where the path does not name it.
    ///
    /// # Errors
    /// The text of the problem where the value is none of the type.
    pub fn partition_value(&self, name: &str, kind: &DataType) -> Option<Result<ScalarValue, String>> {
        let (_, text) = self.partitions.iter().find(|(key, _)| key == name)?;
        let value = match text.as_str() {
            NULL_PARTITION => ScalarValue::try_from(kind),
            text => ScalarValue::try_from_string(text.to_owned(), kind),
        };
        Some(value.map_err(|_| format!("{}: \"{text}\" is no value of column \"{name}\"", self.label)))
    }

    /// Returns what tells this version of the file from others.
    pub fn version(&self) -> FileVersion {
        let time = self.meta.last_modified.timestamp_micros().to_string();
        FileVersion { path: self.label.clone(), size: self.meta.size, version: self.meta.e_tag.clone().unwrap_or(time) }
    }
}

impl Source {
    /// Opens a source; reads nothing but, on this machine, whether the location is there.
    ///
    /// # Errors
    /// `Source` where the location does not exist, `Config` where a store's options are wrong.
    pub async fn open(config: &SourceConfig, options: &[(String, String)]) -> Result<Self> {
        let name = config.name.clone();
        let url = ObjectStoreUrl::parse(format!("source://{name}")).map_err(|cause| {
            Error::new(ErrorKind::Internal, format!("source \"{name}\" has no URL")).with_source(cause)
        })?;
        let whole = |store: Arc<dyn ObjectStore>, prefix: Path| Self {
            name: name.clone(),
            url: url.clone(),
            store,
            location: match &config.location {
                Location::Sample(schema) => format!("the sample's {schema}"),
                Location::Local(path) => path.display().to_string(),
                Location::Url(address) => address.to_string(),
            },
            prefix,
            single_file: None,
            is_remote: false,
        };
        match &config.location {
            Location::Sample(schema) => Ok(whole(sample_store::open(schema).await?, Path::default())),
            Location::Local(path) => {
                let (folder, single_file) = if path.is_file() {
                    let file = path.file_name().map(|file| Path::from(file.to_string_lossy().as_ref()));
                    (path.parent().unwrap_or(LocalPath::new(".")), file)
                } else {
                    (path.as_path(), None)
                };
                let folder = if folder.as_os_str().is_empty() { LocalPath::new(".") } else { folder };
                let store = LocalFileSystem::new_with_prefix(folder).map_err(|cause| {
                    Error::new(
                        ErrorKind::Source,
                        format!("source \"{name}\": location \"{}\" does not exist or cannot be read", path.display()),
                    )
                    .with_hint("a relative location counts from the folder of the configuration file")
                    .with_source(cause)
                })?;
                Ok(Self { single_file, ..whole(Arc::new(store), Path::default()) })
            }
            Location::Url(address) => {
                // Whoever writes http:// means it; the store would refuse all but https://.
                let is_plain = address.scheme() == "http";
                let allow_http = is_plain.then(|| ("allow_http".to_owned(), "true".to_owned()));
                let options = options.iter().map(|(key, value)| (key.to_lowercase(), value.clone())).chain(allow_http);
                let (store, path) = parse_url_opts(address, options).map_err(|cause| {
                    Error::new(
                        ErrorKind::Config,
                        format!("source \"{name}\": the object store of \"{address}\" cannot be opened"),
                    )
                    .with_hint("its options come from variables such as AWS_REGION")
                    .with_source(cause)
                })?;
                let is_file = address.scheme().starts_with("http") || path.as_ref().ends_with(EXTENSION);
                let single_file = is_file.then(|| path.clone());
                Ok(Self { single_file, is_remote: true, ..whole(store.into(), path) })
            }
        }
    }

    /// Returns a store as a source of files whose places are known; it is never listed.
    pub fn of_store(name: &str, url: ObjectStoreUrl, store: Arc<dyn ObjectStore>) -> Self {
        let (name, location) = (name.to_owned(), name.to_owned());
        Self { name, url, store, location, prefix: Path::default(), single_file: None, is_remote: false }
    }

    /// Returns whether the files lie across a network.
    pub fn is_remote(&self) -> bool {
        self.is_remote
    }

    /// Returns the tables: `TABLE.parquet`, or every `TABLE/**/*.parquet`.
    ///
    /// Files and folders whose name starts with `_` or `.` are left out, as loaders use them for work in progress.
    ///
    /// # Errors
    /// `Storage` where the location cannot be listed.
    pub async fn tables(&self) -> Result<BTreeMap<String, Vec<SourceFile>>> {
        let failed = |cause: object_store::Error| {
            let place = format!("source \"{}\": location \"{}\"", self.name, self.location);
            match cause {
                object_store::Error::NotFound { .. } => {
                    Error::new(ErrorKind::Source, format!("{place} does not exist")).with_source(cause)
                }
                cause => Error::new(ErrorKind::Storage, format!("{place} cannot be listed"))
                    .with_hint("can it be reached, and do the credentials in the environment allow it?")
                    .with_source(cause),
            }
        };
        let found = match &self.single_file {
            Some(path) => vec![self.store.head(path).await.map_err(failed)?],
            None => self.store.list(Some(&self.prefix)).try_collect().await.map_err(failed)?,
        };
        let mut tables: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
        for meta in found {
            let location = meta.location.clone();
            let relative: Vec<_> = match &self.single_file {
                Some(_) => location.parts().next_back().into_iter().map(|part| part.as_ref().to_owned()).collect(),
                None => location
                    .prefix_match(&self.prefix)
                    .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect())
                    .unwrap_or_default(),
            };
            let is_hidden = relative.iter().any(|part: &String| part.starts_with(['_', '.']));
            let Some(file) = relative.last().filter(|file| file.ends_with(EXTENSION) && !is_hidden) else { continue };
            let table = if relative.len() == 1 { file.trim_end_matches(EXTENSION) } else { &relative[0] };
            let partitions = relative
                .iter()
                .take(relative.len().saturating_sub(1))
                .skip(1)
                .filter_map(|part| part.split_once('='))
                .map(|(key, value)| (decoded(key), decoded(value)))
                .collect();
            let label = format!("{}/{}", self.name, relative.join("/"));
            tables.entry(table.to_owned()).or_default().push(SourceFile { meta, label, partitions });
        }
        for files in tables.values_mut() {
            files.sort_by(|a, b| a.label.cmp(&b.label));
        }
        Ok(tables)
    }
}

/// Returns a part of a Hive partition; what a path cannot hold is written as `%2F` there.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}
