//! A job as it is configured, with the views that it publishes and its journal.

use std::collections::BTreeMap;
use std::time::Duration;

use super::duty::Terms;
use super::journal::Journal;
use crate::config::{ChannelConfig, JobConfig, JobMonths};
use crate::domain::month::Month;
use crate::domain::names::nearest;
use crate::engine::Engine;
use crate::engine::published::entry::JobTick;
use crate::error::{Error, ErrorKind, Result};
use crate::publish::{Months, Request, Unchanged};

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    pub config: JobConfig,
    /// The views; none are all whose tables there are.
    pub views: Vec<String>,
    /// The channels that are told, by name.
    pub channels: BTreeMap<String, ChannelConfig>,
    pub journal: Journal,
}

impl Job {
    /// Returns the jobs of a configuration.
    ///
    /// # Errors
    /// `Config` with every metric and tag that is not known.
    pub(super) fn all(engine: &Engine, by: &str) -> Result<Vec<Self>> {
        let (mut jobs, mut problems) = (Self::unresolved(engine, by), Vec::new());
        for job in &mut jobs {
            job.views = views(engine, &job.config, &mut problems);
        }
        let origin = engine.config().file.as_ref().map_or_else(String::new, |file| format!("{}: ", file.display()));
        let problems = problems.into_iter().map(|problem| format!("{origin}{problem}")).collect();
        match Error::list(ErrorKind::Config, "the configuration is wrong", problems) {
            Some(error) => Err(error),
            None => Ok(jobs),
        }
    }

    /// Returns the jobs of a configuration, whose views are not looked up.
    pub(super) fn unresolved(engine: &Engine, by: &str) -> Vec<Self> {
        let config = engine.config();
        let job = |job: &JobConfig| {
            let known = config.channels.iter().filter(|(name, _)| job.notify.contains(name));
            let channels = known.map(|(name, channel)| (name.clone(), channel.clone())).collect();
            let journal = Journal::open(engine.warehouse(), &job.name, by);
            Self { config: job.clone(), views: Vec::new(), channels, journal }
        };
        config.jobs.iter().map(job).collect()
    }

    /// Returns whether the job publishes all metrics.
    pub(super) fn is_of_all(&self) -> bool {
        self.config.metrics.is_empty() && self.config.tags.is_empty()
    }

    /// Returns what the job asks for.
    pub(super) fn terms(&self) -> Terms<'_> {
        let JobConfig { schedule, missed, retries, .. } = &self.config;
        Terms { schedule: schedule.as_ref(), missed: *missed, retries: *retries }
    }

    /// Returns how long one attempt may take.
    pub(super) fn deadline(&self) -> Duration {
        self.config.deadline
    }

    /// Returns what is to be published now for a tick; `None` where no month is open, or no metric has its tables.
    ///
    /// # Errors
    /// `Storage` where the ledger cannot be read.
    pub(super) async fn request(&self, engine: &Engine, tick: i64) -> Result<Option<Request>> {
        if self.views.is_empty() && !self.is_of_all() {
            return Ok(None);
        }
        let session = engine.session().at_one_instant();
        let as_of = session.settings().as_of().unwrap_or_default();
        let last = Month::of_day(session.settings().calendar().month(as_of)).plus(-1);
        let months = match self.config.months {
            JobMonths::Due => Months::Due,
            JobMonths::Last(count) => Months::Between(last.plus(1 - i32::try_from(count).unwrap_or(i32::MAX)), last),
            JobMonths::Open => {
                let newest = engine.newest_entry().await?;
                let closed = newest.and_then(|entry| entry.state.closed.keys().next_back()?.parse::<Month>().ok());
                match closed.map(|closed| closed.plus(1)) {
                    Some(first) if first > last => return Ok(None),
                    Some(first) => Months::Between(first, last),
                    None => Months::Due,
                }
            }
        };
        let job = Some(JobTick { job: self.config.name.clone(), tick });
        Ok(Some(Request { metrics: self.views.clone(), months, unchanged: Unchanged::IsKept, job }))
    }
}

/// Returns the months of a request in words.
pub(super) fn months_of(request: Option<&Request>) -> String {
    match request.map(|request| request.months) {
        Some(Months::Due) => "due".to_owned(),
        Some(Months::Between(first, last)) if first == last => first.to_string(),
        Some(Months::Between(first, last)) => format!("{first} to {last}"),
        None => "none".to_owned(),
    }
}

/// Returns the views of a job's metrics and tags, each once; a tag's without those whose tables are missing.
pub(super) fn views(engine: &Engine, config: &JobConfig, problems: &mut Vec<String>) -> Vec<String> {
    let metrics = engine.metrics();
    let mut views = Vec::new();
    for name in &config.metrics {
        match metrics.iter().find(|metric| metric.name == *name) {
            Some(metric) => views.push(metric.view.clone()),
            None => {
                let known = metrics.iter().map(|metric| metric.name.as_str());
                problems.push(unknown(config, "metrics", name, known, "select metric from meta.metrics lists them"));
            }
        }
    }
    let tags = || {
        let entries = metrics.iter().filter_map(|metric| Some((metric, metric.entry.as_ref()?)));
        entries.flat_map(|(metric, entry)| {
            let of_cadence = (entry.cadence.as_str(), metric);
            [Some(of_cadence), entry.owner.as_deref().map(|owner| (owner, metric))].into_iter().flatten()
        })
    };
    for tag in &config.tags {
        if !tags().any(|(known, _)| known == tag) {
            let hint = "a tag is a cadence or an owner of meta.metrics";
            problems.push(unknown(config, "tags", tag, tags().map(|(tag, _)| tag), hint));
        }
        let is_there = tags().filter(|(known, metric)| known == tag && metric.missing.is_empty());
        views.extend(is_there.map(|(_, metric)| metric.view.clone()));
    }
    views.sort();
    views.dedup();
    views
}

fn unknown<'a>(
    config: &JobConfig,
    key: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    let hint = nearest(name, known).map_or_else(|| otherwise.to_owned(), |near| format!("did you mean \"{near}\"?"));
    format!("[[jobs]] {} {key}: there is no \"{name}\"; hint: {hint}", config.name)
}
