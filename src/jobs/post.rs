//! Delivering letters: to webhooks and commands, at least once each.
//!
//! A letter is written by the same entry as the deed that it tells of, and taken out by an entry after it was delivered.
//! So a process that dies in between leaves it to the next one, which may deliver it again; it is never lost. Publishing
//! waits for none of it, and no channel for another.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::{Instant, timeout};
use url::Url;

use super::entry::{Event, State};
use super::job::Job;
use super::letter::Letter;
use super::news::OWN_MICROS;
use super::retry::{PAUSE_MAX_MICROS, pause_micros};
use super::scheduler::Scheduler;
use crate::config::{Address, Means, is_private_url};
use crate::error::{Error, ErrorKind, Result};

/// How long a webhook may take to answer, and a command to end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long letters of a channel are begun with one after the other: with the answer to the last one, whoever waits for
/// delivery waits for a minute at most.
const ROUND: Duration = Duration::from_secs(30);

/// Attempts that may come to nothing before a letter is given up: with their pauses, more than an hour.
const FAILURES_MAX: u32 = 20;

/// Letters of a job that wait at the same time: the oldest are given up.
pub(super) const OUTBOX_MAX: usize = 100;

/// What letters go out by.
#[derive(Debug)]
pub(super) struct Post {
    client: Client,
    /// Of channels that did not take the last letter: how many they did not take in turn, and when the next one is tried.
    pauses: Mutex<BTreeMap<String, (u32, i64)>>,
}

/// What became of a letter.
enum Fate {
    /// It is delivered, or given up.
    Gone,
    /// It is tried again.
    PutOff(Letter),
}

impl Post {
    pub(super) fn open() -> Result<Self> {
        let client = Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .redirect(Policy::none())
            .build()
            .map_err(|cause| Error::new(ErrorKind::Internal, "HTTP requests cannot be made").with_source(cause))?;
        Ok(Self { client, pauses: Mutex::default() })
    }

    async fn send(&self, means: &Means, letter: &Letter) -> Result<()> {
        match means {
            Means::Webhook { url, token } => self.call(url, token.as_ref(), letter).await,
            Means::Command(words) => start(words, letter).await,
        }
    }

    /// Returns the instant before which nothing is tried of a channel. Each attempt writes all letters that wait down, so
    /// that a receiver that is gone is not tried with one after the other.
    fn paused_until(&self, channel: &str, now: i64) -> Option<i64> {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, until) = *pauses.get(channel)?;
        // A clock that was ahead does not keep letters for ever.
        (now < until && until <= now + PAUSE_MAX_MICROS).then_some(until)
    }

    fn note_taken(&self, channel: &str) {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).remove(channel);
    }

    fn note_refused(&self, channel: &str, now: i64) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = pauses.entry(channel.to_owned()).or_default();
        *pause = (pause.0 + 1, now + pause_micros(pause.0 + 1));
    }

    async fn call(&self, url: &Address, token: Option<&Address>, letter: &Letter) -> Result<()> {
        let mut request = self.client.post(url_of(url)?).json(&letter.body);
        if let Some(token) = token {
            request = request.bearer_auth(text_of(token)?);
        }
        // The URL of a webhook is a secret.
        let unanswered = |cause: reqwest::Error| failed("the webhook does not answer").with_source(cause.without_url());
        let answer = request.send().await.map_err(unanswered)?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(failed(&format!("the webhook answers {}", answer.status()))),
        }
    }
}

async fn start(words: &[String], letter: &Letter) -> Result<()> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::new(ErrorKind::Internal, "a command without a program"));
    };
    let broken = |cause: std::io::Error| failed(&format!("program \"{program}\" cannot be run")).with_source(cause);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(DIES_WITH_ITS_WAITER)
        .spawn()
        .map_err(broken)?;
    let input = format!("{}\n", letter.body);
    let ended = timeout(ANSWER_TIMEOUT, async {
        if let Some(mut stdin) = child.stdin.take() {
            // A program that reads nothing has what it needs.
            drop(stdin.write_all(input.as_bytes()).await);
        }
        child.wait().await
    });
    match ended.await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(&format!("program \"{program}\" ended with {status}"))),
        Ok(Err(cause)) => Err(broken(cause)),
        Err(_) => Err(failed(&format!("program \"{program}\" ran longer than {} seconds", ANSWER_TIMEOUT.as_secs()))),
    }
}

/// A program that outlasts its time is ended.
const DIES_WITH_ITS_WAITER: bool = true;

fn failed(what: &str) -> Error {
    Error::new(ErrorKind::Storage, what)
}

fn text_of(address: &Address) -> Result<&str> {
    match address {
        Address::Plain(text) => Ok(text),
        Address::Variable(_, Some(secret)) => Ok(secret.reveal()),
        Address::Variable(name, None) => {
            Err(Error::new(ErrorKind::Config, format!("environment variable \"{name}\" is not set")))
        }
    }
}

fn url_of(address: &Address) -> Result<Url> {
    let url = Url::parse(text_of(address)?).ok().filter(is_private_url);
    url.ok_or_else(|| {
        let place = match address {
            Address::Plain(text) => format!("\"{text}\""),
            // What it holds is not shown.
            Address::Variable(name, _) => format!("what environment variable \"{name}\" holds"),
        };
        Error::new(ErrorKind::Config, format!("{place} is no https:// URL"))
    })
}

impl Scheduler {
    /// Checks what the channels of the jobs take from the environment.
    ///
    /// # Errors
    /// `Config` with every variable that is not set, or holds no URL where one is expected.
    pub fn require_channels(&self) -> Result<()> {
        require(self.jobs.iter())
    }

    /// Checks what the channels of one job take from the environment.
    ///
    /// # Errors
    /// As [`Scheduler::require_channels`], and `NotFound` where there is no such job.
    pub fn require_channels_of(&self, name: &str) -> Result<()> {
        require([self.job(name)?].into_iter())
    }

    /// Delivers the letters that are due; returns when another is. `None` is not before the next tick.
    ///
    /// What cannot be delivered is put off and logged.
    pub async fn deliver(&self) -> Option<i64> {
        let _turn = self.posting.lock().await;
        let next = join_all(self.jobs.iter().map(|job| self.deliver_all(job))).await;
        next.into_iter().flatten().min()
    }

    /// Delivers the letters of one job that are due, as [`Scheduler::deliver`]; takes a minute at most.
    pub async fn deliver_of(&self, name: &str) {
        let _turn = self.posting.lock().await;
        if let Ok(job) = self.job(name) {
            self.deliver_all(job).await;
        }
    }

    async fn deliver_all(&self, job: &Job) -> Option<i64> {
        if job.channels.is_empty() {
            return None;
        }
        let newest = match job.journal.newest().await {
            Ok(newest) => newest?,
            Err(error) => return unlooked(job, &error),
        };
        let mut of_channels: BTreeMap<&str, Vec<&Letter>> = BTreeMap::new();
        for letter in &newest.state.outbox {
            of_channels.entry(&letter.channel).or_default().push(letter);
        }
        let rounds = of_channels.into_values().map(async |letters| {
            self.deliver_in_turn(job, letters).await.unwrap_or_else(|error| unlooked(job, &error))
        });
        join_all(rounds).await.into_iter().flatten().min()
    }

    /// Delivers the letters of a channel, up to the first that cannot be: a receiver that is not there is not waited for
    /// again and again. Those that were tried least come first, so that one that is refused keeps no other back.
    async fn deliver_in_turn(&self, job: &Job, mut letters: Vec<&Letter>) -> Result<Option<i64>> {
        letters.sort_by_key(|letter| letter.failures);
        let (began, mut next) = (Instant::now(), None);
        for letter in letters {
            let now = self.clock.now_micros();
            let since = if letter.by == self.by { letter.not_before } else { letter.until.max(letter.not_before) };
            // A clock that was ahead does not keep letters for ever.
            if now < since && since <= now + 2 * PAUSE_MAX_MICROS {
                next = next.into_iter().chain([since]).min();
                continue;
            }
            if let Some(until) = self.post.paused_until(&letter.channel, now) {
                return Ok(Some(until));
            }
            if began.elapsed() > ROUND {
                return Ok(Some(now));
            }
            let own = match letter.by == self.by {
                true => Some(letter.clone()),
                false => self.take_over(job, letter).await?,
            };
            let Some(own) = own else { continue };
            if let Some(again) = self.deliver_one(job, &own).await? {
                return Ok(self.post.paused_until(&letter.channel, now).or(Some(again)));
            }
        }
        Ok(next)
    }

    /// Takes a letter over whose process left it; `None` where another did.
    async fn take_over(&self, job: &Job, letter: &Letter) -> Result<Option<Letter>> {
        let now = self.clock.now_micros();
        let own = Letter { by: self.by.clone(), until: now + OWN_MICROS, ..letter.clone() };
        let taken = job.journal.write(now, |state, _| posted(state, letter, Some(own.clone())));
        Ok(taken.await?.map(|_| own))
    }

    /// Makes an attempt at a letter; returns when the next one is made.
    async fn deliver_one(&self, job: &Job, letter: &Letter) -> Result<Option<i64>> {
        let Some(channel) = job.channels.get(&letter.channel) else {
            tracing::warn!(job = job.config.name, channel = letter.channel, "a letter is given up: nobody reads it");
            return self.note(job, letter, Fate::Gone).await;
        };
        let Err(error) = self.post.send(&channel.means, letter).await else {
            self.post.note_taken(&letter.channel);
            return self.note(job, letter, Fate::Gone).await;
        };
        self.post.note_refused(&letter.channel, self.clock.now_micros());
        let (job_name, channel, failures) = (&job.config.name, &letter.channel, letter.failures + 1);
        if failures > FAILURES_MAX {
            tracing::warn!(%error, causes = ?error.causes(), job = job_name, channel, failures, "a letter is given up: it cannot be delivered");
            return self.note(job, letter, Fate::Gone).await;
        }
        tracing::warn!(%error, causes = ?error.causes(), job = job_name, channel, failures, "a letter is put off: it cannot be delivered");
        let not_before = self.clock.now_micros() + pause_micros(failures);
        let until = not_before + OWN_MICROS;
        self.note(job, letter, Fate::PutOff(Letter { failures, not_before, until, ..letter.clone() })).await
    }

    async fn note(&self, job: &Job, letter: &Letter, fate: Fate) -> Result<Option<i64>> {
        let left = match fate {
            Fate::Gone => None,
            Fate::PutOff(left) => Some(left),
        };
        let now = self.clock.now_micros();
        job.journal.write(now, |state, _| posted(state, letter, left.clone())).await?;
        Ok(left.map(|left| left.not_before))
    }
}

/// Checks what the channels of jobs take from the environment.
fn require<'a>(jobs: impl Iterator<Item = &'a Job>) -> Result<()> {
    let mut problems = Vec::new();
    for (name, channel) in jobs.flat_map(|job| &job.channels) {
        let Means::Webhook { url, token } = &channel.means else { continue };
        let found = [url_of(url).map(|_| ()), token.as_ref().map_or(Ok(()), |token| text_of(token).map(|_| ()))];
        problems.extend(found.into_iter().filter_map(Result::err).map(|error| format!("[notify.{name}]: {error}")));
    }
    problems.sort();
    problems.dedup();
    Error::list(ErrorKind::Config, "the channels of jobs cannot be used", problems).map_or(Ok(()), Err)
}

fn unlooked(job: &Job, error: &Error) -> Option<i64> {
    tracing::warn!(%error, causes = ?error.causes(), job = job.config.name, "the letters of a job cannot be looked at");
    None
}

/// Returns the state with another letter, or none, in the place of one, unless another process took it over.
fn posted(state: &State, letter: &Letter, left: Option<Letter>) -> Option<(Event, State)> {
    let place = state.outbox.iter().position(|other| other.id == letter.id && other.until == letter.until);
    let mut state = state.clone();
    let _ = state.outbox.splice(place?..=place?, left);
    Some((Event::Posted, state))
}
