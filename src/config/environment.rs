//! The environment, read once at start.

use std::collections::BTreeMap;

use crate::domain::secret::Secret;

/// Prefix of the variables that override keys of the configuration file.
const PREFIX: &str = "TOPLINE_";

/// Variables with a meaning of their own, which are no keys.
const RESERVED: [&str; 2] = ["TOPLINE_LOG", "TOPLINE_LOG_FORMAT"];

/// Prefixes of variables that object stores understand.
const STORAGE_PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// The variables that concern topline.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `TOPLINE_<SECTION>_<KEY>` with their values, in the order of their names.
    pub overrides: Vec<(String, String)>,
    /// Options of object stores with their values.
    pub storage_options: Vec<(String, String)>,
    /// The filter of the log, from `TOPLINE_LOG`.
    pub log: Option<String>,
    /// The form of the log, from `TOPLINE_LOG_FORMAT`.
    pub log_format: Option<String>,
    /// Whether `NO_COLOR` is set.
    pub is_colourless: bool,
    /// The name of the user, as the system has it.
    pub user: Option<String>,
    /// All other variables, for keys of the configuration that name one: what they hold may be a secret.
    pub named: BTreeMap<String, Secret>,
}

impl Environment {
    /// Returns the environment of this process.
    pub fn of_process() -> Self {
        Self::from_variables(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Returns the environment made of these variables.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            match name.as_str() {
                "TOPLINE_LOG" => environment.log = Some(value),
                "TOPLINE_LOG_FORMAT" => environment.log_format = Some(value),
                "NO_COLOR" => environment.is_colourless = !value.is_empty(),
                "USER" | "USERNAME" => environment.user = Some(value),
                _ if name.starts_with(PREFIX) && !RESERVED.contains(&name.as_str()) => {
                    environment.overrides.push((name, value));
                }
                _ if STORAGE_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {
                    environment.storage_options.push((name, value));
                }
                _ => {
                    environment.named.insert(name, Secret::new(value));
                }
            }
        }
        environment.overrides.sort();
        environment.storage_options.sort();
        environment
    }
}
