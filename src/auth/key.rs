//! The key of the server, from which those are derived that sign tokens and seal what clients keep.

use std::fmt;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::private_file;
use super::random::random_bytes;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// The bytes of a key: as many as the hash has, more would add nothing.
const KEY_BYTES: usize = 32;

/// The key's file in the warehouse.
const KEY_FILE: &str = "signing.key";

/// The key of the server. Servers that share it accept each other's tokens and handles.
#[derive(Clone)]
pub struct ServerKey {
    bytes: [u8; KEY_BYTES],
}

impl ServerKey {
    /// Returns the key of the configured file, else of the warehouse, where it is made by the first who needs it; else one
    /// that is forgotten with the process.
    ///
    /// # Errors
    /// `Config` where the file is no key, can be read by others, or cannot be made.
    pub fn of_config(config: &Config) -> Result<Self> {
        let security = &config.security;
        if let Some(file) = &security.signing_key {
            return Self::open(file);
        }
        let Some(folder) = config.warehouse.folder() else {
            if security.is_login_required() {
                tracing::warn!("no warehouse and no [auth] signing_key is configured: tokens end with the server");
            }
            return Self::random();
        };
        let file = folder.join(KEY_FILE);
        let made = std::fs::create_dir_all(folder).map_err(|cause| cannot_be_made(&file, cause));
        match made.and_then(|()| ensure(&file)) {
            Ok(()) => Self::read(&file),
            Err(error) if security.is_login_required() => Err(error),
            Err(error) => {
                // Without logins only handles are lost with the process, and the warehouse may be one to be read alone.
                tracing::warn!(%error, "handles end with the server");
                Self::random()
            }
        }
    }

    /// Returns whether the configuration has a place in which the key outlasts the process.
    pub fn is_kept(config: &Config) -> bool {
        config.security.signing_key.is_some() || config.warehouse.folder().is_some()
    }

    /// Returns the key of a file, which is made where there is none.
    ///
    /// # Errors
    /// As [`ServerKey::of_config`].
    pub fn open(file: &Path) -> Result<Self> {
        ensure(file)?;
        Self::read(file)
    }

    /// Returns a key that nobody else has.
    ///
    /// # Errors
    /// `Internal` where the system has no random bytes.
    pub fn random() -> Result<Self> {
        Ok(Self { bytes: random_bytes()? })
    }

    /// Returns the key of masks that hash: servers that share this one give the same hashes.
    pub fn of_masks(&self) -> hmac::Key {
        self.derived("mask")
    }

    /// Returns the key for one purpose.
    pub(super) fn derived(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.derived_bytes(purpose).as_ref())
    }

    /// Returns the bytes of the key for one purpose.
    pub(super) fn derived_bytes(&self, purpose: &str) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.bytes), purpose.as_bytes())
    }

    fn read(file: &Path) -> Result<Self> {
        private_file::refuse_public("key file", file)?;
        let wrong = |why: String| Error::new(ErrorKind::Config, format!("key file \"{}\" {why}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|cause| {
            wrong(format!("cannot be read: {cause}"))
                .with_hint("let this user read it; logins, handles and masks that hash go by it")
        })?;
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self { bytes }).ok_or_else(|| {
            wrong(format!("does not hold {KEY_BYTES} bytes in base64")).with_hint(
                "delete it to have a new one made; everyone has to log in again then, and masks give other hashes",
            )
        })
    }
}

/// Makes the file of a key where there is none.
fn ensure(file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    let text = format!("{}\n", STANDARD.encode(random_bytes::<KEY_BYTES>()?));
    private_file::create(file, text.as_bytes()).map_err(|cause| cannot_be_made(file, cause))
}

fn cannot_be_made(file: &Path, cause: io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("key file \"{}\" cannot be made: {cause}", file.display()))
        .with_hint("name a file in a folder that may be written to with [auth] signing_key")
        .with_source(cause)
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("signing.key");
        let first = ServerKey::open(&file).expect("it is made");
        let second = ServerKey::open(&file).expect("it is read");
        assert_eq!(first.bytes, second.bytes);
        assert_ne!(first.bytes, ServerKey::random().expect("random bytes").bytes);
        let names: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
        assert_eq!(names.len(), 1, "nothing is left beside it");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("signing.key");
        ServerKey::open(&file).expect("it is made");
        let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
        let error = ServerKey::open(&file).expect_err("the group may read it");
        assert!(error.message().ends_with("is open to other users of this machine (mode 640)"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.starts_with("chmod 600 ")), "{error:?}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("signing.key");
        private_file::create(&file, b"short").expect("it is written");
        let error = ServerKey::open(&file).expect_err("five letters are no key");
        assert!(error.message().ends_with("does not hold 32 bytes in base64"), "{error}");
    }

    #[test]
    fn purposes_have_keys_of_their_own() {
        let key = ServerKey::random().expect("random bytes");
        assert_ne!(key.derived_bytes("a").as_ref(), key.derived_bytes("b").as_ref());
        assert_eq!(format!("{key:?}"), "ServerKey([secret])");
    }
}
