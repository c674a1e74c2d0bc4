//! The `[limits]` section.

use toml::{Table, Value};

use super::Limits;
use super::reader::{Reader, described, parse_bytes};

/// The keys of `[limits]`.
pub(super) const LIMIT_KEYS: [&str; 11] = [
    "memory",
    "memory_per_query",
    "queries",
    "queries_per_user",
    "query_seconds",
    "queue",
    "queue_seconds",
    "result_bytes",
    "rows",
    "temporary_disk",
    "threads",
];

/// Returns the key of `[limits]` that a text names as `[limits] KEY`; `None` where it names none.
pub fn limit_named(text: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once("[limits] ")?;
    let is_word = |other: char| other.is_ascii_lowercase() || other == '_';
    let word = rest.split(|other| !is_word(other)).next()?;
    LIMIT_KEYS.into_iter().find(|key| *key == word)
}

/// The keys that hold a size.
pub(super) const SIZE_KEYS: [&str; 4] = ["memory", "memory_per_query", "result_bytes", "temporary_disk"];

/// The most threads that a query may use: more only costs memory.
const THREADS_MAX: u64 = 256;

/// The most large queries at once: with more, each has too little of the machine to come to an end.
const QUERIES_MAX: u64 = 1_000;

/// The most queries that wait: each holds its plan.
const QUEUE_MAX: u64 = 100_000;

/// The least memory with which every operator can work at all.
const MEMORY_MIN_BYTES: u64 = 32 << 20;

impl Reader {
    /// Reads `[limits]`. What is not configured follows from what is.
    pub(super) fn limits(&mut self, keys: Table) -> Limits {
        self.refuse_unknown("limits", &keys, &LIMIT_KEYS);
        let defaults = Limits::default();
        let mut number = |key: &str, low: u64, high: u64| self.limit(&keys, key, low, high);
        // In the order of the keys, as problems are listed.
        let memory = number("memory", MEMORY_MIN_BYTES, u64::MAX).map_or(defaults.memory_bytes, to_usize);
        let of_one = number("memory_per_query", MEMORY_MIN_BYTES, u64::MAX);
        let queries = number("queries", 1, QUERIES_MAX);
        let of_user = number("queries_per_user", 1, QUERIES_MAX);
        let query_seconds = number("query_seconds", 1, u64::MAX).unwrap_or(defaults.query_seconds);
        let queue = number("queue", 0, QUEUE_MAX).map_or(defaults.queue, to_usize);
        let queue_seconds = number("queue_seconds", 0, u64::MAX).unwrap_or(defaults.queue_seconds);
        let result_bytes = number("result_bytes", 1, u64::MAX);
        let rows = number("rows", 1, u64::MAX);
        let disk = number("temporary_disk", 0, u64::MAX).unwrap_or(defaults.temporary_disk_bytes);
        let threads = number("threads", 1, THREADS_MAX).map_or(defaults.threads, to_usize);
        let queries = queries.map_or(Limits::queries_for(threads), to_usize);
        Limits {
            memory_bytes: memory,
            query_seconds,
            rows,
            threads,
            memory_per_query_bytes: of_one.map_or(Limits::memory_for_one(memory), to_usize),
            result_bytes,
            queries,
            queries_per_user: of_user.map_or(Limits::queries_for_one(queries), to_usize),
            queue,
            queue_seconds,
            temporary_disk_bytes: disk,
        }
    }

    fn limit(&mut self, keys: &Table, key: &str, low: u64, high: u64) -> Option<u64> {
        let value = keys.get(key)?;
        let is_size = SIZE_KEYS.contains(&key);
        let number = match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) if is_size => parse_bytes(text).map(|bytes| bytes as u64),
            _ => None,
        };
        let found = number.filter(|number| (low..=high).contains(number));
        if found.is_none() {
            let expected = match (is_size, low, high) {
                (true, MEMORY_MIN_BYTES, _) => "a size of at least 32 MB such as \"512 MB\"".to_owned(),
                (true, ..) => "a size such as \"512 MB\"".to_owned(),
                (false, 1, u64::MAX) => "a whole number above 0".to_owned(),
                (false, low, u64::MAX) => format!("a whole number from {low}"),
                (false, low, high) => format!("a whole number from {low} to {high}"),
            };
            self.problem_at(&format!("[limits] {key}"), format!("expected {expected}, found {}", described(value)));
        }
        found
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
