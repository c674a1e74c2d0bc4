//! Tokens that are issued elsewhere: checked against the keys that their issuer publishes.

mod keys;

use std::collections::BTreeMap;

use jsonwebtoken::{AlgorithmFamily, Header, Validation};
use serde_json::{Map, Value};

use super::Caller;
use crate::config::OidcConfig;
use crate::error::Result;
use keys::PublishedKeys;

/// How far the clocks of issuer and server may be apart.
const LEEWAY_SECONDS: f64 = 30.0;

/// The longest name of a user.
const NAME_BYTES_MAX: usize = 254;

/// An issuer of tokens.
#[derive(Debug)]
pub(super) struct Issuer {
    config: OidcConfig,
    keys: PublishedKeys,
}

impl Issuer {
    /// Returns the issuer of a configuration. It is first asked for its keys when a token of it comes.
    ///
    /// # Errors
    /// `Internal` where the machine cannot make HTTP requests.
    pub(super) fn new(config: OidcConfig) -> Result<Self> {
        Ok(Self { keys: PublishedKeys::new(&config.issuer)?, config })
    }

    /// Returns the user whom a token names; `None` where it is not good. The log says why not.
    pub(super) async fn user(&self, token: &str, header: &Header, now_micros: i64) -> Option<Caller> {
        // A key that is published must never be taken for a secret.
        if header.alg.family() == AlgorithmFamily::Hmac {
            return None;
        }
        let key = self.keys.find(header, now_micros).await?;
        let mut rules = Validation::new(header.alg);
        rules.set_issuer(&[&self.config.issuer]);
        rules.set_audience(&[&self.config.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        // By the clock that is passed in, below.
        rules.validate_exp = false;
        let claims = match jsonwebtoken::decode::<Map<String, Value>>(token, &key, &rules) {
            Ok(token) => token.claims,
            Err(cause) => {
                tracing::info!(%cause, issuer = self.config.issuer, "a token is refused");
                return None;
            }
        };
        let user = self.user_of(&claims, now_micros);
        if let Err(why) = &user {
            tracing::info!(why, issuer = self.config.issuer, "a token is refused");
        }
        let attributes = self.config.attribute_claims.iter();
        let attributes: BTreeMap<String, String> =
            attributes.filter_map(|name| Some((name.clone(), claims.get(name)?.as_str()?.to_owned()))).collect();
        let role = self.config.role_claim.as_ref().and_then(|claim| claims.get(claim)?.as_str());
        Some(Caller::named(&user.ok()?).with(role, attributes))
    }

    fn user_of(&self, claims: &Map<String, Value>, now_micros: i64) -> Result<String, &'static str> {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
        let now = now_micros.div_euclid(1_000_000) as f64;
        let instant = |name: &str| claims.get(name).map(|value| value.as_f64().ok_or("an instant is no number"));
        if instant("exp").ok_or("it has no exp")?? <= now - LEEWAY_SECONDS {
            return Err("it has expired");
        }
        if instant("nbf").transpose()?.is_some_and(|begins| begins > now + LEEWAY_SECONDS) {
            return Err("it is not good yet");
        }
        if self.config.user_claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
            return Err("its email is not verified");
        }
        let name = claims.get(&self.config.user_claim).and_then(Value::as_str).ok_or("it names no user")?;
        let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
        if is_name { Ok(name.to_owned()) } else { Err("its user is no name") }
    }
}

#[cfg(test)]
mod tests;
