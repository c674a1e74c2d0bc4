//! The `[warehouse]` and `[sandbox]` sections.

use std::path::Path;

use toml::Value;
use url::Url;

use super::Location;
use super::reader::{Reader, described, parse_bytes};

/// The keys of `[sandbox]`.
pub(super) const SANDBOX_KEYS: [&str; 4] = ["bytes", "table_bytes", "tables", "writable"];

/// The folder of a warehouse that is not configured, beside the configuration file.
const DEFAULT_FOLDER: &str = "warehouse";

/// Where topline keeps what it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warehouse {
    /// Where it lies; made by the first write.
    pub location: Location,
    /// Whether the configuration names it; else only a user's write makes it.
    pub is_configured: bool,
    /// Whether metrics are read in published months where these are as they are when they are computed.
    pub is_accelerating: bool,
}

impl Warehouse {
    /// Returns the warehouse that is used when none is configured.
    pub(super) fn beside(folder: &Path) -> Self {
        let location = Location::Local(folder.join(DEFAULT_FOLDER));
        Self { location, is_configured: false, is_accelerating: false }
    }

    /// Returns the folder of this machine in which small files may be kept; `None` where there is none, or none yet.
    pub fn folder(&self) -> Option<&Path> {
        match &self.location {
            Location::Local(folder) if self.is_configured || folder.is_dir() => Some(folder),
            _ => None,
        }
    }
}

/// The `[sandbox]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Whether users may write to schema `sandbox`.
    pub is_writable: bool,
    /// Bytes of all its tables together.
    pub bytes: u64,
    /// Bytes of one table.
    pub table_bytes: u64,
    /// Tables and views.
    pub tables: u64,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            is_writable: true,
            // A tenth of a laptop's disk, and more than analysts' side tables ever are.
            bytes: 10 << 30,
            // Some hundred million rows of a few columns.
            table_bytes: 4 << 30,
            // As many as a person can still find one in.
            tables: 1000,
        }
    }
}

impl Reader {
    pub(super) fn warehouse(&mut self, place: &str, value: Value, folder: &Path) -> Option<Location> {
        let text = self.text(place, value)?;
        if !text.contains("://") {
            return Some(Location::Local(folder.join(text)));
        }
        match Url::parse(&text) {
            Ok(url) if url.password().is_some() || !url.username().is_empty() => {
                self.problem_at(place, "a URL must not hold credentials; hint: set them in the environment");
                None
            }
            Ok(url) if ["s3", "gs", "az"].contains(&url.scheme()) && url.has_host() => Some(Location::Url(url)),
            _ => {
                self.problem_at(place, format!("expected a folder, or an s3://, gs:// or az:// URL, found \"{text}\""));
                None
            }
        }
    }

    pub(super) fn sandbox(&mut self, limits: &mut SandboxLimits, key: &str, value: &Value) {
        let place = format!("[sandbox] {key}");
        if key == "writable" {
            limits.is_writable = self.flag(&place, value.clone());
            return;
        }
        let number = match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) if key == "tables" => text.parse().ok(),
            Value::String(text) => parse_bytes(text).and_then(|bytes| u64::try_from(bytes).ok()),
            _ => None,
        };
        let (limit, expected) = match key {
            "bytes" => (&mut limits.bytes, "a size such as \"10 GB\""),
            "table_bytes" => (&mut limits.table_bytes, "a size such as \"4 GB\""),
            _ => (&mut limits.tables, "a whole number from 0"),
        };
        match number {
            Some(number) => *limit = number,
            None => self.problem_at(&place, format!("expected {expected}, found {}", described(value))),
        }
    }
}
