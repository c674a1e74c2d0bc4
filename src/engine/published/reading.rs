//! What publishing asks of the engine: rows without the limits of clients, the files behind them, and the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlanBuilder, ident};

use super::entry::Entry;
use crate::catalog::TableId;
use crate::config::settings::Settings;
use crate::engine::result::Extent;
use crate::engine::wire_schema;
use crate::engine::{Engine, QueryStream, Session, Statement, faults};
use crate::error::Result;
use crate::functions::stop::QueryStop;
use crate::lake::{Lake, LakeTable, Ledger};
use crate::sources::InputFile;
use crate::sources::footer::Footer;

/// Smallest first, NULL before all others: the order in which comparisons walk through rows.
const ASCENDING: bool = true;

/// As [`ASCENDING`].
const NULLS_FIRST: bool = true;

impl Engine {
    /// Returns the warehouse.
    pub fn warehouse(&self) -> &Lake {
        self.shared.sandbox.lake()
    }

    /// Returns the ledger of what is published.
    pub fn ledger(&self) -> &Ledger {
        self.shared.published.ledger()
    }

    /// Returns the newest entry of the ledger; `None` while nothing was ever published.
    ///
    /// # Errors
    /// `Storage` where the ledger cannot be read.
    pub async fn newest_entry(&self) -> Result<Option<Arc<Entry>>> {
        self.shared.published.newest().await
    }

    /// Returns an entry of the ledger.
    ///
    /// # Errors
    /// `NotFound` where there is none of the number, `Storage` where it cannot be read.
    pub async fn entry(&self, number: u64) -> Result<Entry> {
        self.shared.published.read(number).await
    }

    /// Returns microseconds since 1970-01-01 UTC.
    pub fn now_micros(&self) -> i64 {
        self.shared.clock.now_micros()
    }

    /// Returns the contract tables that no source and no model has.
    pub fn missing_tables(&self) -> BTreeSet<String> {
        self.shared.missing_tables()
    }
}

impl Session {
    /// Returns the session with other settings, all of them.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Runs a query of topline's own: `[limits] rows`, which is about clients, does not hold for it.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn all_rows(&self, sql: &str) -> Result<QueryStream> {
        self.prepare(sql).await?.execute_up_to(Extent::default(), None).await
    }

    /// Returns columns of a table of the warehouse, in the order of some of them.
    ///
    /// # Errors
    /// `Query` where the table has no such column, `Storage` where a file cannot be read.
    pub async fn rows_in_order(&self, table: LakeTable, columns: &[String], order: &[String]) -> Result<QueryStream> {
        let plan = LogicalPlanBuilder::scan("part", provider_as_source(Arc::new(table)), None)
            .and_then(|plan| plan.project(columns.iter().map(ident)))
            .and_then(|plan| match order.is_empty() {
                true => Ok(plan),
                false => plan.sort(order.iter().map(|name| ident(name).sort(ASCENDING, NULLS_FIRST))),
            })
            .and_then(LogicalPlanBuilder::build)
            .map_err(faults::of_query)?;
        let schema = wire_schema(plan.schema().as_arrow());
        let (shared, state) = (Arc::clone(&self.shared), self.state());
        let scanned = self.scanned.clone();
        let stop = QueryStop::of(state.config_options()).stop;
        let (reads, write, planned, run) = (Vec::new(), None, Duration::ZERO, None);
        Statement { shared, state, plan, schema, reads, write, stop, scanned, planned, run }
            .execute_up_to(Extent::default(), None)
            .await
    }

    /// Returns the files of every source table among these, by table; one that is missing has none.
    ///
    /// # Errors
    /// `Source` or `Storage` where they cannot be listed, or do not hold what they must.
    pub async fn input_files<'a>(
        &self,
        tables: impl IntoIterator<Item = &'a TableId>,
    ) -> Result<BTreeMap<String, Vec<InputFile>>> {
        let snapshot = self.snapshot();
        let mut files = BTreeMap::new();
        for id in tables {
            if let Some(table) = self.shared.catalog.table(&id.schema, &id.name) {
                let footers = snapshot.footers(table).await?;
                files.insert(id.to_string(), footers.iter().map(Footer::input).collect());
            }
        }
        Ok(files)
    }
}
