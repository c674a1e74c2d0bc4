//! What a user sees, and why.

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::unparser::expr_to_sql;
use serde::Serialize;

use super::sight::Sight;
use crate::auth::Caller;
use crate::catalog::TableId;
use crate::engine::sandbox::SANDBOX;
use crate::engine::{Engine, TableListing};
use crate::error::Result;

/// What a user sees.
#[derive(Debug, Clone, Serialize)]
pub struct Access {
    /// The user.
    pub user: String,
    /// The role; `None` where none are configured, and everyone reads everything.
    pub role: Option<String>,
    /// Whether the user sees what concerns other users.
    pub is_admin: bool,
    /// What may be done in schema `sandbox`: none, read or write.
    pub sandbox: String,
    /// The tables, by schema and name.
    pub tables: Vec<TableAccess>,
}

/// A table that a user sees.
#[derive(Debug, Clone, Serialize)]
pub struct TableAccess {
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// The columns.
    pub columns: Vec<String>,
    /// What of the role lets the table be read: `read "crm"`.
    pub because: String,
    /// The columns that are hidden, each as the role names it.
    pub hidden: Vec<String>,
    /// The conditions on its rows, with the user's name and attributes put in.
    pub filters: Vec<String>,
    /// The columns whose values are changed, and how: `email: hash`.
    pub masks: Vec<String>,
    /// The tables below it that have conditions or changed values of their own.
    pub through: Vec<String>,
}

impl Engine {
    /// Returns what a user sees, and why.
    ///
    /// # Errors
    /// As [`Engine::as_user`], and what listing tables gives.
    pub async fn access(&self, caller: &Caller) -> Result<Access> {
        let seen = self.as_user(caller).await?;
        let generation = self.roles()?.current(self.shared.whole()).await;
        let sight = match &generation {
            Some(generation) => Some(generation.sight(caller)?),
            None => None,
        };
        let tables = seen.tables().await?;
        let table = |listing: TableListing| {
            let id = &listing.id;
            let columns = listing.schema.fields().iter().map(|field| field.name().clone()).collect();
            let (schema, name) = (id.schema.clone(), id.name.clone());
            let mut access = TableAccess {
                schema,
                name,
                columns,
                because: because(sight.map(AsRef::as_ref), id),
                hidden: Vec::new(),
                filters: Vec::new(),
                masks: Vec::new(),
                through: Vec::new(),
            };
            if let Some(sight) = sight {
                access.hidden = sight.hidden_of(id).map(ToString::to_string).collect();
                access.filters = filters(sight, id, caller);
                let masks = sight.masks.get(id).into_iter().flatten();
                access.masks = masks.map(|(column, mask)| format!("{column}: {}", mask.name())).collect();
                let below = self.shared.whole_models().closure([id.clone()]);
                let changed = below.into_iter().filter(|other| other != id && sight.changes_rows(other));
                access.through = changed.map(|other| other.to_string()).collect();
            }
            access
        };
        Ok(Access {
            user: caller.name().to_owned(),
            role: sight.map(|sight| sight.role.clone()),
            is_admin: seen.user.is_admin,
            sandbox: sight.map_or("write", |sight| sight.config.sandbox.name()).to_owned(),
            tables: tables.into_iter().map(table).collect(),
        })
    }
}

fn because(sight: Option<&Sight>, id: &TableId) -> String {
    match sight {
        None => "no roles are configured".to_owned(),
        Some(sight) if id.schema == SANDBOX => format!("sandbox = \"{}\"", sight.config.sandbox.name()),
        Some(sight) => sight.granted_by(id).map_or_else(String::new, |place| format!("read \"{place}\"")),
    }
}

/// Returns the conditions on a table's rows as they are for a user.
fn filters(sight: &Sight, id: &TableId, caller: &Caller) -> Vec<String> {
    let text = |condition: Expr| {
        let text = condition.to_string();
        put_in(condition, caller).and_then(|known| expr_to_sql(&known)).map_or(text, |sql| sql.to_string())
    };
    sight.conditions(id).into_iter().map(text).collect()
}

/// Returns a condition with what is known of a user in the places of the functions that ask for it.
fn put_in(condition: Expr, caller: &Caller) -> Result<Expr, DataFusionError> {
    let known = condition.transform(|part| {
        let Expr::ScalarFunction(function) = &part else { return Ok(Transformed::no(part)) };
        let value = match (function.name(), function.args.as_slice()) {
            ("current_user", _) => Some(caller.name().to_owned()),
            ("user_attribute", [Expr::Literal(name, _)]) => {
                name.try_as_str().flatten().and_then(|name| caller.attributes().get(name).cloned())
            }
            _ => return Ok(Transformed::no(part)),
        };
        Ok(Transformed::yes(lit(ScalarValue::Utf8(value))))
    });
    known.map(|known| known.data)
}
