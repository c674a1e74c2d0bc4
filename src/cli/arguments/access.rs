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
