//! `topline access`: what a user of servers sees, and why.

use crate::auth::Caller;
use crate::auth::users::Users;
use crate::cli::arguments::{AccessArguments, ListFormat, RightsArguments};
use crate::cli::output::json::document;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::domain::names::counted;
use crate::engine::{Access, Engine, TableAccess};
use crate::error::{Error, ErrorKind, Result};

/// Shows what a user sees.
///
/// # Errors
/// `NotFound` where the file of users has none of the name, `Refused` where the user has no role, and what listing
/// tables gives.
pub(in crate::cli) async fn run(
    engine: &Engine,
    arguments: &AccessArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let RightsArguments { role, attributes } = &arguments.rights;
    let caller = if role.is_none() && attributes.is_empty() {
        caller(engine, &arguments.name)?
    } else {
        Caller::granted(&arguments.name, role.as_deref(), attributes.iter().cloned().collect())
    };
    let access = engine.access(&caller).await?;
    let text = match arguments.format {
        ListFormat::Json => document(&access)?,
        ListFormat::Table => table(&access, terminal),
    };
    terminal.print(&text)?;
    Ok(Ending::Done)
}

/// Returns a user of the configured file of users.
///
/// # Errors
/// `NotFound` where there is none of the name, and those of reading the file.
pub(super) fn caller(engine: &Engine, name: &str) -> Result<Caller> {
    let Some(file) = &engine.config().security.users else {
        return Err(Error::new(ErrorKind::Config, "no file of users is configured")
            .with_hint("name one with users = \"users.toml\" in [auth], or a role: topline access USER --role ROLE"));
    };
    Users::read(file)?.caller(name).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("user \"{name}\" does not exist"))
            .with_hint("topline user list shows those that do")
    })
}

fn table(access: &Access, terminal: &Terminal) -> String {
    let role = match &access.role {
        Some(role) => format!("role \"{role}\""),
        None => "no role, and none is configured: everyone reads everything".to_owned(),
    };
    let admin = if access.is_admin { ", an administrator" } else { "" };
    let head = format!("user \"{}\": {role}{admin}; sandbox: {}\n\n", access.user, access.sandbox);
    let columns =
        [("table", Lean::Left), ("columns", Lean::Right), ("because", Lean::Left), ("rows and values", Lean::Left)];
    let rows = access.tables.iter().map(row).collect();
    let list = listing(terminal, &columns, rows, Overflow::Break);
    format!("{head}{list}{}\n", counted(access.tables.len() as u64, "table"))
}

fn row(table: &TableAccess) -> Vec<String> {
    let filters = table.filters.iter().map(|filter| format!("where {filter}"));
    let masks = table.masks.iter().map(|mask| format!("masked {mask}"));
    let hidden = table.hidden.iter().map(|column| format!("without {column}"));
    let through = table.through.iter().map(|other| format!("through {other}"));
    let limits: Vec<String> = filters.chain(masks).chain(hidden).chain(through).collect();
    let limits = if limits.is_empty() { "all".to_owned() } else { limits.join("; ") };
    vec![format!("{}.{}", table.schema, table.name), table.columns.len().to_string(), table.because.clone(), limits]
}
