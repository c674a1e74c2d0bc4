//! The sections `[roles.NAME]`: who may read what. Whether there are such tables and columns is told when the catalog is
//! known.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::{Table, Value};

use super::reader::{Reader, described};
use crate::domain::toml_faults;
use crate::error::{Error, ErrorKind, Result};

/// The keys of a role.
const KEYS: [&str; 7] = ["admin", "default", "filters", "hide", "masks", "read", "sandbox"];

/// The keys of a filter.
const FILTER_KEYS: [&str; 2] = ["table", "where"];

/// The keys of a mask.
const MASK_KEYS: [&str; 3] = ["table", "column", "mask"];

/// The most roles: the plans of views are kept for each, and nobody can look through more.
const ROLES_MAX: usize = 200;

/// What stands for all schemas.
const EVERYTHING: &str = "*";

/// A `[roles.NAME]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleConfig {
    /// What may be read.
    pub read: Vec<Place>,
    /// What of it is taken out.
    pub hide: Vec<Place>,
    /// Which rows there are.
    pub filters: Vec<FilterConfig>,
    /// Which values are changed.
    pub masks: Vec<MaskConfig>,
    /// What may be done in schema `sandbox`.
    pub sandbox: SandboxRight,
    /// Whether it sees what concerns other users.
    pub is_admin: bool,
    /// Whether it is the role of users who have none.
    pub is_default: bool,
}

/// A place of the catalog as a role names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `*`: all schemas but the sandbox.
    Everything,
    /// A schema.
    Schema(String),
    /// Schema and table.
    Table(String, String),
    /// Schema, table and column.
    Column(String, String, String),
}

/// A `[[roles.NAME.filters]]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterConfig {
    /// Schema and name of the table.
    pub table: (String, String),
    /// SQL that is true for the rows that there are.
    pub condition: String,
}

/// A `[[roles.NAME.masks]]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskConfig {
    /// Schema and name of the table.
    pub table: (String, String),
    /// The column.
    pub column: String,
    /// What becomes of its values.
    pub mask: Mask,
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// A text that tells equal values from different ones, and nothing else.
    Hash,
    /// NULL.
    Null,
    /// The first letter of a text.
    Partial,
}

impl Mask {
    /// Every mask.
    const ALL: [Self; 3] = [Self::Hash, Self::Null, Self::Partial];

    /// Returns the word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Null => "null",
            Self::Partial => "partial",
        }
    }
}

/// What may be done in schema `sandbox`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SandboxRight {
    /// It does not exist.
    #[default]
    None,
    /// Its tables and views may be read.
    Read,
    /// They may be written too.
    Write,
}

impl SandboxRight {
    /// Every right.
    const ALL: [Self; 3] = [Self::None, Self::Read, Self::Write];

    /// Returns the word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str(EVERYTHING),
            Self::Schema(schema) => f.write_str(schema),
            Self::Table(schema, table) => write!(f, "{schema}.{table}"),
            Self::Column(schema, table, column) => write!(f, "{schema}.{table}.{column}"),
        }
    }
}

/// Returns the roles of a configuration file as it is now; the rest of it is not looked at.
///
/// # Errors
/// `Config` with every problem of the roles, and where the file cannot be read.
pub fn roles_of_file(file: &Path) -> Result<BTreeMap<String, RoleConfig>> {
    let text = std::fs::read_to_string(file).map_err(|cause| {
        Error::new(ErrorKind::Config, format!("configuration file \"{}\" cannot be read", file.display()))
            .with_source(cause)
    })?;
    let origin = file.display().to_string();
    let mut table: Table = text.parse().map_err(|fault| {
        Error::new(ErrorKind::Config, format!("{origin}:{}", toml_faults::described(&text, &fault)))
    })?;
    let mut reader = Reader::of_file(origin);
    let roles = match table.remove("roles") {
        Some(Value::Table(sections)) => reader.roles(sections),
        Some(_) => {
            reader.problem_at("[roles]", "expected sections; hint: write [roles.NAME]");
            BTreeMap::new()
        }
        None => BTreeMap::new(),
    };
    match reader.fault() {
        Some(error) => Err(error),
        None => Ok(roles),
    }
}

impl Reader {
    /// Reads the roles.
    pub(super) fn roles(&mut self, sections: Table) -> BTreeMap<String, RoleConfig> {
        let mut roles = BTreeMap::new();
        for (name, value) in sections {
            let place = format!("[roles.{name}]");
            let is_name = !name.is_empty() && name.chars().all(|other| other.is_alphanumeric() || "_-".contains(other));
            if !is_name {
                self.problem_at(&place, "expected a name of letters, digits, _ and -");
                continue;
            }
            match value {
                Value::Table(keys) => {
                    let role = self.role(&place, keys);
                    roles.insert(name, role);
                }
                other => self.problem_at(&place, format!("expected a section, found {}", described(&other))),
            }
        }
        if roles.len() > ROLES_MAX {
            self.problem_at("[roles]", format!("expected up to {ROLES_MAX} roles, found {}", roles.len()));
        }
        let defaults: Vec<&str> =
            roles.iter().filter(|(_, role)| role.is_default).map(|(name, _)| name.as_str()).collect();
        if defaults.len() > 1 {
            self.problem_at("[roles]", format!("expected one default role, found {}", defaults.join(", ")));
        }
        roles
    }

    fn role(&mut self, place: &str, keys: Table) -> RoleConfig {
        let mut role = RoleConfig::default();
        for (key, value) in keys {
            let at = format!("{place} {key}");
            match key.as_str() {
                "read" => role.read = self.places(&at, value, Readable),
                "hide" => role.hide = self.places(&at, value, Hideable),
                "filters" => role.filters = self.entries(&at, value, Self::filter),
                "masks" => role.masks = self.entries(&at, value, Self::mask),
                "sandbox" => role.sandbox = self.word(&at, &value, SandboxRight::ALL, SandboxRight::name),
                "admin" => role.is_admin = self.is_true(&at, &value),
                "default" => role.is_default = self.is_true(&at, &value),
                _ => self.unknown("key", &key, &format!(" in {place}"), &KEYS),
            }
        }
        role
    }

    fn places(&mut self, at: &str, value: Value, kind: PlaceKind) -> Vec<Place> {
        let Value::Array(values) = value else {
            self.problem_at(at, format!("expected a list of texts, found {}", described(&value)));
            return Vec::new();
        };
        let mut places = Vec::new();
        for value in values {
            match value.as_str().and_then(|text| kind.read(text)) {
                Some(place) => places.push(place),
                None => self.problem_at(at, format!("expected {}, found {}", kind.expected(), described(&value))),
            }
        }
        places
    }

    /// Reads sections in double brackets.
    fn entries<T>(&mut self, at: &str, value: Value, read: impl Fn(&mut Self, &str, Table) -> Option<T>) -> Vec<T> {
        let Value::Array(values) = value else {
            self.problem_at(at, "expected a list of sections; hint: write them with two brackets");
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (number, value) in (1..).zip(values) {
            match value {
                Value::Table(keys) => entries.extend(read(self, &format!("{at} {number}"), keys)),
                other => self.problem_at(at, format!("expected a section, found {}", described(&other))),
            }
        }
        entries
    }

    fn filter(&mut self, at: &str, mut keys: Table) -> Option<FilterConfig> {
        self.refuse_others(at, &keys, &FILTER_KEYS);
        let table = self.table_of(at, keys.remove("table"));
        let condition = self.needed(at, "where", keys.remove("where"));
        Some(FilterConfig { table: table?, condition: condition? })
    }

    fn mask(&mut self, at: &str, mut keys: Table) -> Option<MaskConfig> {
        self.refuse_others(at, &keys, &MASK_KEYS);
        let table = self.table_of(at, keys.remove("table"));
        let column = self.needed(at, "column", keys.remove("column"));
        let word = self.needed(at, "mask", keys.remove("mask"))?;
        let mask = Mask::ALL.into_iter().find(|mask| mask.name() == word);
        if mask.is_none() {
            let known = Mask::ALL.map(Mask::name).join(", ");
            self.problem_at(at, format!("mask: expected one of {known}, found \"{word}\""));
        }
        Some(MaskConfig { table: table?, column: column?, mask: mask? })
    }

    fn refuse_others(&mut self, at: &str, keys: &Table, known: &[&str]) {
        for key in keys.keys().filter(|key| !known.contains(&key.as_str())) {
            self.unknown("key", key, &format!(" in {at}"), known);
        }
    }

    fn table_of(&mut self, at: &str, value: Option<Value>) -> Option<(String, String)> {
        let text = self.needed(at, "table", value)?;
        match Readable.read(&text) {
            Some(Place::Table(schema, table)) => Some((schema, table)),
            _ => {
                self.problem_at(at, format!("table: expected schema.table, found \"{text}\""));
                None
            }
        }
    }

    fn needed(&mut self, at: &str, key: &str, value: Option<Value>) -> Option<String> {
        match value {
            Some(value) => self.text(&format!("{at} {key}"), value),
            None => {
                self.problem_at(at, format!("key \"{key}\" is missing"));
                None
            }
        }
    }

    fn word<T: Copy + Default, const N: usize>(
        &mut self,
        at: &str,
        value: &Value,
        all: [T; N],
        name: fn(T) -> &'static str,
    ) -> T {
        let found = all.into_iter().find(|one| value.as_str() == Some(name(*one)));
        found.unwrap_or_else(|| {
            let known = all.map(name).join(", ");
            self.problem_at(at, format!("expected one of {known}, found {}", described(value)));
            T::default()
        })
    }

    fn is_true(&mut self, at: &str, value: &Value) -> bool {
        value.as_bool().unwrap_or_else(|| {
            self.problem_at(at, format!("expected true or false, found {}", described(value)));
            bool::default()
        })
    }
}

use PlaceKind::{Hideable, Readable};

/// Which places a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlaceKind {
    /// Everything, schemas and tables.
    Readable,
    /// Schemas, tables and columns.
    Hideable,
}

impl PlaceKind {
    fn read(self, text: &str) -> Option<Place> {
        let parts: Vec<String> = text.split('.').map(|part| part.trim().to_owned()).collect();
        if parts.iter().any(String::is_empty) {
            return None;
        }
        match (self, <[String; 3]>::try_from(parts)) {
            (Hideable, Ok([schema, table, column])) => Some(Place::Column(schema, table, column)),
            (Readable, Ok(_)) => None,
            (_, Err(parts)) => match <[String; 2]>::try_from(parts) {
                Ok([schema, table]) => Some(Place::Table(schema, table)),
                Err(parts) => match <[String; 1]>::try_from(parts) {
                    Ok([name]) if name == EVERYTHING => (self == Readable).then_some(Place::Everything),
                    Ok([schema]) => Some(Place::Schema(schema)),
                    Err(_) => None,
                },
            },
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Readable => "*, a schema or schema.table",
            Hideable => "a schema, schema.table or schema.table.column",
        }
    }
}

#[cfg(test)]
mod tests;
