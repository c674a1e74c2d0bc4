//! What a role sees, by its rules alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, ScalarUDF, lit};
use datafusion::scalar::ScalarValue;

use crate::catalog::TableId;
use crate::config::{Mask, Place, RoleConfig, SandboxRight};
use crate::engine::faults;
use crate::engine::published::{PUBLISHED, described_by};
use crate::engine::sandbox::SANDBOX;
use crate::error::Result;
use crate::functions::masks::TextMask;
use crate::metrics::SCHEMA;

/// A checked role.
#[derive(Debug)]
pub(in crate::engine) struct Sight {
    pub(super) role: String,
    pub(super) config: RoleConfig,
    pub(super) filters: BTreeMap<TableId, Vec<RowFilter>>,
    pub(super) masks: BTreeMap<TableId, BTreeMap<String, Mask>>,
    /// The filters of published metrics; a metric that is not in it has none, where the role changes nothing, and is
    /// refused, where it does.
    pub(super) published: BTreeMap<String, Vec<Expr>>,
    pub(super) hash: Option<Arc<ScalarUDF>>,
}

/// A condition on the rows of a table.
#[derive(Debug, Clone)]
pub(in crate::engine) struct RowFilter {
    /// The condition, over names of columns without their table.
    pub(super) condition: Expr,
    /// The columns that it names.
    pub(super) columns: BTreeSet<String>,
}

impl Sight {
    /// Returns whether nothing is kept from the role.
    pub(super) fn is_unlimited(&self) -> bool {
        let RoleConfig { read, hide, sandbox, .. } = &self.config;
        read.contains(&Place::Everything)
            && hide.is_empty()
            && *sandbox == SandboxRight::Write
            && !self.changes_any_rows()
    }

    /// Returns whether rows or values of any table are others for the role.
    pub(super) fn changes_any_rows(&self) -> bool {
        !self.filters.is_empty() || !self.masks.is_empty()
    }

    /// Returns whether rows or values of a table are others for the role, what the table reads left aside.
    pub(in crate::engine) fn changes_rows(&self, id: &TableId) -> bool {
        self.filters.contains_key(id) || self.masks.contains_key(id)
    }

    pub(super) fn is_admin(&self) -> bool {
        self.config.is_admin
    }

    pub(super) fn may_write_sandbox(&self) -> bool {
        self.config.sandbox == SandboxRight::Write
    }

    /// Returns the entry of `read` that lets a table be read; `None` where there is none.
    pub(super) fn granted_by(&self, id: &TableId) -> Option<&Place> {
        self.config.read.iter().find(|place| match place {
            Place::Everything => true,
            Place::Schema(schema) => *schema == id.schema,
            Place::Table(schema, name) => *schema == id.schema && name == without_version(id),
            Place::Column(..) => false,
        })
    }

    pub(super) fn sees_schema(&self, schema: &str) -> bool {
        if schema == SANDBOX {
            return self.config.sandbox != SandboxRight::None;
        }
        let is_read = self.config.read.iter().any(|place| match place {
            Place::Everything => true,
            Place::Schema(read) | Place::Table(read, _) => read == schema,
            Place::Column(..) => false,
        });
        is_read && !self.config.hide.contains(&Place::Schema(schema.to_owned()))
    }

    pub(super) fn sees(&self, id: &TableId) -> bool {
        if !self.sees_schema(&id.schema) || self.is_hidden(id) {
            return false;
        }
        match id.schema.as_str() {
            SANDBOX => true,
            PUBLISHED => self.granted_by(id).is_some() && self.reads_published(without_version(id)),
            _ => self.granted_by(id).is_some(),
        }
    }

    fn is_hidden(&self, id: &TableId) -> bool {
        self.hidden_of(id).any(|place| matches!(place, Place::Table(..)))
    }

    pub(super) fn hides_column(&self, id: &TableId, column: &str) -> bool {
        self.hidden_of(id).any(|place| matches!(place, Place::Column(.., hidden) if hidden == column))
    }

    /// Returns whether any column of a table is hidden.
    pub(super) fn hides_columns(&self, id: &TableId) -> bool {
        self.hidden_of(id).any(|place| matches!(place, Place::Column(..)))
    }

    /// Returns what is hidden of a table. What is hidden of a metric is hidden of its published months.
    pub(super) fn hidden_of(&self, id: &TableId) -> impl Iterator<Item = &Place> {
        let named = TableId { schema: id.schema.clone(), name: without_version(id).to_owned() };
        let tables = [described_by(&named), named];
        self.config.hide.iter().filter(move |place| match place {
            Place::Table(schema, name) | Place::Column(schema, name, _) => {
                tables.iter().any(|id| *schema == id.schema && *name == id.name)
            }
            Place::Everything | Place::Schema(_) => false,
        })
    }

    /// Returns whether the role may read what tells of all published metrics at once.
    pub(super) fn reads_history(&self) -> bool {
        let is_of = |place: &Place, wanted: &str| match place {
            Place::Everything => true,
            Place::Schema(schema) | Place::Table(schema, _) | Place::Column(schema, ..) => schema == wanted,
        };
        let reads_whole = |wanted: &str| {
            let reads = |place: &Place| is_of(place, wanted) && !matches!(place, Place::Table(..));
            self.config.read.iter().any(reads) && !self.config.hide.iter().any(|place| is_of(place, wanted))
        };
        self.config.is_admin || !self.changes_any_rows() && reads_whole(SCHEMA) && reads_whole(PUBLISHED)
    }

    /// Returns whether the published months of a metric have what it takes to keep from the role what is kept of the live
    /// ones.
    fn reads_published(&self, metric: &str) -> bool {
        !self.changes_any_rows() || self.published.contains_key(metric)
    }

    /// Returns the conditions on the rows of a table.
    pub(super) fn conditions(&self, id: &TableId) -> Vec<Expr> {
        if id.schema == PUBLISHED {
            return self.published.get(without_version(id)).cloned().unwrap_or_default();
        }
        self.filters.get(id).into_iter().flatten().map(|filter| filter.condition.clone()).collect()
    }

    pub(super) fn mask(&self, id: &TableId, column: &str) -> Option<Mask> {
        let named = TableId { schema: id.schema.clone(), name: without_version(id).to_owned() };
        self.masks.get(&described_by(&named))?.get(column).copied()
    }

    /// Returns a column of a table with its mask, if it has one.
    pub(super) fn column(&self, id: &TableId, field: &Field) -> Result<Expr> {
        let name = field.name();
        let column = Expr::Column(Column::new_unqualified(name));
        let masked = match self.mask(id, name) {
            None => return Ok(column),
            Some(Mask::Null) => lit(ScalarValue::try_from(field.data_type()).map_err(faults::of_query)?),
            Some(Mask::Partial) => TextMask::Partial.function().call(vec![column]),
            Some(Mask::Hash) => match &self.hash {
                Some(hash) => hash.call(vec![column]),
                // A key is there whenever a role hashes; without one there is nothing to show.
                None => lit(ScalarValue::try_from(field.data_type()).map_err(faults::of_query)?),
            },
        };
        Ok(masked.alias(name))
    }
}

/// Returns the name of a table without the version that it is asked for at.
pub(super) fn without_version(id: &TableId) -> &str {
    match id.name.split_once('@') {
        Some((name, _)) if id.schema == PUBLISHED => name,
        _ => &id.name,
    }
}
