//! Bytes that nobody can guess.

use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::error::{Error, ErrorKind, Result};

/// Returns bytes from the system's source of randomness.
///
/// # Errors
/// `Internal` where it gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|cause| Error::new(ErrorKind::Internal, "the system has no random bytes").with_source(cause))?;
    Ok(bytes)
}
