//! The `[[jobs]]` sections: what is published when.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use toml::{Table, Value};

use super::notify::ChannelConfig;
use super::reader::{Reader, described, parse_duration};
use crate::domain::schedule::Schedule;

/// The keys of a job.
const KEYS: [&str; 10] =
    ["name", "cron", "zone", "metrics", "tags", "months", "policy", "retries", "deadline", "notify"];

/// Failures after which a run is tried again: with pauses that double from ten seconds, they span five minutes.
const RETRIES: u32 = 5;

/// The most retries: with pauses of at most ten minutes, a tick is given up within four hours.
const RETRIES_MAX: i64 = 24;

/// How long one attempt may take: a full run of everything on twenty million touches takes minutes.
const DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// The longest deadline: who publishes for more than a day has another problem.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The most months that `last N` names: ten years.
const LAST_MAX: u32 = 120;

/// A `[[jobs]]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobConfig {
    /// The name.
    pub name: String,
    /// When it is due; `None` is whenever somebody runs it.
    pub schedule: Option<Schedule>,
    /// The metrics that it publishes, by name.
    pub metrics: Vec<String>,
    /// Cadences and owners whose metrics it publishes; all metrics where neither is named.
    pub tags: Vec<String>,
    /// The months.
    pub months: JobMonths,
    /// What becomes of ticks that nobody was there for.
    pub missed: Missed,
    /// Failures after which a run is tried again.
    pub retries: u32,
    /// How long one attempt may take.
    pub deadline: Duration,
    /// The channels that are told what became of it.
    pub notify: Vec<String>,
}

/// The months that a job publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobMonths {
    /// All that have ended, where anything changed.
    Due,
    /// So many before the one that runs.
    Last(u32),
    /// Those after the newest closed one.
    Open,
}

/// What becomes of ticks that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// The latest is run, and stands for those before it.
    Latest,
    /// Each is run.
    All,
    /// None is run.
    Skip,
}

impl std::fmt::Display for JobMonths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Due => f.write_str("due"),
            Self::Last(months) => write!(f, "last {months}"),
            Self::Open => f.write_str("open"),
        }
    }
}

impl Missed {
    /// Returns the word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::All => "all",
            Self::Skip => "skip",
        }
    }
}

impl Reader {
    /// Reads the jobs; whether there are such metrics is told when the models are known.
    pub(super) fn jobs(
        &mut self,
        value: Value,
        zone: Tz,
        channels: &BTreeMap<String, ChannelConfig>,
    ) -> Vec<JobConfig> {
        let Value::Array(values) = value else {
            self.problem_at("[jobs]", "expected a list of sections; hint: write [[jobs]] with two brackets");
            return Vec::new();
        };
        let mut jobs: Vec<JobConfig> = Vec::new();
        for (number, value) in (1..).zip(values) {
            let Value::Table(keys) = value else {
                self.problem_at("[[jobs]]", format!("expected a section, found {}", value.type_str()));
                continue;
            };
            if let Some(job) = self.job(number, keys, zone, channels) {
                if jobs.iter().any(|other| other.name == job.name) {
                    self.problem_at("[[jobs]]", format!("two jobs are called \"{}\"", job.name));
                }
                jobs.push(job);
            }
        }
        jobs
    }

    fn job(
        &mut self,
        number: usize,
        mut keys: Table,
        zone: Tz,
        channels: &BTreeMap<String, ChannelConfig>,
    ) -> Option<JobConfig> {
        let name = self.job_name(number, keys.remove("name"));
        let place = name.as_ref().map_or_else(|| format!("[[jobs]] {number}"), |name| format!("[[jobs]] {name}"));
        for key in keys.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            self.unknown("key", key, &format!(" in {place}"), &KEYS);
        }
        let at = |key: &str| format!("{place} {key}");
        let zone = keys.remove("zone").map_or(Some(zone), |value| self.zone(&at("zone"), value));
        let cron = keys.remove("cron").and_then(|value| self.text(&at("cron"), value));
        // Of a zone that is wrong enough is said.
        let schedule = cron.and_then(|cron| match Schedule::parse(&cron, zone.unwrap_or(Tz::UTC)) {
            Ok(schedule) => Some(schedule),
            Err(problem) => {
                self.problem_at(&at("cron"), problem);
                None
            }
        });
        let mut texts = |key: &str| keys.remove(key).map(|value| self.names(&at(key), value)).unwrap_or_default();
        let (metrics, tags, notify) = (texts("metrics"), texts("tags"), texts("notify"));
        let known: Vec<&str> = channels.keys().map(String::as_str).collect();
        for channel in notify.iter().filter(|channel| !channels.contains_key(*channel)) {
            match known.is_empty() {
                true => self.problem_at(&at("notify"), format!("there is no [notify.{channel}]; hint: add it")),
                false => self.unknown("channel", channel, &format!(" in {}", at("notify")), &known),
            }
        }
        let months = keys.remove("months").map_or(Some(JobMonths::Due), |value| self.months(&at("months"), value));
        let missed = keys.remove("policy").map_or(Some(Missed::Latest), |value| self.missed(&at("policy"), value));
        let retries = keys.remove("retries").map_or(Some(RETRIES), |value| self.retries(&at("retries"), &value));
        let deadline = keys.remove("deadline").map_or(Some(DEADLINE), |value| self.deadline(&at("deadline"), &value));
        let (months, missed, retries, deadline) = (months?, missed?, retries?, deadline?);
        Some(JobConfig { name: name?, schedule, metrics, tags, months, missed, retries, deadline, notify })
    }

    /// Returns the name, which is that of a folder too.
    fn job_name(&mut self, number: usize, value: Option<Value>) -> Option<String> {
        let place = format!("[[jobs]] {number}");
        let Some(value) = value else {
            self.problem_at(&place, "key \"name\" is missing");
            return None;
        };
        let name = self.text(&format!("{place} name"), value)?;
        let is_good =
            |other: char| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_' || other == '-';
        if name.chars().all(is_good) {
            return Some(name);
        }
        let problem = format!("a job's name has small letters, digits, - and _ only, found \"{name}\"");
        self.problem_at(&format!("{place} name"), problem);
        None
    }

    fn zone(&mut self, place: &str, value: Value) -> Option<Tz> {
        let text = self.text(place, value)?;
        let zone = text.parse().ok();
        if zone.is_none() {
            self.problem_at(place, format!("expected an IANA time zone such as Europe/Berlin, found \"{text}\""));
        }
        zone
    }

    fn names(&mut self, place: &str, value: Value) -> Vec<String> {
        let Value::Array(values) = value else {
            self.problem_at(place, format!("expected a list of names, found {}", described(&value)));
            return Vec::new();
        };
        values.into_iter().filter_map(|value| self.text(place, value)).collect()
    }

    fn months(&mut self, place: &str, value: Value) -> Option<JobMonths> {
        let text = self.text(place, value)?;
        let last = text.strip_prefix("last ").and_then(|number| number.trim().parse().ok());
        match (text.as_str(), last) {
            ("due", _) => Some(JobMonths::Due),
            ("open", _) => Some(JobMonths::Open),
            (_, Some(months)) if (1..=LAST_MAX).contains(&months) => Some(JobMonths::Last(months)),
            _ => {
                let expected = format!("due, open, or last N with N from 1 to {LAST_MAX}");
                self.problem_at(place, format!("expected {expected}, found \"{text}\""));
                None
            }
        }
    }

    fn missed(&mut self, place: &str, value: Value) -> Option<Missed> {
        let text = self.text(place, value)?;
        let found = [Missed::Latest, Missed::All, Missed::Skip].into_iter().find(|missed| missed.name() == text);
        if found.is_none() {
            self.problem_at(place, format!("expected latest, all or skip, found \"{text}\""));
        }
        found
    }

    fn retries(&mut self, place: &str, value: &Value) -> Option<u32> {
        let number = value.as_integer().filter(|number| (0..=RETRIES_MAX).contains(number));
        if number.is_none() {
            let expected = format!("a whole number from 0 to {RETRIES_MAX}");
            self.problem_at(place, format!("expected {expected}, found {}", described(value)));
        }
        number.and_then(|number| u32::try_from(number).ok())
    }

    fn deadline(&mut self, place: &str, value: &Value) -> Option<Duration> {
        let found = value
            .as_str()
            .and_then(parse_duration)
            .filter(|time| (1..=DEADLINE_MAX.as_secs()).contains(&time.as_secs()));
        if found.is_none() {
            self.problem_at(
                place,
                format!("expected a time up to a day such as \"30 min\" or \"2 h\", found {}", described(value)),
            );
        }
        found
    }
}
