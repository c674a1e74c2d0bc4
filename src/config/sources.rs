//! The `[sources.NAME]` sections.

use std::path::{Path, PathBuf};

use toml::{Table, Value};
use url::Url;

use super::reader::Reader;
use super::{BUILT_IN_SCHEMAS, CONTRACT_SCHEMAS, Connector, Location, SourceConfig};
use crate::domain::names::is_identifier;

/// The keys of a source.
pub(super) const SOURCE_KEYS: [&str; 2] = ["connector", "location"];

impl Reader {
    pub(super) fn sources(&mut self, table: Table, folder: &Path, is_sample: bool) -> Vec<SourceConfig> {
        let mut sources = Vec::new();
        for (name, value) in table {
            let place = format!("[sources.{name}]");
            let Value::Table(mut keys) = value else {
                self.problem_at(&place, format!("expected a section, found {}", value.type_str()));
                continue;
            };
            let connector = keys.remove("connector");
            let location = keys.remove("location");
            for key in keys.keys() {
                self.unknown("key", key, &format!(" in {place}"), &SOURCE_KEYS);
            }
            let connector = self.connector(&place, &name, connector);
            let location = match location {
                Some(value) => self
                    .text(&format!("{place} location"), value)
                    .and_then(|text| self.location(&place, &text, folder, is_sample)),
                None => {
                    self.problem_at(
                        &place,
                        "key \"location\" is missing; hint: a folder, or an s3://, gs://, az:// or https:// URL",
                    );
                    None
                }
            };
            if let (Some(connector), Some(location)) = (connector, location) {
                sources.push(SourceConfig { name, connector, location });
            }
        }
        sources
    }

    fn connector(&mut self, place: &str, name: &str, value: Option<Value>) -> Option<Connector> {
        let Some(value) = value else {
            self.problem_at(place, "key \"connector\" is missing; hint: \"canonical\" or \"raw\"");
            return None;
        };
        let connector = match self.text(&format!("{place} connector"), value)?.as_str() {
            "canonical" => Connector::Canonical,
            "raw" => Connector::Raw,
            other => {
                self.problem_at(&format!("{place} connector"), format!("expected canonical or raw, found \"{other}\""));
                return None;
            }
        };
        let is_contract = CONTRACT_SCHEMAS.contains(&name);
        if connector == Connector::Canonical && !is_contract {
            self.unknown("canonical source", name, "", &CONTRACT_SCHEMAS);
        } else if connector == Connector::Raw && (is_contract || BUILT_IN_SCHEMAS.contains(&name)) {
            self.problem_at(
                place,
                format!("a raw source cannot be named like the built-in schema \"{name}\"; hint: choose another name"),
            );
        } else if !is_identifier(name) {
            self.problem_at(place, format!("a source's name has small letters, digits and _ only, found \"{name}\""));
        }
        Some(connector)
    }

    fn location(&mut self, place: &str, text: &str, folder: &Path, is_sample: bool) -> Option<Location> {
        let place = format!("{place} location");
        if is_sample && self.overrides.variable(&place).is_none() {
            return CONTRACT_SCHEMAS.into_iter().find(|schema| *schema == text).map(Location::Sample);
        }
        if !text.contains("://") {
            return Some(Location::Local(folder.join(PathBuf::from(text))));
        }
        match Url::parse(text) {
            Ok(url) if ["s3", "gs", "az", "http", "https"].contains(&url.scheme()) && url.has_host() => {
                if url.password().is_some() || !url.username().is_empty() {
                    self.problem_at(&place, "a URL must not hold credentials; hint: set them in the environment");
                    return None;
                }
                Some(Location::Url(url))
            }
            _ => {
                self.problem_at(
                    &place,
                    format!("expected a path or an s3://, gs://, az://, http:// or https:// URL, found \"{text}\""),
                );
                None
            }
        }
    }
}
