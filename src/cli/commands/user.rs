//! `topline user` and `topline token`: who may log in to a server.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use serde::Serialize;

use crate::audit::{Act, AuditEntry, AuditLog};
use crate::auth::Secret;
use crate::auth::users::Users;
use crate::cli::arguments::{ListFormat, TokenArguments, TokenCommand, UserArguments, UserCommand};
use crate::cli::output::json::document;
use crate::cli::output::listing::{Lean, Overflow, listing};
use crate::cli::stop::{Ending, Stop};
use crate::cli::terminal::Terminal;
use crate::config::{Config, Environment};
use crate::domain::clock::Clock;
use crate::domain::names::counted;
use crate::error::{Error, ErrorKind, Result};

/// A user as JSON has them.
#[derive(Serialize)]
struct UserEntry<'users> {
    name: &'users str,
    has_password: bool,
    tokens: usize,
    role: Option<&'users str>,
    attributes: &'users BTreeMap<String, String>,
}

/// A token as JSON has it.
#[derive(Serialize)]
struct TokenEntry<'users> {
    id: &'users str,
    user: &'users str,
    created_at: &'users str,
}

/// Does what is asked about users.
///
/// # Errors
/// `Config` where no file is named or it is wrong, and those of [`Users`].
pub(in crate::cli) fn run(
    config: Result<Config>,
    arguments: UserArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let audit = audit_of(&config)?;
    let file = users_file(config, arguments.file)?;
    let said = match arguments.command {
        UserCommand::Add { name, no_password, rights } => {
            let password = if no_password { None } else { Some(asked_password()?) };
            Users::edit(&file, |users| {
                users.add(&name, password.as_ref())?;
                users.grant(&name, rights.role, rights.attributes.into_iter().collect())
            })?;
            format!("user \"{name}\" is added to {}", file.display())
        }
        UserCommand::Grant { name, rights } => {
            let role = rights.role.clone();
            Users::edit(&file, |users| users.grant(&name, rights.role, rights.attributes.into_iter().collect()))?;
            match role {
                Some(role) => format!("user \"{name}\" has role \"{role}\" now"),
                None => format!("user \"{name}\" has no role now"),
            }
        }
        UserCommand::Password { name } => {
            let password = asked_password()?;
            Users::edit(&file, |users| users.set_password(&name, &password))?;
            format!("the password of user \"{name}\" is changed")
        }
        UserCommand::Remove { name } => {
            Users::edit(&file, |users| users.remove(&name))?;
            format!("user \"{name}\" is removed")
        }
        UserCommand::List { format } => {
            terminal.print(&list(&Users::read(&file)?, format, terminal)?)?;
            return Ok(Ending::Done);
        }
    };
    noted(&audit, &said)?;
    terminal.note(&said);
    Ok(Ending::Done)
}

/// Opens the log of what is done; a file of users may be changed without a configuration, and thus without one.
fn audit_of(config: &Result<Config>) -> Result<AuditLog> {
    AuditLog::open(config.as_ref().ok().and_then(|config| config.audit.as_ref()), Clock::System)
}

/// Writes down what was done about users.
fn noted(audit: &AuditLog, said: &str) -> Result<()> {
    let user = Environment::of_process().user;
    audit.record(&AuditEntry {
        act: Act::UserChanged,
        user: user.as_deref(),
        address: None,
        object: said,
        outcome: "done",
    })
}

/// Does what is asked about tokens.
///
/// # Errors
/// As [`run`].
pub(in crate::cli) fn run_token(
    config: Result<Config>,
    arguments: TokenArguments,
    terminal: &Terminal,
) -> Result<Ending, Stop> {
    let audit = audit_of(&config)?;
    let file = users_file(config, arguments.file)?;
    match arguments.command {
        TokenCommand::Add { name } => {
            let token = Users::edit(&file, |users| users.add_token(&name, Clock::System))?;
            noted(&audit, &format!("user \"{name}\" got a token"))?;
            terminal.note("keep the token: it is shown this once");
            terminal.print(&format!("{}\n", token.reveal()))?;
        }
        TokenCommand::List { format } => terminal.print(&list_tokens(&Users::read(&file)?, format, terminal)?)?,
        TokenCommand::Remove { id } => {
            Users::edit(&file, |users| users.remove_token(&id))?;
            let said = format!("token \"{id}\" is removed");
            noted(&audit, &said)?;
            terminal.note(&said);
        }
    }
    Ok(Ending::Done)
}

fn users_file(config: Result<Config>, named: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(file) = named {
        return Ok(file);
    }
    config?.security.users.ok_or_else(|| {
        Error::new(ErrorKind::Config, "no file of users is configured")
            .with_hint("name one with --file, or with users = \"users.toml\" in [auth] of the configuration")
    })
}

/// Returns the password that a person types twice, or a program writes once.
fn asked_password() -> Result<Secret> {
    let unreadable = |cause: io::Error| {
        Error::new(ErrorKind::Argument, "the password cannot be read")
            .with_hint("type it, or write it to standard input as one line")
            .with_source(cause)
    };
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
        return Ok(Secret::new(line.trim_end_matches(['\r', '\n'])));
    }
    let first = rpassword::prompt_password("Password: ").map_err(unreadable)?;
    let second = rpassword::prompt_password("Once more: ").map_err(unreadable)?;
    if first != second {
        return Err(Error::new(ErrorKind::Argument, "the two passwords differ").with_hint("try again"));
    }
    Ok(Secret::new(first))
}

fn list(users: &Users, format: ListFormat, terminal: &Terminal) -> Result<String> {
    if format == ListFormat::Json {
        let entries = users.listed().map(|user| UserEntry {
            name: user.name,
            has_password: user.has_password,
            tokens: user.tokens.len(),
            role: user.role,
            attributes: user.attributes,
        });
        return document(&entries.collect::<Vec<_>>());
    }
    let columns = [("user", Lean::Left), ("role", Lean::Left), ("logs in by", Lean::Left)];
    let ways = |has_password: bool, tokens: usize| match (has_password, tokens) {
        (true, 0) => "password".to_owned(),
        (true, tokens) => format!("password, {}", counted(tokens as u64, "token")),
        (false, 0) => "nothing yet".to_owned(),
        (false, tokens) => counted(tokens as u64, "token"),
    };
    let rows = users.listed().map(|user| {
        let ways = ways(user.has_password, user.tokens.len());
        vec![user.name.to_owned(), user.role.unwrap_or_default().to_owned(), ways]
    });
    Ok(listing(terminal, &columns, rows.collect(), Overflow::Cut))
}

fn list_tokens(users: &Users, format: ListFormat, terminal: &Terminal) -> Result<String> {
    let tokens: Vec<_> = users
        .listed()
        .flat_map(|user| {
            user.tokens.into_iter().map(move |(id, created_at)| TokenEntry { id, user: user.name, created_at })
        })
        .collect();
    if format == ListFormat::Json {
        return document(&tokens);
    }
    let columns = [("id", Lean::Left), ("user", Lean::Left), ("created", Lean::Left)];
    let rows = tokens.iter().map(|token| [token.id, token.user, token.created_at].map(str::to_owned).to_vec());
    Ok(listing(terminal, &columns, rows.collect(), Overflow::Cut))
}
