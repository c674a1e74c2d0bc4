//! Passwords: argon2 hashes of them, checked a few at a time on threads of their own.

use std::sync::Arc;

use argon2::password_hash::SaltString;
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use super::random::random_bytes;
use super::{Secret, refused};
use crate::error::{Error, ErrorKind, Result};

/// The shortest password, by the rule of NIST SP 800-63B.
const PASSWORD_CHARS_MIN: usize = 8;

/// The longest password: nobody's is longer, and hashing takes time.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Passwords that are checked at the same time: each takes 19 MiB and a core for some 20 ms.
const CHECKS_MAX: usize = 4;

/// Passwords that wait for their check: what four at a time do within two seconds, when clients give up.
const CHECKS_WAITING_MAX: usize = 256;

/// Bytes of salt, as the format's authors recommend.
const SALT_BYTES: usize = 16;

/// What the password of an unknown user is checked against, so that its answer takes as long as any other's. No password
/// is known that fits it.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIG1l$5wbGKvVzyGcXIXzIZCfeGYkLNjJCXpRZ9hGVoZ1zJ0k";

/// Returns the hash of a password, in the PHC format.
///
/// # Errors
/// `Argument` where the password is too short or too long.
pub(super) fn hash_of(password: &Secret) -> Result<Secret> {
    let text = password.reveal();
    if text.chars().count() < PASSWORD_CHARS_MIN || text.len() > PASSWORD_BYTES_MAX {
        let problem =
            format!("a password has {PASSWORD_CHARS_MIN} characters at least and {PASSWORD_BYTES_MAX} bytes at most");
        return Err(Error::new(ErrorKind::Argument, problem)
            .with_hint("three or four words that do not belong together are a good one"));
    }
    let broken = |cause| Error::new(ErrorKind::Internal, "the password cannot be hashed").with_source(cause);
    let salt = SaltString::encode_b64(&random_bytes::<SALT_BYTES>()?).map_err(broken)?;
    let hash = Argon2::default().hash_password(text.as_bytes(), &salt).map_err(broken)?;
    Ok(Secret::new(hash.to_string()))
}

/// Returns whether a text is the hash of a password.
pub(super) fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some())
}

/// Checks passwords.
#[derive(Debug)]
pub(super) struct PasswordChecks {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl PasswordChecks {
    pub(super) fn new() -> Self {
        Self {
            running: Arc::new(Semaphore::new(CHECKS_MAX)),
            places: Arc::new(Semaphore::new(CHECKS_MAX + CHECKS_WAITING_MAX)),
        }
    }

    /// Returns whether a password is that of the hash; without one, which is an unknown user's, it takes as long to say no.
    ///
    /// # Errors
    /// `Unauthenticated` where too many wait, `Internal` where the check fails.
    pub(super) async fn is_right(&self, hash: Option<Secret>, password: Secret) -> Result<bool> {
        if password.reveal().len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let crowded = || refused("too many are logging in at once", "try again in a few seconds");
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| crowded())?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| crowded())?;
        let check = tokio::task::spawn_blocking(move || {
            // Kept until the end, because a caller that leaves does not stop the work.
            let _kept = (place, turn);
            let known = hash.is_some();
            let text = hash.as_ref().map_or(NOBODY, Secret::reveal);
            let fits = PasswordHash::new(text)
                .is_ok_and(|hash| Argon2::default().verify_password(password.reveal().as_bytes(), &hash).is_ok());
            known && fits
        });
        check.await.map_err(|cause| Error::new(ErrorKind::Internal, "a password cannot be checked").with_source(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let hash = hash_of(&Secret::new("correct horse")).expect("it is long enough");
        assert!(is_hash(hash.reveal()) && !hash.reveal().contains("horse"));
        let checks = PasswordChecks::new();
        assert!(checks.is_right(Some(hash.clone()), Secret::new("correct horse")).await.expect("it is checked"));
        assert!(!checks.is_right(Some(hash), Secret::new("correct horsf")).await.expect("it is checked"));
        assert!(!checks.is_right(None, Secret::new("correct horse")).await.expect("it is checked"));
    }

    #[test]
    fn the_hash_that_nobody_has_costs_what_a_new_one_costs() {
        let new = hash_of(&Secret::new("correct horse")).expect("it is long enough");
        let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert!(is_hash(NOBODY));
        assert_eq!(cost(NOBODY), cost(new.reveal()));
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        for password in ["", "7 chars", &"x".repeat(PASSWORD_BYTES_MAX + 1)] {
            assert_eq!(hash_of(&Secret::new(password)).expect_err("refused").kind(), ErrorKind::Argument);
        }
    }

    #[tokio::test]
    async fn a_crowd_is_sent_away() {
        let checks = PasswordChecks::new();
        let kept = checks.places.try_acquire_many(260).expect("all places are free");
        let error = checks.is_right(None, Secret::new("x")).await.expect_err("no place is left");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        drop(kept);
        assert!(!checks.is_right(None, Secret::new("x")).await.expect("it is checked"));
    }
}
