//! The audit log: who logged in, what was refused, written and decided, a line of JSON each, in a file that only grows.
//!
//! Several processes write one file: each line is one write at its end. A file that is full is put aside under a number,
//! and the oldest of those goes. Refusals have a file of their own: whoever is refused, which nobody can be kept from being,
//! pushes out no line of what was done. Start at [`AuditLog::open`].

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use crate::config::AuditConfig;
use crate::domain::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A user logged in with a password.
    Login,
    /// Somebody was not let in.
    LoginRefused,
    /// A call was refused: it is not allowed, or reached a limit.
    Refused,
    /// A table or view of the sandbox was written.
    Written,
    /// A query was ended by somebody else's word.
    Killed,
    /// A user or token was made, changed or removed.
    UserChanged,
    /// Users, roles or certificates were read again, and hold from now on or were refused.
    Reloaded,
    /// A month was closed.
    MonthClosed,
    /// A month was opened again.
    MonthReopened,
    /// Files of the warehouse that nobody can ask for any more were taken away.
    Vacuumed,
    /// A server began.
    ServerStarted,
    /// A server ended.
    ServerStopped,
}

impl Act {
    /// Returns whether the line is on the disk before the act counts as written down.
    fn is_administrative(self) -> bool {
        !matches!(self, Self::Login | Self::LoginRefused | Self::Refused | Self::Written)
    }

    /// Returns whether nothing was done.
    fn is_refusal(self) -> bool {
        matches!(self, Self::LoginRefused | Self::Refused)
    }
}

/// The longest object and outcome of a refusal, in bytes: its beginning says which it is, and its text is the caller's.
const REFUSAL_BYTES_MAX: usize = 200;

/// An entry of the log.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry<'entry> {
    /// What was done.
    pub act: Act,
    /// By whom; none where nobody has said so.
    pub user: Option<&'entry str>,
    /// From where.
    pub address: Option<IpAddr>,
    /// To what: a statement's words and table, a month, a user.
    pub object: &'entry str,
    /// How it went, or why.
    pub outcome: &'entry str,
}

#[derive(Serialize)]
struct Line<'entry> {
    at: String,
    process: u32,
    #[serde(flatten)]
    entry: AuditEntry<'entry>,
}

/// The log; without a file it takes nothing down.
#[derive(Debug)]
pub struct AuditLog {
    config: Option<AuditConfig>,
    clock: Clock,
    done: Mutex<Option<File>>,
    refused: Mutex<Option<File>>,
}

impl AuditLog {
    /// Opens the log, so that a file that cannot be written is found at the start.
    ///
    /// # Errors
    /// `Config` where it cannot be opened.
    pub fn open(config: Option<&AuditConfig>, clock: Clock) -> Result<Self> {
        let mut files = [None, None];
        if let Some(config) = config {
            for (file, path) in files.iter_mut().zip([config.path.clone(), of_refusals(&config.path)]) {
                *file = Some(opened(&path).map_err(|cause| cannot(&path, cause))?);
            }
        }
        let [done, refused] = files.map(Mutex::new);
        Ok(Self { config: config.cloned(), clock, done, refused })
    }

    /// Takes an entry down. One that cannot be is an error where the configuration says that the act must not go on then,
    /// and a warning in the log of the server otherwise.
    ///
    /// # Errors
    /// `Storage` where `[audit] required` is set.
    pub fn record(&self, entry: &AuditEntry<'_>) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        let written = self.write(config, entry);
        let Err(cause) = written else { return Ok(()) };
        tracing::error!(%cause, act = ?entry.act, "the audit log cannot be written");
        if !config.is_required {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Storage, "what was asked for cannot be written down, so it is not done")
            .with_hint("whoever runs the server has to look at the audit log")
            .with_source(cause))
    }

    /// Takes down that something was read again. It holds whether that succeeds or not: a user who was removed stays out.
    pub fn record_reload(&self, object: &str, outcome: &str) {
        let entry = AuditEntry { act: Act::Reloaded, user: None, address: None, object, outcome };
        // What it fails by is in the log of the server.
        let _ = self.record(&entry);
    }

    fn write(&self, config: &AuditConfig, entry: &AuditEntry<'_>) -> io::Result<()> {
        let at = DateTime::from_timestamp_micros(self.clock.now_micros()).unwrap_or_default();
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, USE_Z);
        let (path, open) = match entry.act.is_refusal() {
            true => (Cow::Owned(of_refusals(&config.path)), &self.refused),
            false => (Cow::Borrowed(&config.path), &self.done),
        };
        let (object, outcome) = (begin(entry, entry.object), begin(entry, entry.outcome));
        let shown = AuditEntry { object: &object, outcome: &outcome, ..*entry };
        let mut line = serde_json::to_vec(&Line { at, process: std::process::id(), entry: shown })?;
        line.push(b'\n');
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have put it aside, or a person may have moved it.
        if open.as_ref().is_none_or(|file| !is_at(file, &path)) {
            *open = Some(opened(&path)?);
        }
        let Some(file) = open.as_mut() else { return Ok(()) };
        file.write_all(&line)?;
        if entry.act.is_administrative() {
            file.sync_data()?;
        }
        if file.metadata()?.len() >= config.max_bytes {
            *open = None;
            put_aside(&path, config.keep)?;
        }
        Ok(())
    }
}

/// Instants are written with Z.
const USE_Z: bool = true;

/// Returns the text of an entry as it is written down.
fn begin<'text>(entry: &AuditEntry<'_>, text: &'text str) -> Cow<'text, str> {
    if !entry.act.is_refusal() || text.len() <= REFUSAL_BYTES_MAX {
        return text.into();
    }
    format!("{}...", &text[..text.floor_char_boundary(REFUSAL_BYTES_MAX)]).into()
}

/// Returns the file of refusals.
fn of_refusals(path: &Path) -> PathBuf {
    with_ending(path, ".refused")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn cannot(path: &Path, cause: io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("audit log \"{}\" cannot be opened: {cause}", path.display()))
        .with_hint("name another file with [audit] path, in a folder that the server may write")
}

fn opened(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |found: io::Result<std::fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
    id(file.metadata()).is_some_and(|own| id(std::fs::metadata(path)) == Some(own))
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// Gives a full file the number 1, those before it the next, and removes the one behind the last that is kept.
fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| with_ending(path, &format!(".{number}"));
    for number in (0..keep).rev() {
        let from = if number == 0 { path.to_owned() } else { numbered(number) };
        match std::fs::rename(from, numbered(number + 1)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(object: &str) -> AuditEntry<'_> {
        AuditEntry { act: Act::MonthClosed, user: Some("ann"), address: None, object, outcome: "done" }
    }

    fn config(folder: &Path, max_bytes: u64, is_required: bool) -> AuditConfig {
        AuditConfig { path: folder.join("audit.log"), max_bytes, keep: 2, is_required }
    }

    #[test]
    fn what_was_done_stands_there_in_order_after_a_restart_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), 1 << 20, true);
        for object in ["2026-08", "2026-09"] {
            let log = AuditLog::open(Some(&config), Clock::Fixed(1_790_000_000_000_000)).expect("it opens");
            log.record(&entry(object)).expect("it is written");
        }
        let text = std::fs::read_to_string(&config.path).expect("it is there");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        assert_eq!(lines[0]["at"], "2026-09-21T14:13:20.000000Z");
        assert_eq!((&lines[0]["act"], &lines[0]["user"]), (&"month_closed".into(), &"ann".into()));
        assert_eq!((&lines[0]["object"], &lines[1]["object"]), (&"2026-08".into(), &"2026-09".into()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&config.path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "its owner's alone");
        }
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), 1, true);
        let log = AuditLog::open(Some(&config), Clock::Fixed(0)).expect("it opens");
        for object in ["1", "2", "3"] {
            log.record(&entry(object)).expect("it is written");
        }
        let object = |name: &str| {
            let text = std::fs::read_to_string(folder.path().join(name)).expect("it is there");
            serde_json::from_str::<serde_json::Value>(&text).expect("one line")["object"].clone()
        };
        assert_eq!((object("audit.log.1"), object("audit.log.2")), ("3".into(), "2".into()));
        assert!(!folder.path().join("audit.log.3").exists() && !config.path.exists());
    }

    #[test]
    fn refusals_push_out_nothing_that_was_done() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), 1 << 10, true);
        let log = AuditLog::open(Some(&config), Clock::Fixed(0)).expect("it opens");
        log.record(&entry("2026-09")).expect("it is written");
        let long = "ä".repeat(4_000);
        for act in [Act::Refused, Act::LoginRefused] {
            for _ in 0..100 {
                let refusal = AuditEntry { act, user: None, address: None, object: &long, outcome: &long };
                log.record(&refusal).expect("it is written");
            }
        }
        let text = std::fs::read_to_string(&config.path).expect("it is there");
        assert_eq!(text.lines().count(), 1, "{text}");
        let refused = std::fs::read_to_string(folder.path().join("audit.log.refused.2")).expect("it was put aside");
        let line: serde_json::Value = serde_json::from_str(refused.lines().next().expect("a line")).expect("JSON");
        assert_eq!(line["outcome"], format!("{}...", "ä".repeat(REFUSAL_BYTES_MAX / 2)));
        let files = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert!((3..=4).contains(&files), "what is kept of each has an end: {files}");
    }

    #[test]
    fn what_cannot_be_taken_down_is_refused_where_it_must_be() {
        let folder = tempfile::tempdir().expect("a folder");
        for is_required in [true, false] {
            let config = config(folder.path(), 1 << 20, is_required);
            let log = AuditLog::open(Some(&config), Clock::Fixed(0)).expect("it opens");
            std::fs::remove_file(&config.path).expect("it was there");
            std::fs::create_dir(&config.path).expect("a folder in its place");
            assert_eq!(log.record(&entry("2026-09")).is_err(), is_required);
            std::fs::remove_dir(&config.path).expect("it is there");
        }
        let nowhere = AuditConfig { path: folder.path().join("no/such/audit.log"), ..config(folder.path(), 1, true) };
        assert_eq!(AuditLog::open(Some(&nowhere), Clock::Fixed(0)).expect_err("no folder").kind(), ErrorKind::Config);
    }
}
