//! What a client keeps for the server, sealed so that it can neither be made nor changed, nor used by another user.

use bytes::Bytes;
use ring::hmac;

use super::{Caller, ServerKey};

/// The bytes that a seal adds.
const SEAL_BYTES: usize = 32;

/// What is sealed. A seal of one kind does not open as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// A ticket or the handle of a prepared statement.
    Handle,
    /// The options of a session.
    Session,
}

impl Sealed {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Handle => b"handle\0",
            Self::Session => b"session\0",
        }
    }
}

/// Seals and opens.
#[derive(Debug)]
pub struct Seal {
    key: hmac::Key,
}

impl Seal {
    /// Returns the seal of a server. Servers with the same key open what each other sealed.
    pub fn new(key: &ServerKey) -> Self {
        Self { key: key.derived("seal") }
    }

    /// Returns the content with its seal behind it.
    pub fn seal(&self, what: Sealed, caller: &Caller, mut content: Vec<u8>) -> Bytes {
        let tag = hmac::sign(&self.key_of(what, caller), &content);
        content.extend_from_slice(tag.as_ref());
        content.into()
    }

    /// Returns the content of what was sealed for this caller; `None` where it was not.
    pub fn open(&self, what: Sealed, caller: &Caller, mut sealed: Bytes) -> Option<Bytes> {
        let tag = sealed.split_off(sealed.len().checked_sub(SEAL_BYTES)?);
        hmac::verify(&self.key_of(what, caller), &sealed, &tag).ok()?;
        Some(sealed)
    }

    fn key_of(&self, what: Sealed, caller: &Caller) -> hmac::Key {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(what.label());
        context.update(caller.name().as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_a_new_key() -> Seal {
        Seal::new(&ServerKey::random().expect("random bytes"))
    }

    #[test]
    fn only_what_was_sealed_for_a_caller_opens_for_it() {
        let seal = of_a_new_key();
        let (ann, bob) = (Caller::named("ann"), Caller::named("bob"));
        let sealed = seal.seal(Sealed::Handle, &ann, b"select 1".to_vec());
        assert_eq!(seal.open(Sealed::Handle, &ann, sealed.clone()).as_deref(), Some(b"select 1".as_slice()));
        assert_eq!(seal.open(Sealed::Handle, &bob, sealed.clone()), None);
        assert_eq!(seal.open(Sealed::Session, &ann, sealed.clone()), None);
        assert_eq!(of_a_new_key().open(Sealed::Handle, &ann, sealed), None);
        assert_eq!(seal.open(Sealed::Handle, &ann, Bytes::from_static(b"short")), None);
    }

    #[test]
    fn no_bit_can_be_changed() {
        let seal = of_a_new_key();
        let ann = Caller::named("ann");
        let sealed = seal.seal(Sealed::Handle, &ann, b"select 1".to_vec());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.open(Sealed::Handle, &ann, changed.into()), None, "bit {bit}");
        }
    }
}
