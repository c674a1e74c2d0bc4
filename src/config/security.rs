//! The sections `[tls]`, `[auth]` and `[oidc]`: who may connect to the servers, and how.

use std::path::{Path, PathBuf};

use toml::{Table, Value};
use url::{Host, Url};

use super::reader::{Reader, described};

/// The keys of `[tls]`.
pub(super) const TLS_KEYS: [&str; 4] = ["certificate", "key", "client_ca", "allow_plaintext"];

/// The keys of `[auth]`.
pub(super) const AUTH_KEYS: [&str; 3] = ["users", "signing_key", "token_hours"];

/// The keys of `[oidc]`.
pub(super) const OIDC_KEYS: [&str; 5] = ["issuer", "audience", "user_claim", "role_claim", "attribute_claims"];

/// How long the token of a login is good: a working day with its night, so that a tool left open asks each morning.
const TOKEN_HOURS: u32 = 24;

/// The longest that a token of a login may be good: a stolen one is of use no longer than a month.
const TOKEN_HOURS_MAX: u32 = 30 * 24;

/// The claim that names the user where none is configured: the one that every issuer has and no user can change.
const USER_CLAIM: &str = "sub";

/// Who may connect to the servers, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityConfig {
    /// The certificate that is shown to clients; `None` serves without TLS.
    pub tls: Option<TlsConfig>,
    /// Whether addresses that other machines reach are served without TLS.
    pub is_plaintext_allowed: bool,
    /// The file of users; `None` knows none.
    pub users: Option<PathBuf>,
    /// The file of the key that signs tokens and seals handles; `None` keeps it in the warehouse.
    pub signing_key: Option<PathBuf>,
    /// Hours for which the token of a login is good.
    pub token_hours: u32,
    /// Who else's tokens are accepted.
    pub oidc: Option<OidcConfig>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self {
            tls: None,
            is_plaintext_allowed: false,
            users: None,
            signing_key: None,
            token_hours: TOKEN_HOURS,
            oidc: None,
        }
    }
}

impl SecurityConfig {
    /// Returns whether callers must say who they are.
    pub fn is_login_required(&self) -> bool {
        self.users.is_some() || self.oidc.is_some()
    }
}

/// The `[tls]` section: PEM files, which are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate with those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of the certificates that clients must show; `None` asks them for none.
    pub client_ca: Option<PathBuf>,
}

/// The `[oidc]` section: tokens that are issued elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// The issuer as its tokens name it; its discovery document lies below.
    pub issuer: String,
    /// What tokens must be meant for.
    pub audience: String,
    /// The claim that names the user.
    pub user_claim: String,
    /// The claim that names the user's role; `None` is no claim.
    pub role_claim: Option<String>,
    /// The claims that are attributes of the user.
    pub attribute_claims: Vec<String>,
}

impl Reader {
    /// Reads `[tls]` into the configuration.
    pub(super) fn tls(&mut self, security: &mut SecurityConfig, mut keys: Table, folder: &Path) {
        self.refuse_unknown("tls", &keys, &TLS_KEYS);
        if let Some(value) = keys.remove("allow_plaintext") {
            security.is_plaintext_allowed = self.flag("[tls] allow_plaintext", value);
        }
        let is_named = TLS_KEYS[..3].iter().any(|key| keys.contains_key(*key));
        let mut file = |key: &str| {
            let text = self.text(&format!("[tls] {key}"), keys.remove(key)?)?;
            Some(folder.join(text))
        };
        let (certificate, key, client_ca) = (file("certificate"), file("key"), file("client_ca"));
        match (certificate, key) {
            (Some(certificate), Some(key)) => security.tls = Some(TlsConfig { certificate, key, client_ca }),
            _ if is_named => self.problem_at("[tls]", "certificate and key are both needed; hint: name two PEM files"),
            _ => {}
        }
    }

    /// Reads `[auth]` into the configuration.
    pub(super) fn auth(&mut self, security: &mut SecurityConfig, mut keys: Table, folder: &Path) {
        self.refuse_unknown("auth", &keys, &AUTH_KEYS);
        let mut file = |key: &str| {
            let text = self.text(&format!("[auth] {key}"), keys.remove(key)?)?;
            Some(folder.join(text))
        };
        (security.users, security.signing_key) = (file("users"), file("signing_key"));
        let Some(hours) = keys.remove("token_hours") else { return };
        let found = hours.as_integer().and_then(|hours| u32::try_from(hours).ok());
        match found.filter(|hours| (1..=TOKEN_HOURS_MAX).contains(hours)) {
            Some(hours) => security.token_hours = hours,
            None => self.problem_at(
                "[auth] token_hours",
                format!("expected a whole number from 1 to {TOKEN_HOURS_MAX}, found {}", described(&hours)),
            ),
        }
    }

    /// Reads `[oidc]`.
    pub(super) fn oidc(&mut self, mut keys: Table) -> Option<OidcConfig> {
        self.refuse_unknown("oidc", &keys, &OIDC_KEYS);
        let mut needed = |key: &str, hint: &str| match keys.remove(key) {
            Some(value) => self.text(&format!("[oidc] {key}"), value),
            None => {
                self.problem_at("[oidc]", format!("key \"{key}\" is missing; hint: {hint}"));
                None
            }
        };
        let issuer = needed("issuer", "the URL that the tokens have as \"iss\"");
        let audience = needed("audience", "the \"aud\" of the tokens that are meant for topline");
        let user_claim = match keys.remove("user_claim") {
            Some(value) => self.text("[oidc] user_claim", value),
            None => Some(USER_CLAIM.to_owned()),
        };
        let role_claim = keys.remove("role_claim").and_then(|value| self.text("[oidc] role_claim", value));
        let attribute_claims = keys.remove("attribute_claims").map(|value| self.claims(&value)).unwrap_or_default();
        let issuer = issuer.filter(|issuer| {
            let is_good = Url::parse(issuer).is_ok_and(|url| is_private_url(&url) && url.query().is_none());
            if !is_good {
                self.problem_at("[oidc] issuer", format!("expected an https:// URL, found \"{issuer}\""));
            }
            is_good
        });
        Some(OidcConfig { issuer: issuer?, audience: audience?, user_claim: user_claim?, role_claim, attribute_claims })
    }

    /// Reads a list of claims, which a variable has with commas between.
    fn claims(&mut self, value: &Value) -> Vec<String> {
        let claims: Option<Vec<String>> = match value {
            Value::Array(claims) => claims.iter().map(|claim| claim.as_str().map(str::to_owned)).collect(),
            Value::String(claims) => Some(claims.split(',').map(|claim| claim.trim().to_owned()).collect()),
            _ => None,
        };
        claims.unwrap_or_else(|| {
            let place = "[oidc] attribute_claims";
            self.problem_at(place, format!("expected a list of texts, found {}", described(value)));
            Vec::new()
        })
    }

    /// Notes the keys of a section that it does not have.
    pub(super) fn refuse_unknown(&mut self, section: &str, keys: &Table, known: &[&str]) {
        for key in keys.keys().filter(|key| !known.contains(&key.as_str())) {
            self.unknown("key", key, &format!(" in [{section}]"), known);
        }
    }

    /// Reads a flag; a variable holds it as a text.
    pub(super) fn flag(&mut self, place: &str, value: Value) -> bool {
        match (&value, self.overrides.variable(place)) {
            (Value::Boolean(flag), _) => *flag,
            (Value::String(text), Some(_)) if text == "true" || text == "false" => text == "true",
            _ => {
                self.problem_at(place, format!("expected true or false, found {}", described(&value)));
                false
            }
        }
    }
}

/// Returns whether nobody on the way can read or change what the URL gives: https, or a server of this machine.
pub fn is_private_url(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.username().is_empty() && url.password().is_none() && (url.scheme() == "https" || is_loopback)
}
