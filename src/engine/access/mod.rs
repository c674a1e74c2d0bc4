//! Who may read what.
//!
//! An engine as a role sees it is an engine of its own, over two catalogs. In the one below, tables that the role filters
//! or masks stand behind a [`wall`]: views are planned over it, so that whatever reads such a table reads its rows. The one
//! above it has the tables and columns that the role may read, and nothing else: what is not in it does not exist, for
//! queries as for lists and errors. `rules` checks what is configured, `sight` answers what a role sees, `seen` makes the
//! upper catalog, `roles` keeps the engines of roles and reads changed files again. Start at [`Engine::as_user`].

mod apart;
mod published;
pub mod report;
mod roles;
mod rules;
mod seen;
mod sight;
pub(super) mod wall;

#[cfg(any(test, fuzzing))]
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::handed::Audience;
use super::published::TABLES;
use super::state::Shared;
use super::{Engine, Statement};
use crate::auth::Caller;
use crate::catalog::TableId;
#[cfg(any(test, fuzzing))]
use crate::config::RoleConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::names::SessionUser;
use crate::metrics::{Metric, SCHEMA};
use crate::models::ModelSet;
pub(super) use roles::Roles;
pub(super) use seen::Seen;
pub(super) use sight::Sight;
use wall::Wall;
pub(super) use wall::without_reason;

/// Which part of the whole a state is.
#[derive(Debug)]
pub(super) enum Scope {
    /// All of it, as it is for whoever runs topline.
    Whole,
    /// All tables with the rows and values of a role: what its views are made of.
    Rows(Arc<Sight>),
    /// What a role may read.
    Seen(Seen),
}

impl Engine {
    /// Returns the engine as a user sees it: all that is read through it is what the user's role may read.
    ///
    /// Roles that changed in the configuration file hold from this call on.
    ///
    /// # Errors
    /// `Refused` where roles are configured and the user has none, or one that there is not.
    pub async fn as_user(&self, caller: &Caller) -> Result<Self> {
        let whole = self.shared.whole();
        let (shared, is_admin) = match self.roles()?.current(whole).await {
            // Where nobody logs in, whoever reaches the server is whoever runs it.
            None => (Arc::clone(whole), caller.is_anyone()),
            Some(generation) => {
                let sight = generation.sight(caller)?;
                (generation.state(whole, sight), sight.is_admin())
            }
        };
        let user = SessionUser { name: caller.name().into(), attributes: Arc::clone(caller.attributes()), is_admin };
        Ok(Self { shared, user, ..self.clone() })
    }

    /// Returns the engine of a state, for a look at it by a user.
    pub(super) fn over(shared: Arc<Shared>, user: SessionUser) -> Self {
        Self { shared, roles: None, user }
    }

    fn roles(&self) -> Result<&Roles> {
        self.roles.as_deref().ok_or_else(|| Error::new(ErrorKind::Internal, "an engine is asked for another user's"))
    }

    /// Checks roles as those of a configuration are when a server starts.
    #[cfg(any(test, fuzzing))]
    pub async fn check_roles(&self, roles: &BTreeMap<String, RoleConfig>) -> Result<()> {
        self.roles()?.generation(self.shared.whole(), roles).await.map(drop)
    }

    /// Returns who reads through this engine.
    pub fn user(&self) -> &SessionUser {
        &self.user
    }
}

impl Statement {
    /// Returns whether a statement was planned by this engine: for the same user, under the same role and attributes.
    pub fn is_of(&self, engine: &Engine) -> bool {
        let user = self.state.config_options().extensions.get::<SessionUser>();
        Arc::ptr_eq(&self.shared, &engine.shared) && user == Some(&engine.user)
    }
}

impl Shared {
    /// Returns the state of the whole that this one is a part of; itself where it is the whole.
    pub(super) fn whole(self: &Arc<Self>) -> &Arc<Self> {
        match &self.scope {
            Scope::Seen(seen) => &seen.whole,
            // What lies below what is seen is asked for its rows alone.
            Scope::Whole | Scope::Rows(_) => self,
        }
    }

    /// Returns all models, whoever asks.
    pub(super) fn whole_models(&self) -> &ModelSet {
        match &self.scope {
            Scope::Seen(seen) => &seen.whole.models,
            Scope::Whole | Scope::Rows(_) => &self.models,
        }
    }

    /// Returns whether this is what a role sees.
    pub(super) fn is_of_role(&self) -> bool {
        matches!(self.scope, Scope::Seen(_))
    }

    /// Returns whether a schema is listed.
    pub(super) fn sees_schema(&self, schema: &str) -> bool {
        match &self.scope {
            Scope::Seen(seen) => seen.sight.sees_schema(schema),
            Scope::Whole | Scope::Rows(_) => true,
        }
    }

    /// Returns whether a table exists for whoever asks.
    pub(super) fn sees(&self, id: &TableId) -> bool {
        match &self.scope {
            Scope::Seen(seen) => seen.sight.sees(id) && (seen.sight.reads_history() || !self.is_history(id)),
            Scope::Whole | Scope::Rows(_) => true,
        }
    }

    /// Returns whether a column exists for whoever asks, if its table does.
    pub(super) fn shows(&self, id: &TableId, column: &str) -> bool {
        match &self.scope {
            Scope::Seen(seen) => !seen.sight.hides_column(id, column),
            Scope::Whole | Scope::Rows(_) => true,
        }
    }

    /// Returns whether a table has all its rows with their values, through everything that it reads.
    pub(super) fn is_plain(&self, id: &TableId) -> bool {
        match &self.scope {
            Scope::Seen(seen) => seen.is_plain(id),
            Scope::Whole | Scope::Rows(_) => true,
        }
    }

    /// Returns whether whoever asks may write to the sandbox.
    pub(super) fn may_write_sandbox(&self) -> bool {
        match &self.scope {
            Scope::Seen(seen) => seen.sight.may_write_sandbox(),
            Scope::Whole | Scope::Rows(_) => true,
        }
    }

    /// Returns the metrics that whoever asks sees, without the names of what they do not see.
    pub(super) fn seen_of(&self, metrics: Vec<Metric>) -> Vec<Metric> {
        let is_seen = |metric: &Metric| {
            let view = TableId { schema: SCHEMA.to_owned(), name: metric.view.clone() };
            let column = metric.entry.as_ref().and_then(|entry| entry.column.as_deref()).unwrap_or(&metric.name);
            self.shows(&view, column)
        };
        let is_listed = |table: &String| match table.split_once('.') {
            Some((schema, name)) => self.sees(&TableId { schema: schema.to_owned(), name: name.to_owned() }),
            None => false,
        };
        let mut metrics = metrics;
        metrics.retain(is_seen);
        for metric in &mut metrics {
            metric.needs.retain(is_listed);
            metric.missing.retain(is_listed);
        }
        metrics
    }

    /// Returns an error as whoever asks may read it: of what lies behind what they see, nothing but that it fails.
    pub(super) fn concealed(&self, error: Error) -> Error {
        if self.is_of_role() { wall::concealed("what the query reads", error) } else { error }
    }

    fn is_history(&self, id: &TableId) -> bool {
        let is_handed =
            || self.handed(&id.name).is_some_and(|table| table.audience() == Audience::OfAllThatIsPublished);
        id.schema == "meta" && (TABLES.iter().any(|(name, _)| *name == id.name) || is_handed())
    }
}

/// Returns a table of the whole with the rows and values that a role reads.
///
/// # Errors
/// `Internal` where what was checked when the role was read does not plan any more.
pub(super) fn with_rows_of(
    shared: &Shared,
    sight: &Sight,
    id: &TableId,
    table: Arc<dyn TableProvider>,
) -> Result<Arc<dyn TableProvider>> {
    if !sight.changes_rows(id) {
        return Ok(table);
    }
    let columns = table.schema().fields().iter().map(|field| sight.column(id, field)).collect::<Result<_>>()?;
    Ok(Arc::new(Wall::new(id, table, sight.conditions(id), columns, shared.base())?))
}

/// Returns the error of a user whom no role lets in.
fn refused(message: String) -> Error {
    Error::new(ErrorKind::Refused, message).with_hint("ask whoever runs the server for a role")
}
