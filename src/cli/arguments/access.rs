//! What may be asked for about users and their tokens.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ListFormat;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline user add ann                             asks for the password twice
  topline user add ann --file users.toml < word    one line from standard input
  topline user add grafana --no-password           for a program: give it a token
  topline user add bob --role sales --attribute region=EMEA
  topline user grant bob --role sales --attribute region=APAC
  topline user list --format json
  topline user remove ann

The file is --file, else [auth] users of the configuration. A server reads it again when it changes.")]
pub(in crate::cli) struct UserArguments {
    /// What to do
    #[command(subcommand)]
    pub command: UserCommand,
    /// File of users [default: that of the configuration]
    #[arg(long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
}

/// What is done about users.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UserCommand {
    /// Add a user; the file is made where there is none
    Add {
        /// Letters, digits and . _ - + @, such as ann@example.com
        #[arg(value_name = "NAME")]
        name: String,
        /// Ask for no password: the user has tokens alone
        #[arg(long)]
        no_password: bool,
        /// What the user may read
        #[command(flatten)]
        rights: RightsArguments,
    },
    /// Give a user a role and attributes, in place of those before
    Grant {
        /// The user
        #[arg(value_name = "NAME")]
        name: String,
        /// What the user may read
        #[command(flatten)]
        rights: RightsArguments,
    },
    /// Change a user's password, which ends every login by the one before
    Password {
        /// The user
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List the users
    List {
        /// How to print them
        #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true,
            default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Remove a user with all tokens
    Remove {
        /// The user
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Role and attributes of a user.
#[derive(Debug, Args)]
pub(in crate::cli) struct RightsArguments {
    /// A role of the configuration
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// What filters of roles know as user_attribute('NAME')
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    pub attributes: Vec<(String, String)>,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE such as region=EMEA, found \"{text}\"")),
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline access bob                               what bob sees, and why
  topline access bob --format json | jq '.tables[] | {schema, name, columns}'
  topline access ann@example.com --role sales --attribute region=EMEA
  topline query \"select count(*) from crm.accounts\" --as bob

Role and attributes are those of the file of users, unless they are named here, as a token would.")]
pub(in crate::cli) struct AccessArguments {
    /// The user
    #[arg(value_name = "USER")]
    pub name: String,
    /// What the user may read
    #[command(flatten)]
    pub rights: RightsArguments,
    /// How to print it
    #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true,
        default_value_t = ListFormat::Table)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  topline token add grafana > token                printed this once, kept as a hash
  topline token list
  topline token remove 1f0a9c33d2

A client sends it as \"authorization: Bearer TOKEN\" until it is removed.
The file is --file, else [auth] users of the configuration. A server reads it again when it changes.")]
pub(in crate::cli) struct TokenArguments {
    /// What to do
    #[command(subcommand)]
    pub command: TokenCommand,
    /// File of users [default: that of the configuration]
    #[arg(long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
}

/// What is done about tokens.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Make a token of a user
    Add {
        /// The user
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List what each token is called by
    List {
        /// How to print them
        #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true,
            default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Remove a token
    Remove {
        /// What the list calls it by
        #[arg(value_name = "ID")]
        id: String,
    },
}
