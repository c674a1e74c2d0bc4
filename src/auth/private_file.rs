//! Files that hold secrets: nobody but their owner may read them, and they are whole or not there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::random::random_bytes;
use crate::error::{Error, ErrorKind, Result};

/// Refuses a file that others may read.
///
/// # Errors
/// `Config` with the command that mends it.
#[cfg(unix)]
pub(super) fn refuse_public(what: &str, file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    /// Reading, writing and running, by the group and by everyone else.
    const OTHERS: u32 = 0o077;
    let mode = match std::fs::metadata(file) {
        Ok(found) => found.permissions().mode() & 0o777,
        // Reading it says what is wrong.
        Err(_) => return Ok(()),
    };
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let message = format!("{what} \"{}\" is open to other users of this machine (mode {mode:o})", file.display());
    Err(Error::new(ErrorKind::Config, message).with_hint(format!("chmod 600 {}", file.display())))
}

/// Refuses a file that others may read.
///
/// # Errors
/// None: this system has other means.
#[cfg(not(unix))]
pub(super) fn refuse_public(_what: &str, _file: &Path) -> Result<()> {
    Ok(())
}

/// Writes a file whole in place of the one before.
///
/// # Errors
/// Those of the file system.
pub(super) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let whole = write_beside(file, content)?;
    std::fs::rename(&whole, file).inspect_err(|_| drop(std::fs::remove_file(&whole)))
}

/// Writes a file unless it is there, as it may be by another process at the same time.
///
/// # Errors
/// Those of the file system.
pub(super) fn create(file: &Path, content: &[u8]) -> io::Result<()> {
    let whole = write_beside(file, content)?;
    let linked = std::fs::hard_link(&whole, file);
    std::fs::remove_file(&whole)?;
    match linked {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn write_beside(file: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    let random = random_bytes().map_err(io::Error::other)?;
    name.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    let whole = file.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&whole)?;
    written.write_all(content)?;
    written.sync_all()?;
    Ok(whole)
}

/// Waits until no other process changes a file, and keeps them from it until what is returned is dropped.
///
/// # Errors
/// Those of the file system.
pub(super) fn lock(file: &Path) -> io::Result<File> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(file.with_file_name(name))?;
    lock.lock()?;
    Ok(lock)
}
