//! A commit: what it says, and the bytes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use deltalake::kernel::engine::arrow_conversion::TryFromArrow;
use deltalake::kernel::{Action, CommitInfo, StructType, new_metadata};
use serde_json::{Value, json};

use super::table::TableVersion;
use super::types::stored;
use super::writer::NewFile;
use crate::error::{Error, ErrorKind, Result};

/// The key of a commit's information that names its write.
pub(super) const WRITE: &str = "topline.write";

/// The key of a commit's information that counts its rows.
pub(super) const ROWS: &str = "topline.rows";

/// The feature that a table with timestamps without time zone needs.
const WITHOUT_ZONE: &str = "timestampNtz";

/// The name of one write: it stands in the commit, so that the write is found there when it is asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteId(String);

impl WriteId {
    /// Returns an id that no other write has.
    pub fn random() -> Self {
        let number = || RandomState::new().hash_one(0);
        Self(format!("{:016x}{:016x}", number(), number()))
    }

    /// Returns the id of a ticket with this number.
    pub fn of_ticket(number: u64) -> Self {
        Self(format!("ticket-{number:016x}"))
    }
}

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The columns of a table, which a commit can set.
#[derive(Debug, Clone)]
pub struct Columns {
    /// The columns as files hold them.
    pub schema: SchemaRef,
    /// The names of those by which the files are divided.
    pub partitioned_by: Vec<String>,
    /// The table's properties.
    pub properties: BTreeMap<String, String>,
}

/// The files that a commit takes out of the table.
#[derive(Debug, Clone, Default)]
pub enum Removal {
    /// None.
    #[default]
    Nothing,
    /// All that the version before it has.
    All,
    /// Those at these paths, as [`TableVersion::paths`] lists them.
    Paths(BTreeSet<String>),
}

/// What a commit changes, for one version of a table.
#[derive(Debug, Clone)]
pub struct Change {
    /// The write.
    pub write: WriteId,
    /// What it is, as the table's history shows it: `CREATE TABLE AS SELECT`.
    pub operation: &'static str,
    /// Microseconds since 1970-01-01 UTC.
    pub at_micros: i64,
    /// The rows that it says were written.
    pub rows: u64,
    /// New columns; a new table needs them.
    pub columns: Option<Columns>,
    /// The files that it takes out.
    pub removal: Removal,
    /// The files that it adds.
    pub added: Vec<NewFile>,
    /// What else the history shows, by name.
    pub information: BTreeMap<String, Value>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It is durable, as this version.
    Done(u64),
    /// Another commit was first.
    Conflict,
}

impl Change {
    /// Returns the bytes of the commit behind a version; `None` is a new table.
    ///
    /// # Errors
    /// `Internal` where the columns are none of a Delta table.
    pub(super) fn encode(&self, before: Option<&TableVersion>) -> Result<Bytes> {
        let mut lines = vec![line(&Action::CommitInfo(self.information(before)))?];
        if let Some(columns) = &self.columns {
            let has_feature = before.is_some_and(|before| before.protocol.contains(WITHOUT_ZONE));
            lines.push(protocol(has_feature || has_time_without_zone(&columns.schema)).to_string());
            lines.push(line(&Action::Metadata(metadata(columns)?))?);
        }
        if let Some(before) = before {
            let milliseconds = self.at_micros / 1000;
            for mut removed in before.removals(&self.removal)? {
                removed.deletion_timestamp = Some(milliseconds);
                lines.push(line(&Action::Remove(removed))?);
            }
        }
        for file in &self.added {
            lines.push(line(&Action::Add(file.0.clone()))?);
        }
        Ok(lines.join("\n").into())
    }

    fn information(&self, before: Option<&TableVersion>) -> CommitInfo {
        let own = [(WRITE.to_owned(), json!(self.write.0)), (ROWS.to_owned(), json!(self.rows))];
        CommitInfo {
            timestamp: Some(self.at_micros / 1000),
            operation: Some(self.operation.to_owned()),
            operation_parameters: Some(Default::default()),
            read_version: before.map(|before| before.version),
            engine_info: Some(concat!("topline/", env!("CARGO_PKG_VERSION")).to_owned()),
            info: self.information.clone().into_iter().chain(own).collect(),
            ..CommitInfo::default()
        }
    }
}

fn line(action: &Action) -> Result<String> {
    serde_json::to_string(action)
        .map_err(|cause| Error::new(ErrorKind::Internal, "a commit cannot be encoded").with_source(cause))
}

fn protocol(is_without_zone: bool) -> Value {
    if is_without_zone {
        json!({"protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": [WITHOUT_ZONE], "writerFeatures": [WITHOUT_ZONE],
        }})
    } else {
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
    }
}

fn metadata(columns: &Columns) -> Result<deltalake::kernel::Metadata> {
    let schema = stored(&columns.schema);
    let schema = StructType::try_from_arrow(schema.as_ref())
        .map_err(|cause| Error::new(ErrorKind::Internal, "the columns are none of a Delta table").with_source(cause))?;
    new_metadata(&schema, &columns.partitioned_by, &columns.properties)
        .map_err(|cause| Error::new(ErrorKind::Internal, "a table cannot be described").with_source(cause))
}

fn has_time_without_zone(schema: &SchemaRef) -> bool {
    fn is_one(kind: &DataType) -> bool {
        match kind {
            DataType::Timestamp(_, None) => true,
            DataType::List(field) => is_one(field.data_type()),
            DataType::Struct(fields) => fields.iter().any(|field| is_one(field.data_type())),
            _ => false,
        }
    }
    schema.fields().iter().any(|field| is_one(field.data_type()))
}
