//! A session's settings, and the way of a text from SQL to a plan.

use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;

use super::databases::databases;
use super::gate::{self, Allowed};
use super::published::{Acceleration, StandIns};
use super::result::QueryStream;
use super::sandbox::{WriteTicket, behind};
use super::scanned::Scanned;
use super::state::Shared;
use super::statement::Statement;
use super::wire_types::WireTypes;
use super::{DEFAULT_SCHEMA, attribution_function, faults, kill, parameters, row_checks, table_functions};
use crate::catalog::TableId;
use crate::catalog::snapshot::Snapshot;
use crate::config::settings::{SETTINGS, Settings};
use crate::domain::names::nearest;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::names::SessionUser;
use crate::functions::stop::QueryStop;
use crate::models::tables_of;

/// A user's settings over the engine. Cheap to clone; two sessions do not see each other.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Settings,
    pub(super) schema: String,
    user: SessionUser,
    wire_types: WireTypes,
    /// The files that all queries read; `None` is those that there are when a query is planned.
    files: Option<Arc<Snapshot>>,
    /// The views that queries read in files.
    pub(super) stand_ins: Arc<StandIns>,
    pub(super) acceleration: Acceleration,
    pub(super) scanned: Scanned,
}

/// What a text of SQL came to.
#[derive(Debug)]
pub enum Outcome {
    /// Settings were changed; there are no rows.
    Set,
    /// Rows were written to the sandbox: so many.
    Written(u64),
    /// Rows.
    Rows(QueryStream),
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, user: SessionUser) -> Self {
        let settings = shared.config.settings.clone();
        let schema = DEFAULT_SCHEMA.to_owned();
        let wire_types = WireTypes::default();
        let stand_ins = Arc::default();
        let scanned = Scanned::default();
        // What is published was computed of all rows, and what a role reads may be behind a wall.
        let is_accelerating = shared.config.warehouse.is_accelerating && !shared.is_of_role();
        let acceleration = if is_accelerating { Acceleration::But(Arc::default()) } else { Acceleration::Off };
        Self { shared, settings, schema, user, wire_types, files: None, stand_ins, acceleration, scanned }
    }

    /// Returns the session with "now" read once, and the files listed once: all its queries look at the world of one
    /// instant, and compute what they are asked for.
    pub fn at_one_instant(mut self) -> Self {
        self.settings = self.settings.at(self.shared.clock.now_micros());
        self.files = Some(self.snapshot());
        self.acceleration = Acceleration::Off;
        self
    }

    /// Returns who asks.
    pub(super) fn user(&self) -> &SessionUser {
        &self.user
    }

    /// Returns the files that a query reads.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.files.clone().unwrap_or_else(|| Arc::new(Snapshot::new(Arc::clone(&self.shared.catalog))))
    }

    /// Returns the state of one query.
    pub(super) fn state(&self) -> SessionState {
        self.shared.query_state(&self.settings, &self.schema, &self.user, self.snapshot())
    }

    /// Returns the bytes of files that the queries of this session and of its copies have read, those that still run left
    /// out; those that checks of keys and values read are not counted.
    pub fn bytes_scanned(&self) -> u64 {
        self.scanned.bytes()
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes a setting of this session.
    ///
    /// # Errors
    /// `Config` where the name is unknown or the value out of bounds, `Refused` where a session may not change it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let settings = self.settings.with(name, value)?;
        if SETTINGS.iter().any(|spec| spec.name == name && !spec.is_session) {
            return Err(Error::new(ErrorKind::Refused, format!("setting \"{name}\" cannot be changed in a session"))
                .with_hint("change it in the configuration file"));
        }
        self.settings = settings;
        Ok(())
    }

    /// Returns the schema of names that have none.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Changes the schema of names that have none.
    ///
    /// # Errors
    /// `NotFound` where there is no such schema, with the nearest one.
    pub fn use_schema(&mut self, schema: &str) -> Result<()> {
        let names = self.shared.schema_names();
        if names.iter().any(|name| name == schema) {
            schema.clone_into(&mut self.schema);
            return Ok(());
        }
        let error = Error::new(ErrorKind::NotFound, format!("schema \"{schema}\" does not exist"));
        Err(match nearest(schema, names.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
            None => error.with_hint(format!("there are {}", names.join(", "))),
        })
    }

    /// Returns the types in which rows reach the client.
    pub fn wire_types(&self) -> WireTypes {
        self.wire_types
    }

    /// Changes the types in which rows reach the client.
    pub fn use_wire_types(&mut self, types: WireTypes) {
        self.wire_types = types;
    }

    /// Runs a text of SQL: any number of `set topline.NAME = VALUE` and of statements that write to the sandbox, then at most
    /// one statement that returns rows.
    ///
    /// # Errors
    /// `Query` where it does not parse or plan, `Refused` where it does more than read, and whatever running it gives.
    pub async fn run(&mut self, sql: &str) -> Result<Outcome> {
        let mut statements = gate::parse(sql)?;
        let last = statements.pop();
        for statement in statements {
            match statement {
                Allowed::Set { name, value } => self.set(&name, &value)?,
                Allowed::Write(order) => drop(self.plan_write(*order).await?.write(NO_TICKET, NO_PARAMETERS).await?),
                _ => return Err(Error::new(ErrorKind::Query, "only the last statement of a text may return rows")),
            }
        }
        match last {
            Some(Allowed::Set { name, value }) => {
                self.set(&name, &value)?;
                Ok(Outcome::Set)
            }
            Some(Allowed::Write(order)) => {
                let statement = self.plan_write(*order).await?;
                Ok(Outcome::Written(statement.write(NO_TICKET, NO_PARAMETERS).await?))
            }
            Some(query) => Ok(Outcome::Rows(self.plan(query).await?.execute(None).await?)),
            None => Ok(Outcome::Set),
        }
    }

    /// Runs one query.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn query(&self, sql: &str) -> Result<QueryStream> {
        self.prepare(sql).await?.execute(None).await
    }

    /// Plans one query; parameters are written `?` or `$1`.
    ///
    /// # Errors
    /// `Query` where it does not parse or plan, `Refused` where it does more than read.
    pub async fn prepare(&self, sql: &str) -> Result<Statement> {
        let mut statements = gate::parse(sql)?;
        match (statements.pop(), statements.is_empty()) {
            (Some(Allowed::Set { .. }), true) => {
                Err(Error::new(ErrorKind::Refused, "set is not allowed here: a setting would be lost with the call")
                    .with_hint("set it as a session option, or write it into the configuration"))
            }
            (Some(statement), true) => self.plan(statement).await,
            _ => Err(Error::new(ErrorKind::Query, "expected one statement, found several")),
        }
    }

    pub(super) async fn plan(&self, statement: Allowed) -> Result<Statement> {
        let began = Instant::now();
        let (state, plan, reads) = match statement {
            Allowed::Query(statement) => {
                let statement = parameters::with_numbered_parameters(*statement);
                let statement = table_functions::expanded(&self.shared, statement).await?;
                let reads = tables_of(&statement, &self.schema).map_err(|fault| Error::new(ErrorKind::Query, fault))?;
                let session = self.accelerated(&reads).await?;
                let state = session.state();
                QueryStop::of(state.config_options()).stop.set_for_planning(self.shared.config.limits.query_seconds);
                let plan = state.statement_to_plan(statement).await.map_err(faults::of_query);
                let plan = plan.map_err(|error| self.shared.with_nearest_schema(error, &reads))?;
                let plan = session.stand_ins.put_into(plan).map_err(faults::of_query)?;
                // Called in another schema, the function reads the view of its own all the same.
                let called = reads.iter().any(|table| table.name == attribution_function::NAME);
                let reads = reads.into_iter().chain(called.then(attribution_function::view));
                (state, plan, behind(&self.shared, reads).await?.into_iter().collect())
            }
            Allowed::Kill(id) => (self.state(), kill::plan(&self.shared, id)?, Vec::new()),
            Allowed::ShowDatabases => (self.state(), databases()?, Vec::new()),
            Allowed::Write(order) => return Box::pin(self.plan_write(*order)).await,
            Allowed::Set { .. } => return Err(Error::new(ErrorKind::Internal, "set has no plan")),
        };
        gate::verify(&plan)?;
        let schema = self.wire_types.schema(&result_schema(&state, &plan)?);
        let stop = QueryStop::of(state.config_options()).stop;
        stop.set_free();
        Ok(Statement {
            shared: Arc::clone(&self.shared),
            state,
            plan,
            schema,
            reads,
            write: None,
            stop,
            scanned: self.scanned.clone(),
            planned: began.elapsed(),
            run: None,
        })
    }

    pub(super) async fn read_files(&self) -> Result<()> {
        row_checks::read_all(self.shared.whole(), &self.state()).await
    }

    pub(super) async fn check_rows(&self, tables: Vec<TableId>) -> Result<()> {
        row_checks::ensure(self.shared.whole(), &self.state(), tables).await
    }
}

/// A statement of a text is run once, as it stands.
const NO_TICKET: Option<WriteTicket> = None;

/// A text has its values in it.
const NO_PARAMETERS: Option<RecordBatch> = None;

/// Returns the columns of a plan's result: those after types are settled, which for a union they are not before.
///
/// # Errors
/// `Query` where types do not fit; with parameters that shows only once they are bound.
fn result_schema(state: &SessionState, plan: &LogicalPlan) -> Result<Schema> {
    let settled = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {});
    match settled {
        Ok(settled) => Ok(settled.schema().as_arrow().clone()),
        Err(_) if plan.get_parameter_names().is_ok_and(|names| !names.is_empty()) => {
            Ok(plan.schema().as_arrow().clone())
        }
        Err(fault) => Err(faults::of_query(fault)),
    }
}
