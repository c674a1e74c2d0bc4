//! What channels are told of a tick, in words and as JSON.

use chrono::{DateTime, SecondsFormat};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};

use super::entry::{Outcome, Settled, State};
use super::job::Job;
use super::letter::Letter;
use super::run::within;
use super::words::{WHAT_MAX, Words, shortened};
use crate::config::{ChannelConfig, News};
use crate::domain::names::counted;
use crate::engine::Engine;
use crate::engine::published::entry::{BrokenLaw, Event, JobTick};
use crate::engine::targets::OffTarget;
use crate::error::Result;
use crate::publish::Report;

/// Numbers and metrics that one letter names: enough to see what it is about, few enough to read.
const NAMED_MAX: usize = 10;

/// Published numbers that are held against a threshold: those that moved most.
const MOVED_MAX: usize = 1_000;

/// How long the process that wrote a letter has it to itself, in microseconds: longer than an attempt takes.
pub(super) const OWN_MICROS: i64 = 120 * 1_000_000;

/// Entries of the ledger that are read at the same time: enough to hide the latency of an object store.
const READS_MAX: usize = 16;

/// What a run found that channels may be told, beside how it ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    broken: Vec<BrokenLaw>,
    /// What was published for the job since channels were last told, by this attempt or by one that died.
    published: Vec<Version>,
    /// Published numbers that moved, the one that moved most first.
    moved: Vec<Moved>,
    /// The entries of the ledger that were looked through for that; `None` where they could not be.
    told: Option<u64>,
    targets: Targets,
}

/// A version of what is published.
#[derive(Debug, Clone)]
struct Version {
    number: u64,
    run_id: String,
    tick: i64,
    restatements: u64,
}

/// What is known of metrics that are off target.
#[derive(Debug, Clone, Default)]
enum Targets {
    /// Nobody asked, or nothing was published that could change it.
    #[default]
    NotAsked,
    /// It could not be found out.
    Owed,
    /// These are.
    Off(Vec<OffTarget>),
}

/// A published number that moved.
#[derive(Debug, Clone, Serialize)]
struct Moved {
    metric: String,
    month: Option<String>,
    key: Option<String>,
    column: String,
    value_before: Option<String>,
    value_after: Option<String>,
    reason: String,
    /// By which share of its old value; `None` where it had none, has none now or is no number.
    share: Option<f64>,
}

impl Findings {
    /// Looks at what the channels of a job want to know: of a run, and of those before it that died before they were told.
    /// What cannot be found out is left to the next run: it must not keep this one from being taken down. No look may take
    /// longer than the run itself.
    pub(super) async fn of(engine: &Engine, job: &Job, state: &State, report: Option<&Report>) -> Self {
        let wants = |news| job.channels.values().any(|channel| channel.on.contains(&news));
        let broken = report.map(|report| report.broken.clone()).unwrap_or_default();
        let mut findings = Self { broken, ..Self::default() };
        let (name, deadline) = (job.config.name.as_str(), job.deadline());
        match within(deadline, published_since(engine, name, state.told)).await {
            Ok((published, entries)) => (findings.published, findings.told) = (published, Some(entries)),
            Err(error) => {
                tracing::warn!(%error, causes = ?error.causes(), job = name, "what was published is not known")
            }
        }
        if wants(News::Restated) {
            match within(deadline, moved(engine, &findings.published)).await {
                Ok(moved) => findings.moved = moved,
                Err(error) => {
                    findings.told = None;
                    tracing::warn!(%error, causes = ?error.causes(), job = name, "what moved is not known");
                }
            }
        }
        // All metrics are computed for it, so it is asked only after something was published.
        if wants(News::OffTarget) && (state.owes_targets || !findings.published.is_empty()) {
            findings.targets = Targets::Owed;
            // A run that failed has taken its time.
            if report.is_some() {
                match within(deadline, engine.scorecards()).await {
                    Ok(cards) => {
                        findings.targets = Targets::Off(cards.into_iter().flat_map(|card| card.off_target).collect());
                    }
                    Err(error) => {
                        tracing::warn!(%error, causes = ?error.causes(), job = name, "what is off target is not known")
                    }
                }
            }
        }
        findings
    }

    /// Returns the last version that was published for a tick, and the published numbers that changed.
    pub(super) fn published_for(&self, tick: i64) -> (Option<u64>, u64) {
        let of_tick = || self.published.iter().filter(|version| version.tick == tick);
        (of_tick().next_back().map(|version| version.number), of_tick().map(|version| version.restatements).sum())
    }

    /// Takes down what was looked through, and what is known to be off target, so that it is told once for each period.
    pub(super) fn note(&self, state: &mut State) {
        state.told = self.told.or(state.told);
        match &self.targets {
            Targets::NotAsked => {}
            Targets::Owed => state.owes_targets = true,
            Targets::Off(off) => {
                state.owes_targets = false;
                state.off_target = off.iter().map(name_of).collect();
            }
        }
    }
}

/// Returns what was published for a job since so many entries of the ledger, and how many there are.
async fn published_since(engine: &Engine, job: &str, told: Option<u64>) -> Result<(Vec<Version>, u64)> {
    let entries = engine.newest_entry().await?.map_or(0, |newest| newest.number + 1);
    let reads = (told.unwrap_or(entries)..entries).map(|number| engine.entry(number));
    let published = stream::iter(reads).buffered(READS_MAX).try_filter_map(async |entry| {
        let Event::Published(publication) = entry.event else { return Ok(None) };
        let of_job = publication.job.filter(|tick| tick.job == job);
        Ok(of_job.map(|JobTick { tick, .. }| Version {
            number: entry.number,
            run_id: entry.run_id,
            tick,
            restatements: publication.restatements,
        }))
    });
    Ok((published.try_collect().await?, entries))
}

fn name_of(off: &OffTarget) -> String {
    format!("{} {} {}", off.cadence, off.period, off.metric)
}

async fn moved(engine: &Engine, published: &[Version]) -> Result<Vec<Moved>> {
    let restating = published.iter().filter(|version| version.restatements > 0);
    let runs: Vec<String> = restating.map(|version| format!("'{}'", version.run_id)).collect();
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let runs = runs.join(", ");
    let sql = format!(
        "select metric, cast(month as varchar) as month, key, \"column\", value_before, value_after, reason, \
             abs(difference) / nullif(abs(try_cast(value_before as double)), 0) as share \
         from meta.restatements \
         where run_id in ({runs}) \
         order by coalesce(share, 1e300) desc, metric, month, key, \"column\" limit {MOVED_MAX}"
    );
    let mut moved = Vec::new();
    for rows in engine.session().all_rows(&sql).await?.collect().await? {
        let text = |name: &str, row: usize| {
            let values = rows.column_by_name(name).filter(|values| !values.is_null(row))?;
            arrow::util::display::array_value_to_string(values, row).ok()
        };
        moved.extend((0..rows.num_rows()).map(|row| Moved {
            metric: text("metric", row).unwrap_or_default(),
            month: text("month", row),
            key: text("key", row).filter(|key| !key.is_empty()),
            column: text("column", row).unwrap_or_default(),
            value_before: text("value_before", row),
            value_after: text("value_after", row),
            reason: text("reason", row).unwrap_or_default(),
            share: text("share", row).and_then(|share| share.parse().ok()),
        }));
    }
    Ok(moved)
}

/// Returns the letters about a tick that came to its end, before the state says so.
pub(super) fn letters(
    job: &Job,
    before: &State,
    settled: &Settled,
    findings: &Findings,
    entry: (u64, &str, i64),
) -> Vec<Letter> {
    let (number, by, now) = entry;
    let mut letters = Vec::new();
    for (channel, config) in &job.channels {
        for news in News::ALL.into_iter().filter(|news| config.on.contains(news)) {
            let Some(body) = body(job, before, settled, findings, config, news) else { continue };
            letters.push(Letter {
                id: format!("{number} {channel} {}", news.name()),
                channel: channel.clone(),
                body,
                by: by.to_owned(),
                until: now + OWN_MICROS,
                failures: 0,
                not_before: now,
            });
        }
    }
    letters
}

/// Returns what a channel is told; `None` where there is no such news.
fn body(
    job: &Job,
    before: &State,
    settled: &Settled,
    findings: &Findings,
    config: &ChannelConfig,
    news: News,
) -> Option<Value> {
    let words = words(job, before, settled, findings, config, news)?;
    Some(json!({
        "text": words.text(&config.means),
        "news": news.name(),
        "job": job.config.name,
        "tick": instant(settled.tick),
        "ended_at": instant(settled.ended_at),
        "version": settled.version,
        "metrics": settled.metrics,
        "months": settled.months,
        "details": words.details,
    }))
}

fn words(
    job: &Job,
    before: &State,
    settled: &Settled,
    findings: &Findings,
    config: &ChannelConfig,
    news: News,
) -> Option<Words> {
    let say = |what: String, lines: Vec<String>, more: usize, details: Value| {
        Some(Words { what: format!("topline: job {} {what}", job.config.name), lines, more, details })
    };
    let alone = |what: String| say(what, Vec::new(), 0, Value::Null);
    let why = settled.why.clone().unwrap_or_default();
    match news {
        News::Held if settled.outcome == Outcome::Held => {
            let laws = &findings.broken[..findings.broken.len().min(NAMED_MAX)];
            let lines = laws.iter().flat_map(|law| law.examples.iter().take(NAMED_MAX / laws.len())).cloned().collect();
            say(format!("was held, and nothing was published: {why}"), lines, 0, json!(laws))
        }
        News::Failed if settled.outcome == Outcome::Dead => {
            let attempts = counted(settled.attempts.into(), "attempt");
            let back = format!("topline jobs run {} --again runs it again", job.config.name);
            alone(format!("was given up after {attempts}: {}; {back}", shortened(&why, WHAT_MAX / 2)))
        }
        News::Restated => {
            let beyond = |moved: &&Moved| moved.share.is_none_or(|share| share > config.restated_above);
            let moved: Vec<&Moved> = findings.moved.iter().filter(beyond).collect();
            let named = &moved[..moved.len().min(NAMED_MAX)];
            let lines: Vec<String> = named.iter().map(|moved| moved.line()).collect();
            // More were not looked at.
            let at_least = if moved.len() == MOVED_MAX { "at least " } else { "" };
            let count = counted(moved.len() as u64, "published number");
            let restating = findings.published.iter().filter(|version| version.restatements > 0);
            let versions: Vec<String> = restating.map(|version| version.number.to_string()).collect();
            let word = if versions.len() == 1 { "version" } else { "versions" };
            let what = format!("restated {at_least}{count}, {word} {}", versions.join(", "));
            say((!moved.is_empty()).then_some(what)?, lines, moved.len() - named.len(), json!(named))
        }
        News::OffTarget => {
            let known = &before.off_target;
            let Targets::Off(off) = &findings.targets else { return None };
            let new: Vec<&OffTarget> = off.iter().filter(|off| !known.contains(&name_of(off))).collect();
            let lines: Vec<String> = new.iter().map(|off| off_line(off)).collect();
            let what = format!("found {} off target", counted(new.len() as u64, "metric"));
            say((!new.is_empty()).then_some(what)?, lines, 0, json!(new))
        }
        News::Recovered => {
            let last = before.last.as_ref().filter(|last| last.outcome != Outcome::Done)?;
            let is_well = settled.outcome == Outcome::Done;
            alone(is_well.then(|| format!("does its work again: the tick before it was {}", last.outcome.name()))?)
        }
        News::Held | News::Failed => None,
    }
}

fn instant(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Moved {
    fn line(&self) -> String {
        let place: Vec<&str> = [self.month.as_deref(), self.key.as_deref()].into_iter().flatten().collect();
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let share = self.share.map_or_else(String::new, |share| format!(" ({:.2} %)", share * 100.0));
        let Self { metric, column, reason, .. } = self;
        let (before, after) = (value(&self.value_before), value(&self.value_after));
        format!("{metric} {}, {column}: {before} → {after}{share}, {reason}", place.join(" "))
    }
}

fn off_line(off: &OffTarget) -> String {
    let figure = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |number| format!("{number:.4}"));
    let owner = off.owner.as_ref().map_or_else(String::new, |owner| format!(", owner {owner}"));
    let plan = off.action_plan.as_ref().map_or_else(String::new, |plan| format!(": {plan}"));
    format!("{} {}: {}, target {}{owner}{plan}", off.metric, off.period, figure(off.value), figure(off.target))
}
