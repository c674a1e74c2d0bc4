//! The catalog of a role: tables and columns that it may read, over what is made of its rows.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::Scope;
use super::sight::Sight;
use super::wall::{self, Wall};
use crate::catalog::TableId;
use crate::engine::meta;
use crate::engine::published::PUBLISHED;
use crate::engine::sandbox::SANDBOX;
use crate::engine::state::Shared;
use crate::error::Result;
use crate::models::{Model, ModelSet};

/// What a role sees, and what it is made of.
#[derive(Debug)]
pub(in crate::engine) struct Seen {
    pub(super) sight: Arc<Sight>,
    /// All tables, with the rows of the role.
    below: Arc<Shared>,
    /// All tables, as they are.
    pub(super) whole: Arc<Shared>,
}

/// Returns the state in which a role's queries are planned; the whole itself where nothing is kept from the role.
pub(super) fn state_of(whole: &Arc<Shared>, sight: &Arc<Sight>) -> Arc<Shared> {
    if sight.is_unlimited() {
        return Arc::clone(whole);
    }
    let below = match sight.changes_any_rows() {
        true => Shared::part(whole, Scope::Rows(Arc::clone(sight)), Arc::clone(&whole.models)),
        // Its views are everyone's, planned once.
        false => Arc::clone(whole),
    };
    let seen = Seen { sight: Arc::clone(sight), below, whole: Arc::clone(whole) };
    let models: ModelSet =
        whole.models.iter().filter(|model| sight.sees(&model.id)).map(|model| seen.model(model)).collect();
    Shared::part(whole, Scope::Seen(seen), Arc::new(models))
}

impl Seen {
    /// Returns the provider of a table or view; `None` where it does not exist for the role.
    ///
    /// # Errors
    /// Those of the table, without what lies behind it.
    pub(in crate::engine) async fn provider(
        &self,
        shared: &Arc<Shared>,
        id: &TableId,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        if !shared.sees(id) {
            return Ok(None);
        }
        let conceal = |error| wall::concealed(&format!("table \"{id}\""), error);
        let found = match id.schema.as_str() {
            "meta" => meta::table(&id.name, Arc::downgrade(shared)),
            // With the rights of whoever reads, never those of whoever made it.
            SANDBOX => shared.sandbox.provider(shared, &id.name).await?,
            PUBLISHED => shared.published.provider(shared, &id.name).await?,
            // The one below would offer names that are not seen.
            _ if !self.exists(id) => None,
            _ => Some(Box::pin(self.below.provider(id)).await.map_err(conceal)?),
        };
        let Some(table) = found else { return Ok(None) };
        if !self.needs_wall(id) {
            return Ok(Some(table));
        }
        let schema = table.schema();
        let shown = schema.fields().iter().filter(|field| !self.sight.hides_column(id, field.name()));
        // What lies below has its masks and filters; months that are published have theirs here.
        let (columns, conditions) = if id.schema == PUBLISHED {
            (shown.map(|field| self.sight.column(id, field)).collect::<Result<_>>()?, self.sight.conditions(id))
        } else {
            (shown.map(|field| wall::as_it_is(field)).collect(), Vec::new())
        };
        let wall = Wall::new(id, table, conditions, columns, shared.base()).map_err(conceal)?;
        Ok(Some(Arc::new(wall)))
    }

    fn exists(&self, id: &TableId) -> bool {
        self.whole.models.get(id).is_some() || self.whole.catalog.table(&id.schema, &id.name).is_some()
    }

    fn needs_wall(&self, id: &TableId) -> bool {
        match id.schema.as_str() {
            PUBLISHED => self.sight.changes_any_rows() || self.sight.hides_columns(id),
            "meta" | SANDBOX => self.sight.hides_columns(id),
            // A view whose insides may not be read must not be looked into: not by a condition that fails on a value, not
            // by the figures of a plan.
            _ => self.sight.hides_columns(id) || !self.sees_behind(id),
        }
    }

    /// Returns whether everything that a table reads may be read directly, and whole.
    pub(super) fn sees_behind(&self, id: &TableId) -> bool {
        let read = self.whole.models.closure([id.clone()]);
        read.iter().all(|id| id.schema == "meta" || self.sight.sees(id) && !self.sight.hides_columns(id))
    }

    /// Returns whether a table has all its rows with their values, through everything that it reads.
    pub(super) fn is_plain(&self, id: &TableId) -> bool {
        !self.whole.models.closure([id.clone()]).iter().any(|id| self.sight.changes_rows(id))
            && !self.sight.hides_columns(id)
    }

    /// Returns a model without what it names that the role does not see.
    fn model(&self, model: &Model) -> Model {
        let id = &model.id;
        let mut model = model.clone();
        if !self.sees_behind(id) {
            model.sql.clear();
            model.sidecar.parts.clear();
            model.sidecar.checks.clear();
            model.check_reads.clear();
            model.sidecar.beside.clear();
        }
        model.reads.retain(|read| self.sight.sees(read));
        model.sidecar.columns.retain(|column| !self.sight.hides_column(&model.id, &column.0));
        if model.sidecar.key.iter().any(|column| self.sight.hides_column(&model.id, column)) {
            model.sidecar.key.clear();
        }
        model
    }
}
