//! Files that are read again when they change. What cannot be read leaves the last good state as it is.

use std::fmt;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::error::{Error, Result};

/// What was read from files, as fresh as they are.
pub struct Watched<T> {
    files: Vec<PathBuf>,
    read: Box<dyn Fn() -> Result<T> + Send + Sync>,
    told: Told<T>,
    state: Mutex<State<T>>,
}

/// Whom it is said to.
type Told<T> = Box<dyn Fn(&Reload<'_, T>) + Send + Sync>;

/// Files that were read again.
#[derive(Debug)]
pub struct Reload<'files, T> {
    /// Those that changed.
    pub changed: Vec<&'files Path>,
    /// What held until now.
    pub before: &'files T,
    /// What holds from now on, or why that before still does.
    pub outcome: Result<&'files T, &'files Error>,
}

struct State<T> {
    versions: Vec<Option<Version>>,
    value: Arc<T>,
}

/// What tells one version of a file from another. A file that is renamed into place has another number even where it has
/// the same size and time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    bytes: u64,
    modified: Option<SystemTime>,
    number: u64,
}

impl<T> Watched<T> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn open(files: Vec<PathBuf>, read: impl Fn() -> Result<T> + Send + Sync + 'static) -> Result<Self> {
        // Looked at before they are read, so that a change in between is seen the next time.
        let versions = versions(&files);
        let value = Arc::new(read()?);
        let state = Mutex::new(State { versions, value });
        Ok(Self { files, read: Box::new(read), told: Box::new(|_| {}), state })
    }

    /// Returns the files with somebody who is told when they were read again.
    pub fn telling(self, told: impl Fn(&Reload<'_, T>) + Send + Sync + 'static) -> Self {
        Self { told: Box::new(told), ..self }
    }

    /// Returns what the files hold now; where they cannot be read, what they held when they last could.
    pub fn current(&self) -> Arc<T> {
        let versions = versions(&self.files);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.versions != versions {
            let pairs = self.files.iter().zip(state.versions.iter().zip(&versions));
            let changed = pairs.filter(|(_, (before, now))| before != now).map(|(file, _)| file.as_path()).collect();
            let read = (self.read)();
            let outcome = read.as_ref();
            (self.told)(&Reload { changed, before: &state.value, outcome });
            match &read {
                Ok(_) => tracing::info!(files = ?self.files, "changed files are read"),
                Err(error) => {
                    tracing::warn!(%error, hint = error.hint(), "changed files are refused, those before are kept");
                }
            }
            state.versions = versions;
            if let Ok(value) = read {
                state.value = Arc::new(value);
            }
        }
        Arc::clone(&state.value)
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("files", &self.files).finish_non_exhaustive()
    }
}

fn versions(files: &[PathBuf]) -> Vec<Option<Version>> {
    files.iter().map(|file| version(file)).collect()
}

fn version(file: &Path) -> Option<Version> {
    let found = std::fs::metadata(file).ok()?;
    Some(Version { bytes: found.len(), modified: found.modified().ok(), number: number(&found) })
}

#[cfg(unix)]
fn number(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn number(_found: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn watched(file: &Path) -> Watched<String> {
        let path = file.to_owned();
        Watched::open(vec![path.clone()], move || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.is_empty() { Err(Error::new(ErrorKind::Config, "it is empty")) } else { Ok(text) }
        })
        .expect("it has a text")
    }

    #[test]
    fn a_change_is_seen_and_a_bad_one_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "one").expect("it is written");
        let watched = watched(&file);
        assert_eq!(*watched.current(), "one");
        std::fs::write(&file, "three").expect("it is written");
        assert_eq!(*watched.current(), "three");
        std::fs::write(&file, "").expect("it is written");
        assert_eq!(*watched.current(), "three");
        std::fs::remove_file(&file).expect("it is there");
        assert_eq!(*watched.current(), "three");
        std::fs::write(&file, "seven").expect("it is written");
        assert_eq!(*watched.current(), "seven");
    }

    #[test]
    fn a_file_of_the_same_size_renamed_into_place_is_a_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, next) = (folder.path().join("file"), folder.path().join("next"));
        std::fs::write(&file, "one").expect("it is written");
        std::fs::write(&next, "two").expect("it is written");
        let watched = watched(&file);
        std::fs::rename(&next, &file).expect("it is renamed");
        assert_eq!(*watched.current(), "two");
    }
}
