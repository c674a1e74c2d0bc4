//! What queries share: the runtime with its limits, the catalogs, and the plans of views.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use chrono::DateTime;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::config::ConfigOptions;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::prelude::SessionConfig;
use object_store::ObjectStore;
use url::Url;

use super::access::Scope;
use super::attribution_function::AttributionFunction;
use super::branches::BranchesInTurn;
use super::constants::BoundedConstants;
use super::handed::HandedTable;
use super::memory::QueryMemory;
use super::published::{PUBLISHED, Pin, Published};
use super::row_checks::Checked;
use super::runs::Runs;
use super::sandbox::{SANDBOX, Sandbox};
use super::schemas::{self, TopLevel};
use super::timely::with_timely_rules;
use super::widths::BoundedWidths;
use super::windows::CountedWindows;
use super::yielding::YieldInJoins;
use super::{CATALOG, DEFAULT_SCHEMA, TableKind, attribution_function, faults};
use crate::audit::AuditLog;
use crate::catalog::snapshot::Snapshot;
use crate::catalog::{Catalog, TableId};
use crate::config::settings::Settings;
use crate::config::{CONTRACT_SCHEMAS, Config};
use crate::domain::clock::Clock;
use crate::domain::names::nearest;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::growth::{BoundedOperators, bounded};
use crate::functions::names::SessionUser;
use crate::functions::settings::SessionSettings;
use crate::functions::stop::{Phase, QueryStop};
use crate::functions::{aggregate_functions, scalar_functions};
use crate::metrics::{Metric, registry};
use crate::models::ModelSet;

/// Consumers of memory that an error names: enough to see who took it.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(5).expect("5 is not 0");

/// Schemas that clients list whether anything is in them yet or not.
const OWN_SCHEMAS: [&str; 6] = ["core", "meta", "metrics", "published", "quality", "sandbox"];

/// The object stores of the configured sources, and no other: not even the local file system.
#[derive(Debug, Default)]
struct ConfiguredStores {
    stores: RwLock<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl ObjectStoreRegistry for ConfiguredStores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        stores.insert(key(url), store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        stores
            .get(&key(url))
            .cloned()
            .ok_or_else(|| DataFusionError::Plan("files can be read through configured sources only".into()))
    }
}

fn key(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Returns the runtime of all queries: one memory pool, spill files, no object store yet.
pub(super) fn runtime(config: &Config) -> Result<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default().with_max_temp_directory_size(config.limits.temporary_disk_bytes);
    let pool = TrackConsumersPool::new(QueryMemory::new(config.limits.memory_bytes), CONSUMERS_NAMED);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(ConfiguredStores::default()))
        .build_arc()
        .map_err(faults::of_query)
}

/// What all queries share: of the whole, or of what a role sees of it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) clock: Clock,
    pub(super) catalog: Arc<Catalog>,
    /// The models; of a role those that it sees.
    pub(super) models: Arc<ModelSet>,
    pub(super) checked: Arc<Checked>,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) published: Arc<Published>,
    /// Tables of `meta` whose rows are known above the engine.
    pub(super) handed: Arc<RwLock<Vec<Arc<dyn HandedTable>>>>,
    /// The queries of a server.
    pub(super) runs: Arc<Runs>,
    /// What is written down of what is done.
    pub(super) audit: Arc<AuditLog>,
    pub(super) scope: Scope,
    views: Mutex<HashMap<TableId, Arc<dyn TableProvider>>>,
    base: SessionState,
}

impl Shared {
    pub(super) fn new(
        config: Config,
        clock: Clock,
        catalog: Catalog,
        models: ModelSet,
        sandbox: Sandbox,
        runtime: Arc<RuntimeEnv>,
        audit: Arc<AuditLog>,
    ) -> Arc<Self> {
        for source in catalog.sources() {
            runtime.register_object_store(source.url.as_ref(), Arc::clone(&source.store));
        }
        runtime.register_object_store(sandbox.lake().url().as_ref(), Arc::clone(sandbox.lake().store()));
        Arc::new_cyclic(|shared: &Weak<Self>| {
            let builder = SessionStateBuilder::new().with_config(session_config(&config)).with_runtime_env(runtime);
            let mut base = with_timely_rules(builder.with_default_features())
                .with_physical_optimizer_rule(Arc::new(BranchesInTurn))
                .with_physical_optimizer_rule(Arc::new(YieldInJoins))
                .with_physical_optimizer_rule(Arc::new(BoundedConstants))
                .with_physical_optimizer_rule(Arc::new(CountedWindows::new(config.limits.memory_bytes)))
                .with_physical_optimizer_rule(Arc::new(BoundedWidths::new(config.limits.memory_bytes)))
                .with_catalog_list(Arc::new(TopLevel::new(Weak::clone(shared))))
                .build();
            let memory = config.limits.memory_bytes;
            let engines_own: Vec<_> = base.scalar_functions().values().filter_map(|own| bounded(own, memory)).collect();
            let operators = Arc::new(BoundedOperators::new(memory, &engines_own));
            for function in engines_own.into_iter().chain(scalar_functions()) {
                let _ = datafusion::execution::FunctionRegistry::register_udf(&mut base, Arc::new(function));
            }
            for function in aggregate_functions() {
                let _ = datafusion::execution::FunctionRegistry::register_udaf(&mut base, Arc::new(function));
            }
            let _ = datafusion::execution::FunctionRegistry::register_function_rewrite(&mut base, operators);
            base.register_udtf(attribution_function::NAME, Arc::new(AttributionFunction::new(Weak::clone(shared))));
            let runs = Runs::new(config.limits, clock, config.security.is_login_required());
            Self {
                clock,
                runs: Arc::new(runs),
                audit,
                catalog: Arc::new(catalog),
                models: Arc::new(models),
                checked: Arc::new(Checked::open(config.warehouse.folder())),
                published: Arc::new(Published::open(sandbox.lake())),
                sandbox: Arc::new(sandbox),
                handed: Arc::default(),
                scope: Scope::Whole,
                views: Mutex::default(),
                base,
                config: Arc::new(config),
            }
        })
    }

    /// Returns a part of the whole: the same files, settings and runtime, with a catalog of its own.
    pub(super) fn part(whole: &Arc<Self>, scope: Scope, models: Arc<ModelSet>) -> Arc<Self> {
        Arc::new_cyclic(|shared: &Weak<Self>| {
            let mut base = SessionStateBuilder::new_from_existing(whole.base.clone())
                .with_catalog_list(Arc::new(TopLevel::new(Weak::clone(shared))))
                .build();
            base.register_udtf(attribution_function::NAME, Arc::new(AttributionFunction::new(Weak::clone(shared))));
            Self {
                config: Arc::clone(&whole.config),
                clock: whole.clock,
                catalog: Arc::clone(&whole.catalog),
                models,
                checked: Arc::clone(&whole.checked),
                sandbox: Arc::clone(&whole.sandbox),
                published: Arc::clone(&whole.published),
                handed: Arc::clone(&whole.handed),
                runs: Arc::clone(&whole.runs),
                audit: Arc::clone(&whole.audit),
                scope,
                views: Mutex::default(),
                base,
            }
        })
    }

    /// Returns the memory that queries hold, in bytes.
    pub(super) fn memory_in_use(&self) -> usize {
        self.base.runtime_env().memory_pool.reserved()
    }

    /// Returns the state of one query: its settings, with `as_of` read once, the schema of names that have none, who
    /// asks, the files that it reads, and the one version of what is published.
    pub(super) fn query_state(
        &self,
        settings: &Settings,
        schema: &str,
        user: &SessionUser,
        snapshot: Arc<Snapshot>,
    ) -> SessionState {
        let now_micros = self.clock.now_micros();
        let mut config = self.base.config().clone().with_extension(snapshot).with_extension(Arc::new(Pin::default()));
        schema.clone_into(&mut config.options_mut().catalog.default_schema);
        config.options_mut().extensions.insert(user.clone());
        config.options_mut().extensions.insert(QueryStop::default());
        // Not built anew: that registers every function again, which took a quarter of a small query's time.
        let mut state = self.base.clone();
        *state.config_mut() = config;
        *state.execution_props_mut() = ExecutionProps::new()
            .with_query_execution_start_time(DateTime::from_timestamp_micros(now_micros).unwrap_or_default());
        set_settings(&mut state, settings.at(now_micros));
        state
    }

    /// Returns the state in which views are planned; it runs nothing.
    pub(super) fn base(&self) -> &SessionState {
        &self.base
    }

    pub(super) fn schema_names(&self) -> Vec<String> {
        let of_models = self.models.iter().map(|model| model.id.schema.clone());
        let of_sources = self.catalog.tables().map(|table| table.id.schema.clone());
        let built_in = CONTRACT_SCHEMAS.iter().chain(&OWN_SCHEMAS).map(|name| (*name).to_owned());
        let names: BTreeSet<String> = of_models.chain(of_sources).chain(built_in).collect();
        names.into_iter().filter(|name| self.sees_schema(name)).collect()
    }

    /// Returns the error with a hint where one of these tables is in a schema that does not exist.
    pub(super) fn with_nearest_schema(&self, error: Error, tables: &BTreeSet<TableId>) -> Error {
        let known = self.schema_names();
        let is_unknown = |table: &&TableId| {
            error.message() == format!("table \"{table}\" does not exist") && !known.contains(&table.schema)
        };
        let near = tables.iter().find(is_unknown).and_then(|table| {
            let near = nearest(&table.schema, known.iter().map(String::as_str))?;
            Some(format!("did you mean schema \"{near}\"?"))
        });
        match near {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Looks at what may change at any time, so that its names can be listed.
    ///
    /// # Errors
    /// `Storage` where the warehouse cannot be read.
    pub(super) async fn refresh(&self) -> Result<()> {
        self.sandbox.refresh().await?;
        self.published.refresh().await
    }

    /// Returns the names in a schema; those of the warehouse as of the last look at it.
    pub(super) fn table_names(&self, schema: &str) -> Vec<String> {
        let of_models = self.models.iter().filter(|model| model.id.schema == schema).map(|model| model.id.name.clone());
        let of_sources =
            self.catalog.tables().filter(|table| table.id.schema == schema).map(|table| table.id.name.clone());
        let of_meta = super::meta::tables().filter(|_| schema == "meta").map(|(name, _)| (*name).to_owned());
        let of_owners = self.handed_tables().into_iter().filter(|_| schema == "meta");
        let of_owners = of_owners.map(|table| table.name().to_owned());
        let of_users = if schema == SANDBOX { self.sandbox.names() } else { BTreeMap::new() };
        let of_ledger = if schema == PUBLISHED { self.published.names() } else { Vec::new() };
        let names: BTreeSet<String> = {
            let own = of_models.chain(of_sources).chain(of_meta).chain(of_owners);
            own.chain(of_users.into_keys()).chain(of_ledger).collect()
        };
        let id = |name: &String| TableId { schema: schema.to_owned(), name: name.clone() };
        names.into_iter().filter(|name| self.sees(&id(name))).collect()
    }

    fn handed_tables(&self) -> Vec<Arc<dyn HandedTable>> {
        self.handed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a table of `meta` that its owner handed over.
    pub(super) fn handed(&self, name: &str) -> Option<Arc<dyn HandedTable>> {
        self.handed_tables().into_iter().find(|table| table.name() == name)
    }

    /// Returns what a row of a table of `meta` is; empty where there is no such table.
    pub(super) fn meta_description(&self, id: &TableId) -> String {
        let handed = self.handed(&id.name).filter(|_| id.schema == "meta");
        handed.map_or_else(|| super::meta::description(id), |table| table.description().to_owned())
    }

    /// Returns whether a name stands for files or for a query.
    pub(super) fn kind(&self, id: &TableId) -> TableKind {
        if id.schema == SANDBOX {
            return self.sandbox.names().get(&id.name).copied().unwrap_or(TableKind::Base);
        }
        if id.schema == "meta" || self.models.get(id).is_some() { TableKind::View } else { TableKind::Base }
    }

    /// Returns the contract tables that no source and no model has, whoever asks.
    pub(super) fn missing_tables(&self) -> BTreeSet<String> {
        let models = self.whole_models();
        self.catalog
            .tables()
            .filter(|table| !table.is_there() && models.get(&table.id).is_none())
            .map(|table| table.id.to_string())
            .collect()
    }

    /// Returns a table or view that was asked for before.
    pub(super) fn known(&self, id: &TableId) -> Option<Arc<dyn TableProvider>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Returns the metrics with what the configuration decides about them.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        self.seen_of(registry(&self.models, &self.config.metrics, &self.missing_tables()))
    }

    /// Returns a table or view; a view is planned when it is first asked for.
    pub(super) async fn provider(self: &Arc<Self>, id: &TableId) -> Result<Arc<dyn TableProvider>> {
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        let found = schemas::make(self, id).await?;
        let Some(provider) = found else {
            let names = self.table_names(&id.schema);
            let error = Error::new(ErrorKind::NotFound, format!("table \"{id}\" does not exist"));
            if id.name.contains(['/', '\\']) || id.name.ends_with(".parquet") || id.name.ends_with(".csv") {
                return Err(error.with_hint("files cannot be named in SQL; configure their folder as a source"));
            }
            return Err(match nearest(&id.name, names.iter().map(String::as_str)) {
                Some(near) => error.with_hint(format!("did you mean \"{}.{near}\"?", id.schema)),
                None => error.with_hint("topline tables lists what there is"),
            });
        };
        if id.schema == SANDBOX || id.schema == PUBLISHED {
            // It may change at any time.
            return Ok(provider);
        }
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.insert(id.clone(), Arc::clone(&provider));
        Ok(provider)
    }
}

/// Returns a state with these settings, which plans and their constants see alike.
pub(super) fn with_settings(state: &SessionState, settings: Settings) -> SessionState {
    let mut state = state.clone();
    set_settings(&mut state, settings);
    state
}

fn set_settings(state: &mut SessionState, settings: Settings) {
    let stop = QueryStop::of(state.config_options()).stop;
    let extensions = &mut state.config_mut().options_mut().extensions;
    extensions.insert(SessionSettings(settings));
    extensions.insert(QueryStop { stop: stop.clone(), phase: Phase::Running });
    let options = Arc::clone(state.config().options());
    // Plans take over these options, and what is constant in them is computed with those of the session.
    state.execution_props_mut().config_options = Some(options);
    state.config_mut().options_mut().extensions.insert(QueryStop { stop, phase: Phase::Planning });
}

fn session_config(config: &Config) -> SessionConfig {
    let mut session = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_target_partitions(config.limits.threads);
    let options: &mut ConfigOptions = session.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // It takes memory for as many groups as a limit says, however few there are.
    options.optimizer.enable_topk_aggregation = false;
    options.extensions.insert(SessionSettings(config.settings.clone()));
    session
}
