//! The keys that an issuer publishes: its discovery document names the place, and they change from time to time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::config::is_private_url;
use crate::error::{Error, ErrorKind, Result};

/// How long an issuer may take to answer: a login waits for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer: published keys take a few KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The most keys that are kept; issuers publish two to ten.
const KEYS_MAX: usize = 100;

/// The least time between two requests, so that tokens with invented keys do not become a flood at the issuer.
const REQUEST_INTERVAL_MICROS: i64 = 30 * 1_000_000;

/// How old keys may be before the issuer is asked again: one that it takes back is not accepted much longer.
const KEYS_AGE_MICROS: i64 = 3600 * 1_000_000;

/// How old keys may be while the issuer does not answer.
const KEYS_AGE_MICROS_MAX: i64 = 24 * KEYS_AGE_MICROS;

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct PublishedKeys {
    issuer: String,
    client: Client,
    known: Mutex<Arc<Known>>,
    /// The instant of the last request; held while one runs.
    asked: tokio::sync::Mutex<Option<i64>>,
}

/// The keys that were published at an instant; `None` is never.
#[derive(Debug, Default)]
struct Known {
    keys: Vec<Jwk>,
    since_micros: Option<i64>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Known {
    fn is_younger(&self, micros: i64, now_micros: i64) -> bool {
        self.since_micros.is_some_and(|since| now_micros - since < micros)
    }

    /// Returns the key that a token's header names; without a name, the only one that there is.
    fn find(&self, header: &Header) -> Option<DecodingKey> {
        let is_for_signing = |key: &&Jwk| matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let is_for_algorithm = |key: &&Jwk| {
            key.common.key_algorithm.is_none_or(|algorithm| {
                algorithm.to_string().parse::<Algorithm>().is_ok_and(|algorithm| algorithm == header.alg)
            })
        };
        let mut keys = self
            .keys
            .iter()
            .filter(is_for_signing)
            .filter(is_for_algorithm)
            .filter(|key| header.kid.is_none() || key.common.key_id == header.kid)
            .filter_map(|key| DecodingKey::from_jwk(key).ok())
            .filter(|key| key.family() == header.alg.family());
        match (keys.next(), keys.next()) {
            (found, None) => found,
            // Two with one name, or one of several without a name.
            (first, Some(_)) => header.kid.as_ref().and(first),
        }
    }
}

impl PublishedKeys {
    /// Returns the keys of an issuer, which is not asked yet.
    ///
    /// # Errors
    /// `Internal` where the machine cannot make HTTP requests.
    pub(super) fn new(issuer: &str) -> Result<Self> {
        let client = Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .redirect(Policy::none())
            .build()
            .map_err(|cause| Error::new(ErrorKind::Internal, "HTTP requests cannot be made").with_source(cause))?;
        Ok(Self { issuer: issuer.to_owned(), client, known: Mutex::default(), asked: tokio::sync::Mutex::default() })
    }

    /// Returns the key by which a token says that it is signed; the issuer is asked where it is unknown or the known ones
    /// are old.
    pub(super) async fn find(&self, header: &Header, now_micros: i64) -> Option<DecodingKey> {
        let known = self.known();
        let found = known.find(header);
        if found.is_some() && known.is_younger(KEYS_AGE_MICROS, now_micros) {
            return found;
        }
        if found.is_some() && known.is_younger(KEYS_AGE_MICROS_MAX, now_micros) {
            // One caller asks, the others go on with what is known.
            if let Ok(asked) = self.asked.try_lock() {
                self.ask(asked, now_micros).await;
            }
        } else {
            let asked = self.asked.lock().await;
            // Another may have asked meanwhile.
            if self.known().find(header).is_none() || !self.known().is_younger(KEYS_AGE_MICROS_MAX, now_micros) {
                self.ask(asked, now_micros).await;
            }
        }
        let known = self.known();
        known.is_younger(KEYS_AGE_MICROS_MAX, now_micros).then(|| known.find(header)).flatten()
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn ask(&self, mut asked: tokio::sync::MutexGuard<'_, Option<i64>>, now_micros: i64) {
        if asked.is_some_and(|asked| now_micros - asked < REQUEST_INTERVAL_MICROS) {
            return;
        }
        *asked = Some(now_micros);
        match self.published().await {
            Ok(keys) => {
                let known = Known { keys, since_micros: Some(now_micros) };
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
            }
            Err(error) => {
                tracing::warn!(%error, issuer = self.issuer, "the keys of the issuer of tokens are not there")
            }
        }
    }

    async fn published(&self) -> Result<Vec<Jwk>> {
        let place = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let discovery: Discovery = self.get(&place).await?;
        if discovery.issuer != self.issuer {
            let problem = format!("\"{place}\" is of issuer \"{}\", expected \"{}\"", discovery.issuer, self.issuer);
            return Err(Error::new(ErrorKind::Config, problem));
        }
        let set: KeySet = self.get(&discovery.jwks_uri).await?;
        // Keys of a kind that is not known are none of ours.
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.take(KEYS_MAX).collect())
    }

    async fn get<T: DeserializeOwned>(&self, place: &str) -> Result<T> {
        let failed = |why: String| Error::new(ErrorKind::Storage, format!("\"{place}\" {why}"));
        let url =
            Url::parse(place).ok().filter(is_private_url).ok_or_else(|| failed("is no https:// URL".to_owned()))?;
        let unanswered = |cause: reqwest::Error| failed(format!("does not answer: {cause}")).with_source(cause);
        let mut answer = self.client.get(url).send().await.map_err(unanswered)?;
        if !answer.status().is_success() {
            return Err(failed(format!("answers {}", answer.status())));
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(unanswered)? {
            body.extend_from_slice(&part);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(failed(format!("answers with more than {ANSWER_BYTES_MAX} bytes")));
            }
        }
        serde_json::from_slice(&body)
            .map_err(|cause| failed(format!("is not what was expected: {cause}")).with_source(cause))
    }
}
