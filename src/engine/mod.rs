//! The engine: sessions, settings, running a query within its limits. The only maker of query contexts.
//!
//! [`Engine`] holds what all queries share, [`Session`] the settings of one user's, [`Statement`] a planned query and
//! [`QueryStream`] its rows. `gate` says what may run; `row_checks` what must hold of the rows before the first
//! answer, `laws` what must hold of the rows of views; `sandbox` is what users write,
//! `published` the months that do not move. Knows nothing of protocols and terminals. Start at [`Engine::open`].

mod access;
mod admission;
mod attribution_function;
mod bounds;
mod branches;
mod clauses;
pub mod comparison;
mod conditions;
mod constants;
mod databases;
mod days;
mod expressions;
mod faults;
mod freshness;
mod gate;
pub mod handed;
mod information;
mod kill;
mod lanes;
pub mod laws;
mod lineage;
mod memory;
mod meta;
mod native;
mod parameters;
mod parts;
pub mod published;
mod references;
mod result;
mod row_checks;
mod runs;
mod sandbox;
mod scanned;
mod schemas;
mod session;
mod state;
mod statement;
mod stop;
mod table_functions;
pub mod targets;
mod timely;
mod unique_keys;
mod widths;
mod windows;
mod wire_types;
mod yielding;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::audit::AuditLog;
use crate::auth::ANONYMOUS;
use crate::catalog::contract::Contract;
use crate::catalog::{Catalog, TableId, TableState};
use crate::config::{Config, Connector, SourceConfig};
use crate::domain::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::names::SessionUser;
use crate::lake::Lake;
use crate::metrics::{Metric, unknown_metrics};
use crate::models::{MODELS_ARE_WRONG, ModelSet};
use access::Roles;
pub use access::report::{Access, TableAccess};
pub use admission::Lane;
pub use bounds::STACK_BYTES;
pub use faults::limit_of_panic;
pub use parts::Part;
pub use references::Reference;
pub use result::{QueryStream, RunStatistics};
pub use runs::{DURATION_BOUNDS, Durations, Origin, Planning, Refusal, Run, State, Totals};
use sandbox::Sandbox;
pub use sandbox::{Exists, Ingest, Missing, WriteTicket};
pub use session::{Outcome, Session};
use state::Shared;
pub use statement::{Ready, Statement};
pub use stop::Stop;
pub use timely::apart;
pub use wire_types::{WireTypes, wire_schema};

/// The catalog's name.
pub const CATALOG: &str = "topline";

/// The schema of names that have none.
pub const DEFAULT_SCHEMA: &str = "metrics";

/// What all queries share. Cheap to clone.
///
/// ```no_run
/// # async fn example() -> topline::Result<()> {
/// use topline::config::{Config, Environment};
/// use topline::engine::Engine;
///
/// let engine = Engine::open(Config::load(None, &Environment::of_process())?).await?;
/// let rows = engine.session().query("select month, nrr from nrr").await?.collect().await?;
/// # let _ = rows;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    /// `None` in an engine that the engine itself makes for a look: it is no way to another user's.
    roles: Option<Arc<Roles>>,
    user: SessionUser,
}

/// Whether a name stands for files or for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// A table of files.
    Base,
    /// A view.
    View,
}

/// A table or view as clients list it.
#[derive(Debug, Clone)]
pub struct TableListing {
    /// Schema and name.
    pub id: TableId,
    /// Whether it is a view, as opposed to a table of files.
    pub is_view: bool,
    /// What a row is.
    pub description: String,
    /// The columns that tell rows apart.
    pub key: Vec<String>,
    /// The columns as they arrive at a client.
    pub schema: SchemaRef,
    /// What each column means, in the order of the columns; empty where nothing is said.
    pub column_descriptions: Vec<String>,
}

impl Engine {
    /// Opens the sources, holds their footers against the contract, loads the models and plans those of the user's folder.
    ///
    /// # Errors
    /// `Config`, `Source` and `Model`, each with every problem of its kind.
    pub async fn open(config: Config) -> Result<Self> {
        Self::open_at(config, Clock::System).await
    }

    /// Opens an engine whose "now" is given.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_at(config: Config, clock: Clock) -> Result<Self> {
        let warehouse = Lake::open(&config.warehouse.location, &config.storage_options)?;
        Self::open_over(config, clock, warehouse).await
    }

    /// Opens an engine whose warehouse is given, wherever the configuration says that it lies.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_over(config: Config, clock: Clock, warehouse: Lake) -> Result<Self> {
        let raw: Vec<String> = config
            .sources
            .iter()
            .filter(|source| source.connector == Connector::Raw)
            .map(|SourceConfig { name, .. }| name.clone())
            .collect();
        let models = ModelSet::load(config.models.as_deref(), &raw, &config.quality)?;
        let origin = config.file.as_ref().map_or_else(String::new, |file| format!("{}: ", file.display()));
        let unknown = unknown_metrics(&models, &config.metrics).into_iter().map(|problem| format!("{origin}{problem}"));
        if let Some(error) = Error::list(ErrorKind::Config, "the configuration is wrong", unknown.collect()) {
            return Err(error);
        }
        let audit = Arc::new(AuditLog::open(config.audit.as_ref(), clock)?);
        let runtime = state::runtime(&config)?;
        let catalog = Catalog::open(&config, runtime.cache_manager.get_file_metadata_cache()).await?;
        let tables = catalog.tables().map(|table| table.id.clone()).collect();
        if let Some(error) = Error::list(ErrorKind::Model, MODELS_ARE_WRONG, models.unknown_tables(&tables)) {
            return Err(error);
        }
        let sandbox = Sandbox::new(warehouse, config.sandbox);
        let shared = Shared::new(config, clock, catalog, models, sandbox, runtime, audit);
        schemas::plan_custom_models(&shared).await?;
        let roles = Some(Arc::new(Roles::open(&shared).await?));
        Ok(Self { shared, roles, user: SessionUser::owner(ANONYMOUS) })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Returns the clock that "now" is read from.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Returns the log of what is done.
    pub fn audit(&self) -> Arc<AuditLog> {
        Arc::clone(&self.shared.audit)
    }

    /// Returns the memory that queries hold, in bytes.
    pub fn memory_in_use(&self) -> usize {
        self.shared.memory_in_use()
    }

    /// Returns the bytes of the temporary files of all queries.
    pub fn temporary_disk_in_use(&self) -> u64 {
        self.shared.base().runtime_env().disk_manager.used_disk_space()
    }

    /// Returns how many queries compute and how many wait, in a lane.
    pub fn places(&self, lane: Lane) -> (usize, usize) {
        self.shared.runs.admission.counts(lane)
    }

    /// Returns what the queries of the server that have ended came to.
    pub fn totals(&self) -> &Totals {
        self.shared.runs.totals()
    }

    /// Returns a session with the configured settings.
    pub fn session(&self) -> Session {
        Session::new(Arc::clone(&self.shared), self.user.clone())
    }

    /// Returns the names of the schemas, in the order of their names.
    pub fn schemas(&self) -> Vec<String> {
        self.shared.schema_names()
    }

    /// Returns the names of the tables and views that a client may read, by schema and name, without planning any.
    ///
    /// # Errors
    /// `Storage` where the warehouse cannot be read.
    pub async fn table_names(&self) -> Result<Vec<(TableId, TableKind)>> {
        self.shared.refresh().await?;
        let mut names = Vec::new();
        for schema in self.schemas() {
            for name in self.shared.table_names(&schema) {
                let id = TableId { schema: schema.clone(), name };
                let kind = self.shared.kind(&id);
                names.push((id, kind));
            }
        }
        Ok(names)
    }

    /// Returns every table and view that a client may read.
    ///
    /// # Errors
    /// `Model` where a view cannot be planned, `Storage` where the warehouse cannot be read.
    pub async fn tables(&self) -> Result<Vec<TableListing>> {
        self.shared.refresh().await?;
        let mut listings = Vec::new();
        for schema in self.schemas() {
            for name in self.shared.table_names(&schema) {
                listings.push(self.table(&TableId { schema: schema.clone(), name }).await?);
            }
        }
        Ok(listings)
    }

    /// Returns a table or view.
    ///
    /// # Errors
    /// `NotFound` where there is none of that name, with the nearest one.
    pub async fn table(&self, id: &TableId) -> Result<TableListing> {
        self.table_as(id, WireTypes::default()).await
    }

    /// Returns a table or view with its columns in the types of a session.
    ///
    /// # Errors
    /// As [`Engine::table`].
    pub async fn table_as(&self, id: &TableId, types: WireTypes) -> Result<TableListing> {
        let provider = self.shared.provider(id).await?;
        let schema = types.schema(&provider.schema());
        let model = self.shared.models.get(&published::described_by(id));
        let contract = Contract::get().table(&id.schema, &id.name);
        let (description, key) = match (model, contract) {
            (Some(model), _) if !model.sidecar.description.is_empty() => {
                (model.sidecar.description.clone(), model.sidecar.key.clone())
            }
            (_, Some(contract)) => (contract.description.clone(), contract.key.clone()),
            (Some(model), None) => (model.sidecar.description.clone(), model.sidecar.key.clone()),
            (None, None) => (self.shared.meta_description(id), Vec::new()),
        };
        let describe = |name: &str| {
            let of_model =
                model.and_then(|model| model.sidecar.columns.iter().find(|doc| doc.0 == name).map(|doc| doc.2.clone()));
            let of_contract = || {
                contract.and_then(|table| {
                    table.columns.iter().find(|column| column.name == name).map(|column| column.description.clone())
                })
            };
            let own = || published::own_column(id, name).map(str::to_owned);
            of_model.or_else(of_contract).or_else(own).unwrap_or_default()
        };
        let column_descriptions = schema.fields().iter().map(|field| describe(field.name())).collect();
        let key = if key.iter().all(|column| schema.column_with_name(column).is_some()) { key } else { Vec::new() };
        let is_view = self.shared.kind(id) == TableKind::View;
        Ok(TableListing { id: id.clone(), is_view, description, key, schema, column_descriptions })
    }

    /// Returns the metrics with what is known of each.
    pub fn metrics(&self) -> Vec<Metric> {
        self.shared.metrics()
    }

    /// Returns the models.
    pub fn models(&self) -> &ModelSet {
        &self.shared.models
    }

    /// Returns what is found of every source table by now.
    ///
    /// # Errors
    /// `Source` or `Storage` where files that were added do not hold what they must.
    pub async fn source_states(&self) -> Result<Vec<TableState>> {
        self.shared.catalog.states().await
    }

    /// Reads every file, and checks keys and values of every source table as the first query that reads it would.
    ///
    /// # Errors
    /// `Source` with every file whose data is corrupt, else with every problem of rows at once.
    pub async fn check_rows(&self) -> Result<()> {
        let session = self.session();
        session.read_files().await?;
        let tables: Vec<TableId> = self.shared.catalog.tables().map(|table| table.id.clone()).collect();
        session.check_rows(tables).await
    }
}
