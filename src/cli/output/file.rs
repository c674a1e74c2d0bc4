//! Where rows go: standard output, or a file that is whole or not there.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Buffer before the system is called: large enough that calls do not count, small enough not to count itself.
const BUFFER_BYTES: usize = 256 << 10;

/// What lies here stands for streams of the process, even where they lead to files: `/dev/stdout`.
const SYSTEM_FOLDERS: [&str; 2] = ["/dev", "/proc"];

/// The files that would be left behind if the process ended now. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Unfinished {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<PathBuf>,
    is_discarded: bool,
}

impl Unfinished {
    /// Deletes the files; from then on none can be made or finished.
    pub(in crate::cli) fn discard(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_discarded = true;
        for file in std::mem::take(&mut state.files) {
            // The process ends; a file that cannot be deleted is named so that it is recognised.
            let _ = fs::remove_file(file);
        }
    }

    fn create(&self, temporary: &Path) -> io::Result<File> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_discarded {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
        state.files.push(temporary.to_owned());
        Ok(file)
    }

    fn rename(&self, temporary: &Path, target: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_discarded {
            return Err(io::ErrorKind::Interrupted.into());
        }
        fs::rename(temporary, target)?;
        state.files.retain(|file| file != temporary);
        Ok(())
    }

    fn delete(&self, temporary: &Path) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.files.iter().any(|file| file == temporary) {
            let _ = fs::remove_file(temporary);
            state.files.retain(|file| file != temporary);
        }
    }
}

/// A file that takes its name when it is finished. Dropping it before deletes it.
#[derive(Debug)]
pub(in crate::cli) struct OutputFile {
    writer: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    unfinished: Unfinished,
}

impl OutputFile {
    /// Makes the file under a temporary name beside its own, so that renaming it is one step of one file system.
    fn create(target: &Path, unfinished: &Unfinished) -> io::Result<Self> {
        // A link goes on pointing where it points.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = target.with_file_name(hidden);
        let file = unfinished.create(&temporary)?;
        let output = Self {
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            temporary,
            target,
            unfinished: unfinished.clone(),
        };
        if let Ok(existing) = fs::metadata(&output.target) {
            output.writer.get_ref().set_permissions(existing.permissions())?;
        }
        Ok(output)
    }

    fn finish(mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        self.unfinished.rename(&self.temporary, &self.target)?;
        match self.target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => sync_folder(folder),
            None => sync_folder(Path::new(".")),
        }
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        self.unfinished.delete(&self.temporary);
    }
}

/// Makes a rename last.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Does nothing: folders cannot be opened here, and renames are journalled.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Where rows go.
#[derive(Debug)]
pub(in crate::cli) enum Destination {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A pipe or a device, which cannot be renamed.
    Device(BufWriter<File>),
    /// A file.
    File(OutputFile),
}

impl Destination {
    /// Returns standard output.
    pub(in crate::cli) fn stdout() -> Self {
        Self::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))
    }

    /// Returns the file of a name.
    ///
    /// # Errors
    /// Those of the file system.
    pub(in crate::cli) fn file(target: &Path, unfinished: &Unfinished) -> io::Result<Self> {
        let is_system = SYSTEM_FOLDERS.iter().any(|folder| target.starts_with(folder));
        match fs::metadata(target) {
            Ok(existing) if existing.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(existing) if is_system || !existing.is_file() => {
                let device = OpenOptions::new().append(true).open(target)?;
                Ok(Self::Device(BufWriter::with_capacity(BUFFER_BYTES, device)))
            }
            _ => OutputFile::create(target, unfinished).map(Self::File),
        }
    }

    /// Ends the writing: what was written stays, under the file's own name.
    ///
    /// # Errors
    /// Those of the file system.
    pub(in crate::cli) fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut writer) => writer.flush(),
            Self::Device(mut writer) => writer.flush(),
            Self::File(file) => file.finish(),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(writer) => writer.write(bytes),
            Self::Device(writer) => writer.write(bytes),
            Self::File(file) => file.writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.flush(),
            Self::Device(writer) => writer.flush(),
            Self::File(file) => file.writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the test's folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("rows.csv");
        fs::write(&target, "old").expect("a file that is there already");
        let unfinished = Unfinished::default();
        let mut output = Destination::file(&target, &unfinished).expect("a file");
        output.write_all(b"new").expect("room");
        assert_eq!(fs::read_to_string(&target).expect("the old file"), "old");
        output.finish().expect("a rename");
        assert_eq!(fs::read_to_string(&target).expect("the new file"), "new");
        assert_eq!(names(folder.path()), ["rows.csv"]);
    }

    #[test]
    fn what_is_dropped_or_discarded_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let unfinished = Unfinished::default();
        drop(Destination::file(&folder.path().join("a"), &unfinished).expect("a file"));
        assert!(names(folder.path()).is_empty());
        let late = Destination::file(&folder.path().join("b"), &unfinished).expect("a file");
        unfinished.discard();
        assert!(names(folder.path()).is_empty());
        assert!(late.finish().is_err(), "an interrupted file is not finished");
        assert!(Destination::file(&folder.path().join("c"), &unfinished).is_err());
        assert!(names(folder.path()).is_empty());
    }
}
