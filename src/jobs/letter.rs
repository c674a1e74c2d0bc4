//! News of a job that are on their way.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// News for one channel. It stands in the journal with the deed that it tells of, so that it is not lost with a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// The name, which no other letter of the job has.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// What is sent: JSON with a `text` for people.
    pub body: Value,
    /// Who delivers it.
    pub by: String,
    /// The instant from which on another may, in microseconds since 1970-01-01 UTC.
    pub until: i64,
    /// Attempts that came to nothing.
    pub failures: u32,
    /// When the next one is made.
    pub not_before: i64,
}
