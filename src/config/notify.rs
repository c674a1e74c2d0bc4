//! The `[notify.NAME]` sections: whom jobs tell what became of them, and how.

use std::collections::BTreeMap;

use toml::{Table, Value};
use url::Url;

use super::reader::{Reader, described};
use super::{Environment, is_private_url};
use crate::domain::secret::Secret;

/// The keys of a channel.
const KEYS: [&str; 6] = ["webhook", "webhook_env", "token_env", "command", "on", "restated_above"];

/// A `[notify.NAME]` section.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelConfig {
    /// How it is told.
    pub means: Means,
    /// What it is told.
    pub on: Vec<News>,
    /// The share of its old value by which a published number must move for it to be told: 0.01 is one percent.
    pub restated_above: f64,
}

/// How a channel is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// JSON is sent to a URL.
    Webhook {
        /// The URL.
        url: Address,
        /// The token that goes with it as `Authorization: Bearer`.
        token: Option<Address>,
    },
    /// A program is started, with its arguments and no shell, that reads JSON from its standard input.
    Command(Vec<String>),
}

/// A text that stands in the configuration or in a variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// It stands in the file.
    Plain(String),
    /// It stands in a variable; `None` is one that is not set.
    Variable(String, Option<Secret>),
}

/// What a channel can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// A broken law held a run.
    Held,
    /// A tick was given up.
    Failed,
    /// Published numbers moved.
    Restated,
    /// A metric is off its target.
    OffTarget,
    /// A job that was held or failing did its work again.
    Recovered,
}

impl News {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Held, Self::Failed, Self::Restated, Self::OffTarget, Self::Recovered];

    /// Returns the word of the configuration, which stands in messages too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Restated => "restated",
            Self::OffTarget => "off_target",
            Self::Recovered => "recovered",
        }
    }
}

impl Reader {
    /// Reads the channels.
    pub(super) fn channels(&mut self, table: Table, environment: &Environment) -> BTreeMap<String, ChannelConfig> {
        let mut channels = BTreeMap::new();
        for (name, value) in table {
            let place = format!("[notify.{name}]");
            let Value::Table(mut keys) = value else {
                self.problem_at(&place, format!("expected a section, found {}", value.type_str()));
                continue;
            };
            for key in keys.keys().filter(|key| !KEYS.contains(&key.as_str())) {
                self.unknown("key", key, &format!(" in {place}"), &KEYS);
            }
            let on = match keys.remove("on") {
                Some(value) => self.news(&format!("{place} on"), value),
                None => News::ALL.to_vec(),
            };
            let restated_above = match keys.remove("restated_above") {
                Some(value) => self.share(&format!("{place} restated_above"), &value),
                None => 0.0,
            };
            // One with a slip is known all the same: it is named once, and not by every job that tells it something.
            let means = self.means(&place, keys, environment).unwrap_or(Means::Command(Vec::new()));
            channels.insert(name, ChannelConfig { means, on, restated_above });
        }
        channels
    }

    fn means(&mut self, place: &str, mut keys: Table, environment: &Environment) -> Option<Means> {
        let mut text = |key: &str| keys.remove(key).map(|value| self.text(&format!("{place} {key}"), value));
        let (plain, variable, token) = (text("webhook"), text("webhook_env"), text("token_env"));
        let of_variable = |name: String| {
            let value = environment.named.get(&name).cloned();
            Address::Variable(name, value)
        };
        match (plain, variable, keys.remove("command")) {
            (Some(url), None, None) => {
                let url = url.filter(|url| self.is_url(&format!("{place} webhook"), url))?;
                Some(Means::Webhook { url: Address::Plain(url), token: token.flatten().map(of_variable) })
            }
            (None, Some(variable), None) => {
                Some(Means::Webhook { url: of_variable(variable?), token: token.flatten().map(of_variable) })
            }
            (None, None, Some(_)) if token.is_some() => {
                self.problem_at(place, "key token_env goes with a webhook, and this is a command");
                None
            }
            (None, None, Some(command)) => self.command(&format!("{place} command"), command).map(Means::Command),
            _ => {
                self.problem_at(place, "expected one of the keys webhook, webhook_env and command");
                None
            }
        }
    }

    fn is_url(&mut self, place: &str, text: &str) -> bool {
        let is_good = Url::parse(text).is_ok_and(|url| is_private_url(&url));
        if !is_good {
            let hint = "a secret one stands in a variable that webhook_env names";
            self.problem_at(place, format!("expected an https:// URL, found \"{text}\"; hint: {hint}"));
        }
        is_good
    }

    fn command(&mut self, place: &str, value: Value) -> Option<Vec<String>> {
        let Value::Array(values) = value else {
            let hint = "no shell reads it";
            let found = described(&value);
            self.problem_at(
                place,
                format!("expected a list of a program and its arguments, found {found}; hint: {hint}"),
            );
            return None;
        };
        let count = values.len();
        let words: Vec<String> = values.into_iter().filter_map(|value| self.text(place, value)).collect();
        if count == 0 {
            self.problem_at(place, "expected a list of a program and its arguments, found an empty one");
        }
        (count > 0 && words.len() == count).then_some(words)
    }

    fn news(&mut self, place: &str, value: Value) -> Vec<News> {
        let known: Vec<&str> = News::ALL.iter().map(|news| news.name()).collect();
        let Value::Array(values) = value else {
            self.problem_at(place, format!("expected a list of {}, found {}", known.join(", "), described(&value)));
            return Vec::new();
        };
        let mut found = Vec::new();
        for value in values {
            let Some(word) = self.text(place, value) else { continue };
            match News::ALL.into_iter().find(|news| news.name() == word) {
                Some(news) => found.push(news),
                None => self.unknown("news", &word, &format!(" in {place}"), &known),
            }
        }
        found
    }

    fn share(&mut self, place: &str, value: &Value) -> f64 {
        let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
        match number.filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => number,
            None => {
                self.problem_at(place, format!("expected a share such as 0.01, found {}", described(value)));
                0.0
            }
        }
    }
}
