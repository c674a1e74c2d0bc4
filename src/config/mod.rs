//! Configuration: one TOML file, overridden by the environment, checked as a whole before anything starts.
//!
//! Owns the names, types and bounds of all keys, and is the only reader of environment variables. Must not know what a
//! source holds. Start at [`Config::load`]; the settings that SQL may read are in [`settings`].

mod environment;
mod governance;
mod jobs;
mod limits;
mod notify;
mod overrides;
mod quality;
mod reader;
mod roles;
mod sandbox;
mod security;
pub mod settings;
mod sources;
mod traces;
mod watch;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::domain::governance::Decisions;
use crate::error::{Error, ErrorKind, Result};
pub use environment::Environment;
pub use jobs::{JobConfig, JobMonths, Missed};
pub use limits::limit_named;
pub use notify::{Address, ChannelConfig, Means, News};
pub use quality::{NamePattern, QualityConfig, RequiredField};
pub use roles::{FilterConfig, Mask, MaskConfig, Place, RoleConfig, SandboxRight, roles_of_file};
pub use sandbox::{SandboxLimits, Warehouse};
pub use security::{OidcConfig, SecurityConfig, TlsConfig, is_private_url};
use settings::Settings;
pub use traces::TracesConfig;
pub use watch::AuditConfig;

/// The schemas of the source contract.
pub const CONTRACT_SCHEMAS: [&str; 4] = ["crm", "billing", "campaign", "finance"];

/// The schemas that topline itself fills; no source may be called like one of them.
pub const BUILT_IN_SCHEMAS: [&str; 7] =
    ["core", "metrics", "published", "quality", "meta", "sandbox", "information_schema"];

/// The file that is read when no other is named.
pub const DEFAULT_FILE: &str = "topline.toml";

/// What a source holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connector {
    /// The tables already are those of the contract schema that the source is named after.
    Canonical,
    /// Whatever lies there is registered under the source's name, for models to map.
    Raw,
}

/// Where a source lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder or file of this machine.
    Local(PathBuf),
    /// `s3://`, `gs://`, `az://`, `http://` or `https://`.
    Url(Url),
    /// The sample that the binary brings along: the folder of this schema.
    Sample(&'static str),
}

/// A `[sources.NAME]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// The name, which is the schema of its tables.
    pub name: String,
    /// What it holds.
    pub connector: Connector,
    /// Where it lies.
    pub location: Location,
}

/// The `[limits]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all queries together; a query spills to disk before it fails.
    pub memory_bytes: usize,
    /// Seconds after which a query is ended.
    pub query_seconds: u64,
    /// Rows after which a result is ended; `None` is no limit.
    pub rows: Option<u64>,
    /// Threads that a query uses.
    pub threads: usize,
    /// Memory of one query of a server.
    pub memory_per_query_bytes: usize,
    /// Bytes in memory after which a result is ended; `None` is no limit.
    pub result_bytes: Option<u64>,
    /// Large queries that a server runs at once.
    pub queries: usize,
    /// Those of them that are of one user.
    pub queries_per_user: usize,
    /// Queries that may wait for a place.
    pub queue: usize,
    /// Seconds that one waits.
    pub queue_seconds: u64,
    /// Disk for what does not fit the memory of all queries together, in bytes.
    pub temporary_disk_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // Enough for twenty million touches in memory, small enough for a laptop.
        let memory_bytes = 4 << 30;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            memory_bytes,
            // Longer than any view needs at twenty million touches, shorter than a forgotten query may run.
            query_seconds: 900,
            rows: None,
            threads,
            memory_per_query_bytes: Self::memory_for_one(memory_bytes),
            // Rows go out as they are made, so a long result costs no memory.
            result_bytes: None,
            queries: Self::queries_for(threads),
            queries_per_user: Self::queries_for_one(Self::queries_for(threads)),
            // A team's dashboards that all refresh at once.
            queue: 256,
            // As long as a person waits, and shorter than proxies do.
            queue_seconds: 60,
            // Several times the memory, and a part of a laptop's disk.
            temporary_disk_bytes: 32 << 30,
        }
    }
}

impl Limits {
    /// Returns the memory of one query where it is not configured: half, so that one alone never takes all.
    pub(super) fn memory_for_one(memory_bytes: usize) -> usize {
        memory_bytes / 2
    }

    /// Returns the large queries at once where they are not configured: each can use all threads, and more only take turns.
    pub(super) fn queries_for(threads: usize) -> usize {
        threads.max(2)
    }

    /// Returns the large queries of one user where they are not configured: some places are left for others.
    pub(super) fn queries_for_one(queries: usize) -> usize {
        (queries - queries.div_ceil(4)).max(1)
    }
}

/// A whole configuration; every value has been checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; `None` is the sample.
    pub file: Option<PathBuf>,
    /// The values that SQL reads as `setting('...')`.
    pub settings: Settings,
    /// The sources, in the order of their names.
    pub sources: Vec<SourceConfig>,
    /// The jobs, in the order of the file.
    pub jobs: Vec<JobConfig>,
    /// Whom jobs tell what became of them, by the channel's name.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// What is decided about metrics, by their names; `win_rate:Demo` is a part of `win_rate`.
    pub metrics: BTreeMap<String, Decisions>,
    /// Who may read what, by the role's name; none is everyone everything.
    pub roles: BTreeMap<String, RoleConfig>,
    /// The folder laid over the built-in models.
    pub models: Option<PathBuf>,
    /// Which rules of schema `quality` are on, and what they are told.
    pub quality: QualityConfig,
    /// Where topline keeps what it knows of the sources, and what its users write.
    pub warehouse: Warehouse,
    /// What users may write.
    pub sandbox: SandboxLimits,
    /// The address of the Flight SQL server.
    pub listen: SocketAddr,
    /// The address of health and metrics; `None` serves none.
    pub http: Option<SocketAddr>,
    /// Where logins, refusals, writes and administrative acts are written down; `None` is nowhere.
    pub audit: Option<AuditConfig>,
    /// The collector that calls are told to; `None` is told nothing.
    pub traces: Option<TracesConfig>,
    /// Who may connect to the servers, and how.
    pub security: SecurityConfig,
    /// How long calls may take to come to their end once the server is told to stop.
    pub grace: Duration,
    /// What a query may use.
    pub limits: Limits,
    /// Options of object stores (`AWS_REGION` and the like), from the environment.
    pub storage_options: Vec<(String, String)>,
}

impl Config {
    /// Returns the configuration of `file`, else of `./topline.toml`, else the sample's.
    ///
    /// # Errors
    /// `Config` with every problem: unknown keys, wrong types, values out of bounds, a file that cannot be read.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self> {
        let default = Path::new(DEFAULT_FILE);
        match file {
            Some(file) => Self::read(file, environment),
            None if default.exists() => Self::read(default, environment),
            None => Self::sample(environment),
        }
    }

    /// Returns the configuration of the sample that the binary brings along.
    ///
    /// # Errors
    /// `Config` where an environment variable is wrong.
    pub fn sample(environment: &Environment) -> Result<Self> {
        reader::read(None, include_str!("../../data/sample/topline.toml"), environment)
    }

    /// Returns the configuration in a text, as if it stood in a file of this folder.
    #[cfg(any(test, fuzzing))]
    pub fn of_text(text: &str) -> Result<Self> {
        reader::read(Some(Path::new(DEFAULT_FILE)), text, &Environment::default())
    }

    fn read(file: &Path, environment: &Environment) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|cause| {
            let why = match cause.kind() {
                std::io::ErrorKind::NotFound => "does not exist".to_owned(),
                _ => format!("cannot be read: {cause}"),
            };
            Error::new(ErrorKind::Config, format!("configuration file \"{}\" {why}", file.display()))
                .with_hint("name another with --config FILE, or leave it out to work on the sample")
        })?;
        reader::read(Some(file), &text, environment)
    }
}

/// Returns the address that is served when none is configured: loopback only.
/// Returns less than the 30 seconds after which service managers kill.
fn default_grace() -> Duration {
    Duration::from_secs(20)
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 50051))
}
