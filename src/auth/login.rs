//! The tokens that a login gives: signed, so that nothing has to be kept of them, and good for some hours.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::{Secret, ServerKey};
use crate::error::{Error, ErrorKind, Result};

/// Who issues the tokens.
const ISSUER: &str = "topline";

/// How tokens are signed; no other way is accepted.
pub(super) const ALGORITHM: Algorithm = Algorithm::HS256;

/// Signs and checks the tokens.
pub(super) struct LoginTokens {
    sign: EncodingKey,
    check: DecodingKey,
    passwords: hmac::Key,
    seconds: i64,
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Login {
    iss: String,
    /// The user's name.
    pub(super) sub: String,
    iat: i64,
    exp: i64,
    /// What the password was: a token ends with the password by which it was got.
    pwd: String,
}

impl LoginTokens {
    /// Returns tokens signed with the server's key.
    pub(super) fn new(key: &ServerKey, hours: u32) -> Self {
        let secret = key.derived_bytes("login token");
        Self {
            sign: EncodingKey::from_secret(secret.as_ref()),
            check: DecodingKey::from_secret(secret.as_ref()),
            passwords: key.derived("password of a login token"),
            seconds: i64::from(hours) * 3600,
        }
    }

    /// Returns a token for a user with this hash of a password.
    ///
    /// # Errors
    /// `Internal` where it cannot be signed.
    pub(super) fn issue(&self, user: &str, hash: &Secret, now_seconds: i64) -> Result<Secret> {
        let login = Login {
            iss: ISSUER.to_owned(),
            sub: user.to_owned(),
            iat: now_seconds,
            exp: now_seconds + self.seconds,
            pwd: self.password_mark(hash),
        };
        jsonwebtoken::encode(&Header::new(ALGORITHM), &login, &self.sign)
            .map(Secret::new)
            .map_err(|cause| Error::new(ErrorKind::Internal, "a token cannot be signed").with_source(cause))
    }

    /// Returns what a token says; `None` where it is not one of ours, was changed, or has expired.
    pub(super) fn read(&self, token: &str, now_seconds: i64) -> Option<Login> {
        let mut rules = Validation::new(ALGORITHM);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "iss", "sub"]);
        // By the clock that is passed in, below.
        rules.validate_exp = false;
        let login = jsonwebtoken::decode::<Login>(token, &self.check, &rules).ok()?.claims;
        (now_seconds < login.exp).then_some(login)
    }

    /// Returns whether the user's password is still the one of the login.
    pub(super) fn is_of_password(&self, login: &Login, hash: &Secret) -> bool {
        login.pwd == self.password_mark(hash)
    }

    fn password_mark(&self, hash: &Secret) -> String {
        URL_SAFE_NO_PAD.encode(&hmac::sign(&self.passwords, hash.reveal().as_bytes()).as_ref()[..12])
    }
}

impl fmt::Debug for LoginTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginTokens").field("seconds", &self.seconds).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_780_000_000;

    fn tokens() -> LoginTokens {
        LoginTokens::new(&ServerKey::random().expect("random bytes"), 1)
    }

    fn hash() -> Secret {
        Secret::new("$argon2id$...")
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let tokens = tokens();
        let token = tokens.issue("ann", &hash(), NOW).expect("it is signed");
        let login = tokens.read(token.reveal(), NOW + 3599).expect("it is good");
        assert_eq!(login.sub, "ann");
        assert!(tokens.is_of_password(&login, &hash()));
        assert!(!tokens.is_of_password(&login, &Secret::new("$argon2id$other")));
        assert!(tokens.read(token.reveal(), NOW + 3600).is_none());
        assert!(self::tokens().read(token.reveal(), NOW).is_none(), "another server's");
    }

    #[test]
    fn no_letter_can_be_changed() {
        let tokens = tokens();
        let token = tokens.issue("ann", &hash(), NOW).expect("it is signed");
        for place in 0..token.reveal().len() {
            let mut changed = token.reveal().as_bytes().to_vec();
            // The last letter of 32 bytes has two bits that mean nothing, so its neighbour would be the same signature.
            changed[place] = if changed[place] == b'Q' { b'g' } else { b'Q' };
            let changed = String::from_utf8(changed).expect("letters");
            assert!(tokens.read(&changed, NOW).is_none(), "{place}");
        }
    }

    #[test]
    fn other_ways_to_sign_are_not_accepted() {
        let tokens = tokens();
        let token = tokens.issue("ann", &hash(), NOW).expect("it is signed");
        let mut parts = token.reveal().split('.');
        let (_, claims, _) = (parts.next(), parts.next().expect("claims"), parts.next());
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        assert!(tokens.read(&format!("{none}.{claims}."), NOW).is_none());
        let login = tokens.read(token.reveal(), NOW).expect("it is good");
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            let other = jsonwebtoken::encode(&Header::new(algorithm), &login, &tokens.sign).expect("it is signed");
            assert!(tokens.read(&other, NOW).is_none(), "{algorithm:?}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", tokens()), "LoginTokens { seconds: 3600, .. }");
    }
}
