//! From TOML and environment variables to a [`Config`], with every problem named.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use super::limits::{LIMIT_KEYS, SIZE_KEYS};
use super::overrides::{self, Overrides};
use super::quality::{QUALITY_KEYS, QualityConfig};
use super::sandbox::{SANDBOX_KEYS, SandboxLimits, Warehouse};
use super::security::{AUTH_KEYS, OIDC_KEYS, SecurityConfig, TLS_KEYS};
use super::settings::{SETTINGS, Settings};
use super::traces::TRACES_KEYS;
use super::watch::{AUDIT_KEYS, HTTP_KEYS};
use super::{Config, Environment, Limits, default_grace, default_listen};
use crate::domain::names::nearest;
use crate::domain::toml_faults;
use crate::error::{Error, ErrorKind, Result};

/// Keys that are no settings, by section.
const OTHER_KEYS: [(&str, &[&str]); 12] = [
    ("quality", &QUALITY_KEYS),
    ("models", &["location"]),
    ("warehouse", &["accelerate", "location"]),
    ("sandbox", &SANDBOX_KEYS),
    ("flight", &["grace_seconds", "listen"]),
    ("tls", &TLS_KEYS),
    ("auth", &AUTH_KEYS),
    ("oidc", &OIDC_KEYS),
    ("audit", &AUDIT_KEYS),
    ("http", &HTTP_KEYS),
    ("limits", &LIMIT_KEYS),
    ("traces", &TRACES_KEYS),
];

/// The longest time to wait for calls at a stop: who waits longer would rather not stop.
const GRACE_SECONDS_MAX: u64 = 3600;

/// Reads a configuration; without a file it is the sample's.
pub(super) fn read(file: Option<&Path>, text: &str, environment: &Environment) -> Result<Config> {
    let origin = file.map_or_else(|| "the sample's configuration".to_owned(), |file| file.display().to_string());
    let mut table: Table = text
        .parse()
        .map_err(|fault| Error::new(ErrorKind::Config, format!("{origin}:{}", toml_faults::described(text, &fault))))?;
    let (overrides, problems) = overrides::lay_over(&mut table, environment);
    let mut reader = Reader { origin, overrides, problems };
    let config = reader.config(file, table, environment);
    match reader.fault() {
        Some(error) => Err(error),
        None => Ok(config),
    }
}

pub(super) struct Reader {
    origin: String,
    pub(super) overrides: Overrides,
    problems: Vec<String>,
}

pub(super) fn section_names() -> impl Iterator<Item = &'static str> {
    let of_settings = SETTINGS.iter().filter_map(|spec| spec.name.split_once('.')).map(|(section, _)| section);
    let mut names: Vec<_> = of_settings.chain(OTHER_KEYS.iter().map(|(section, _)| *section)).collect();
    names.extend(["jobs", "metrics", "notify", "roles", "sources"]);
    names.dedup();
    names.into_iter()
}

pub(super) fn keys_of(section: &str) -> Vec<&'static str> {
    let of_settings = SETTINGS
        .iter()
        .filter_map(|spec| spec.name.split_once('.'))
        .filter(|(name, _)| *name == section)
        .map(|(_, key)| key);
    let others = OTHER_KEYS.iter().filter(|(name, _)| *name == section).flat_map(|(_, keys)| keys.iter().copied());
    of_settings.chain(others).collect()
}

/// Returns whether a key holds a text rather than a number.
pub(super) fn is_text(section: &str, key: &str) -> bool {
    match Settings::default().get(&format!("{section}.{key}")) {
        Some(value) => !matches!(value, super::settings::Value::Integer(_) | super::settings::Value::Number(_)),
        None => match section {
            "audit" => key != "keep",
            "limits" => SIZE_KEYS.contains(&key),
            "auth" => key != "token_hours",
            "flight" => key != "grace_seconds",
            "traces" => key != "ratio",
            _ => true,
        },
    }
}

impl Reader {
    /// Returns the reader of a part of a file.
    pub(super) fn of_file(origin: String) -> Self {
        Self { origin, overrides: Overrides::default(), problems: Vec::new() }
    }

    /// Returns the error with every problem that was noted.
    pub(super) fn fault(self) -> Option<Error> {
        Error::list(ErrorKind::Config, "the configuration is wrong", self.problems)
    }

    /// Notes what is wrong with a place of the file, or with the variable that overrides it.
    pub(super) fn problem_at(&mut self, place: &str, problem: impl Display) {
        self.problems.push(match self.overrides.variable(place) {
            Some(variable) => format!("environment variable \"{variable}\": {problem}"),
            None => format!("{}: {place}: {problem}", self.origin),
        });
    }

    /// Notes what is wrong with a variable that is no key.
    pub(super) fn variable_problem(&mut self, variable: &str, problem: &str) {
        self.problems.push(format!("environment variable \"{variable}\": {problem}"));
    }

    fn problem(&mut self, problem: impl Display) {
        self.problems.push(format!("{}: {problem}", self.origin));
    }

    pub(super) fn unknown(&mut self, what: &str, name: &str, place: &str, known: &[&str]) {
        let hint = nearest(name, known.iter().copied())
            .map_or_else(|| format!("known are {}", known.join(", ")), |near| format!("did you mean \"{near}\"?"));
        self.problem(format!("unknown {what} \"{name}\"{place}; hint: {hint}"));
    }

    fn config(&mut self, file: Option<&Path>, table: Table, environment: &Environment) -> Config {
        let folder = file.and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let mut config = Config {
            file: file.map(Path::to_owned),
            settings: Settings::default(),
            sources: Vec::new(),
            jobs: Vec::new(),
            channels: BTreeMap::new(),
            metrics: BTreeMap::new(),
            roles: BTreeMap::new(),
            models: None,
            quality: QualityConfig::default(),
            warehouse: Warehouse::beside(&folder),
            sandbox: SandboxLimits::default(),
            listen: default_listen(),
            http: None,
            audit: None,
            traces: None,
            security: SecurityConfig::default(),
            grace: default_grace(),
            limits: Limits::default(),
            storage_options: environment.storage_options.clone(),
        };
        let sections: Vec<_> = section_names().collect();
        let (mut jobs, mut traces) = (None, Table::new());
        for (section, value) in table {
            if !sections.contains(&section.as_str()) {
                self.unknown("section", &format!("[{section}]"), "", &sections);
                continue;
            }
            if section == "jobs" {
                // Read at the end: their zone is the reporting zone, their channels are those of [notify].
                jobs = Some(value);
                continue;
            }
            let Value::Table(keys) = value else {
                self.problem_at(&format!("[{section}]"), format!("expected a section, found {}", value.type_str()));
                continue;
            };
            match section.as_str() {
                "sources" => config.sources = self.sources(keys, &folder, file.is_none()),
                "metrics" => config.metrics = self.metrics(keys),
                "roles" => config.roles = self.roles(keys),
                "notify" => config.channels = self.channels(keys, environment),
                "tls" => self.tls(&mut config.security, keys, &folder),
                "auth" => self.auth(&mut config.security, keys, &folder),
                "audit" => config.audit = self.audit(keys, &folder),
                "http" => config.http = self.http(keys),
                "traces" => traces = keys,
                "limits" => config.limits = self.limits(keys),
                "oidc" => config.security.oidc = self.oidc(keys),
                _ => {
                    for (key, value) in keys {
                        self.key(&mut config, &section, &key, value, &folder);
                    }
                }
            }
        }
        config.traces = self.traces(traces, environment);
        if let Some(jobs) = jobs {
            config.jobs = self.jobs(jobs, config.settings.calendar().timezone, &config.channels);
        }
        if config.sources.is_empty() && self.problems.is_empty() {
            self.problem("no source is configured; hint: add [sources.crm] with connector and location");
        }
        config
    }

    fn key(&mut self, config: &mut Config, section: &str, key: &str, value: Value, folder: &Path) {
        let known = keys_of(section);
        if !known.contains(&key) {
            return self.unknown("key", key, &format!(" in [{section}]"), &known);
        }
        let place = format!("[{section}] {key}");
        match (section, key) {
            ("models", _) => config.models = self.text(&place, value).map(|text| folder.join(text)),
            ("warehouse", "accelerate") => {
                config.warehouse.is_accelerating = self.flag(&place, value);
            }
            ("warehouse", _) => {
                if let Some(location) = self.warehouse(&place, value, folder) {
                    config.warehouse.location = location;
                    config.warehouse.is_configured = true;
                }
            }
            ("sandbox", key) => self.sandbox(&mut config.sandbox, key, &value),
            ("flight", "grace_seconds") => match value.as_integer().and_then(|number| u64::try_from(number).ok()) {
                Some(seconds) if seconds <= GRACE_SECONDS_MAX => config.grace = Duration::from_secs(seconds),
                _ => self.problem_at(
                    &place,
                    format!("expected a whole number from 0 to {GRACE_SECONDS_MAX}, found {}", described(&value)),
                ),
            },
            ("flight", _) => {
                if let Some(text) = self.text(&place, value) {
                    match text.parse() {
                        Ok(address) => config.listen = address,
                        Err(_) => self.problem_at(
                            &place,
                            format!("expected an address such as 127.0.0.1:50051, found \"{text}\""),
                        ),
                    }
                }
            }
            ("quality", key) if QUALITY_KEYS.contains(&key) => self.quality(&mut config.quality, key, value),
            _ => self.setting(config, section, key, &value),
        }
    }

    fn setting(&mut self, config: &mut Config, section: &str, key: &str, value: &Value) {
        let name = format!("{section}.{key}");
        let is_text = is_text(section, key);
        let place = format!("[{section}] {key}");
        let text = match value {
            Value::String(text) if is_text => text.clone(),
            Value::Datetime(instant) if is_text => instant.to_string(),
            Value::Integer(number) if !is_text => number.to_string(),
            Value::Float(number) if !is_text => number.to_string(),
            other => {
                let expected = if is_text { "a text" } else { "a number" };
                return self.problem_at(&place, format!("expected {expected}, found {}", described(other)));
            }
        };
        match config.settings.with(&name, &text) {
            Ok(settings) => config.settings = settings,
            Err(fault) => {
                let message = fault.message().trim_start_matches(&format!("setting \"{name}\": "));
                self.problem_at(&place, message);
            }
        }
    }

    pub(super) fn text(&mut self, place: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            other => {
                self.problem_at(place, format!("expected a text, found {}", described(&other)));
                None
            }
        }
    }
}

/// Returns the value as an error shows it: its type, and the value itself where it is short.
pub(super) fn described(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => format!("{} {value}", value.type_str()),
        other => other.type_str().to_owned(),
    }
}

/// Returns a time such as `90 s`, `30 min`, `2 h` or `1 d`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|other: char| !other.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// Returns the bytes of a size such as `512 MB` or `2GiB`; MB is 1024 x 1024 bytes, as in the tools that limit memory.
pub(super) fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|other: char| !other.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "KB" | "KIB" | "K" => 10,
        "MB" | "MIB" | "M" => 20,
        "GB" | "GIB" | "G" => 30,
        "TB" | "TIB" | "T" => 40,
        _ => return None,
    };
    number.checked_shl(shift).filter(|bytes| bytes >> shift == number)
}

#[cfg(test)]
mod tests;
