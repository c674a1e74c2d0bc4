//! What a folder of the warehouse asks of the file system: the steps after each of which the power may go.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// A file system. Another than [`LocalDisk`] is for tests, which forget what was not synced.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes a folder in one that is there; one that is there already is none of its errors.
    ///
    /// # Errors
    /// What the system says.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// What the system says.
    fn create_file(&self, file: &Path) -> io::Result<File>;

    /// Makes what was written to a file last.
    ///
    /// # Errors
    /// What the system says.
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()>;

    /// Makes the names in a folder last.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name, which another file may have had.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file one more name, which no other has.
    ///
    /// # Errors
    /// `AlreadyExists`, and what else the system says.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, file: &Path) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            made => made,
        }
    }

    fn create_file(&self, file: &Path) -> io::Result<File> {
        File::create_new(file)
    }

    fn sync_file(&self, _path: &Path, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    #[cfg(unix)]
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    /// Other systems keep names without being asked to.
    #[cfg(not(unix))]
    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }
}
