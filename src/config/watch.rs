//! The sections `[http]` and `[audit]`: what is seen of a server, and what is written down.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::reader::{Reader, described, parse_bytes};

/// The keys of `[http]`.
pub(super) const HTTP_KEYS: [&str; 1] = ["address"];

/// The keys of `[audit]`.
pub(super) const AUDIT_KEYS: [&str; 4] = ["keep", "max_size", "path", "required"];

/// The size at which a file of the log is put aside: some hundred thousand entries, which editors still open.
const MAX_BYTES: u64 = 64 << 20;

/// The least such size.
const MAX_BYTES_MIN: u64 = 1 << 10;

/// Files that are kept: with the default size, a year of a busy server.
const KEEP: u32 = 10;

/// The most files that are kept: each is renamed when the next one is full.
const KEEP_MAX: u32 = 1_000;

/// The `[audit]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// The file.
    pub path: PathBuf,
    /// Bytes at which it is put aside.
    pub max_bytes: u64,
    /// Files that are kept besides.
    pub keep: u32,
    /// Whether what cannot be written down is refused.
    pub is_required: bool,
}

impl Reader {
    /// Reads `[http]`: the address.
    pub(super) fn http(&mut self, mut keys: Table) -> Option<SocketAddr> {
        self.refuse_unknown("http", &keys, &HTTP_KEYS);
        let place = "[http] address";
        let text = self.text(place, keys.remove("address")?)?;
        let address = text.parse().ok();
        if address.is_none() {
            self.problem_at(place, format!("expected an address such as 127.0.0.1:9090, found \"{text}\""));
        }
        address
    }

    /// Reads `[audit]`.
    pub(super) fn audit(&mut self, mut keys: Table, folder: &Path) -> Option<AuditConfig> {
        self.refuse_unknown("audit", &keys, &AUDIT_KEYS);
        let is_required = keys.remove("required").is_some_and(|value| self.flag("[audit] required", value));
        let size = |value: &Value| match value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::String(text) => parse_bytes(text).and_then(|bytes| u64::try_from(bytes).ok()),
            _ => None,
        };
        let mut max_bytes = MAX_BYTES;
        if let Some(value) = keys.remove("max_size") {
            match size(&value).filter(|bytes| *bytes >= MAX_BYTES_MIN) {
                Some(bytes) => max_bytes = bytes,
                None => self.problem_at(
                    "[audit] max_size",
                    format!("expected a size of at least 1 KB such as \"64 MB\", found {}", described(&value)),
                ),
            }
        }
        let mut keep = KEEP;
        if let Some(value) = keys.remove("keep") {
            let found = value.as_integer().and_then(|count| u32::try_from(count).ok());
            match found.filter(|count| (1..=KEEP_MAX).contains(count)) {
                Some(count) => keep = count,
                None => self.problem_at(
                    "[audit] keep",
                    format!("expected a whole number from 1 to {KEEP_MAX}, found {}", described(&value)),
                ),
            }
        }
        let Some(path) = keys.remove("path") else {
            self.problem_at("[audit]", "key \"path\" is missing; hint: name the file that entries are added to");
            return None;
        };
        let path = folder.join(self.text("[audit] path", path)?);
        Some(AuditConfig { path, max_bytes, keep, is_required })
    }
}
