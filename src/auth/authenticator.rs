//! From the authorization header of a call to who calls.

use std::net::IpAddr;

use super::credentials::Credentials;
use super::login::{self, LoginTokens};
use super::oidc::Issuer;
use super::password::PasswordChecks;
use super::throttle::Throttle;
use super::users::{TOKEN_PREFIX, Users};
use super::watched::Watched;
use super::{Caller, Secret, ServerKey, refused};
use crate::config::SecurityConfig;
use crate::domain::clock::Clock;
use crate::error::Result;

/// Says who calls.
#[derive(Debug)]
pub struct Authenticator {
    users: Option<Watched<Users>>,
    passwords: PasswordChecks,
    throttle: Throttle,
    logins: LoginTokens,
    issuer: Option<Issuer>,
    clock: Clock,
}

impl Authenticator {
    /// Reads the users, and prepares for tokens of the configured issuer. When the file of users was read again, `told`
    /// gets what became of it.
    ///
    /// # Errors
    /// `Config` where the file of users is wrong.
    pub fn open(
        config: &SecurityConfig,
        key: &ServerKey,
        clock: Clock,
        told: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self> {
        let users = match config.users.clone() {
            Some(file) => {
                let users = Watched::open(vec![file.clone()], move || Users::read(&file))?;
                Some(users.telling(move |reload| match reload.outcome {
                    Ok(now) => told(&now.differences(reload.before)),
                    Err(error) => told(&format!("refused: {}", error.message())),
                }))
            }
            None => None,
        };
        Ok(Self {
            users,
            passwords: PasswordChecks::new(),
            throttle: Throttle::default(),
            logins: LoginTokens::new(key, config.token_hours),
            issuer: config.oidc.clone().map(Issuer::new).transpose()?,
            clock,
        })
    }

    /// Returns who calls with this authorization header, from this address.
    ///
    /// # Errors
    /// `Unauthenticated`, which does not say whether the name or the password is wrong, nor what of a token.
    pub async fn admit(&self, header: Option<&str>, address: Option<IpAddr>) -> Result<Caller> {
        let Some(header) = header else {
            return Err(refused("nobody has logged in", "send user and password, or a token"));
        };
        match Credentials::parse(header) {
            Some(Credentials::Basic { user, password }) => self.by_password(&user, password, address).await,
            Some(Credentials::Bearer(token)) => self.by_token(token.reveal()).await,
            None => Err(refused(
                "the authorization cannot be read",
                "send \"Basic\" with user and password, or \"Bearer\" with a token",
            )),
        }
    }

    /// Returns the token that a caller who was admitted by this header sends from now on: the same one, or a new one for a
    /// password.
    ///
    /// # Errors
    /// `Unauthenticated` where the caller has no password any more, `Internal` where a token cannot be signed.
    pub fn token_for(&self, header: &str, caller: &Caller) -> Result<Secret> {
        match Credentials::parse(header) {
            Some(Credentials::Bearer(token)) => Ok(token),
            _ => {
                let users = self.users.as_ref().map(Watched::current);
                let hash = users.as_ref().and_then(|users| users.password(caller.name()));
                self.logins.issue(caller.name(), hash.ok_or_else(wrong_password)?, self.now_seconds())
            }
        }
    }

    async fn by_password(&self, user: &str, password: Secret, address: Option<IpAddr>) -> Result<Caller> {
        let now = self.clock.now_micros();
        let who = (user, address);
        let wait = self.throttle.wait_seconds(who, now);
        if wait > 0 {
            return Err(refused("too many logins have failed", &format!("try again in {wait} seconds")));
        }
        let hash = self.users.as_ref().and_then(|users| users.current().password(user).cloned());
        if self.passwords.is_right(hash, password).await? {
            self.throttle.succeeded(who);
            return Ok(self.known(user).unwrap_or_else(|| Caller::named(user)));
        }
        self.throttle.failed(who, now);
        // Not the name: people type their password there.
        tracing::info!(?address, "a login failed");
        Err(wrong_password())
    }

    async fn by_token(&self, token: &str) -> Result<Caller> {
        let caller = if token.starts_with(TOKEN_PREFIX) {
            let users = self.users.as_ref().map(Watched::current);
            users.and_then(|users| users.caller(users.owner(token)?))
        } else {
            match jsonwebtoken::decode_header(token).ok() {
                Some(header) if header.alg == login::ALGORITHM => {
                    self.user_of_login(token).and_then(|name| self.known(&name))
                }
                Some(header) => match &self.issuer {
                    Some(issuer) => {
                        let caller = issuer.user(token, &header, self.clock.now_micros()).await;
                        // Who runs the server has the last word about a user whom the file of users names.
                        caller.map(|caller| self.known(caller.name()).unwrap_or(caller))
                    }
                    None => None,
                },
                None => None,
            }
        };
        caller.ok_or_else(|| refused("the token is not valid, or no longer", "log in again, or send another"))
    }

    /// Returns a user of the file with role and attributes as they are now.
    fn known(&self, name: &str) -> Option<Caller> {
        self.users.as_ref()?.current().caller(name)
    }

    fn user_of_login(&self, token: &str) -> Option<String> {
        let login = self.logins.read(token, self.now_seconds())?;
        let users = self.users.as_ref()?.current();
        let hash = users.password(&login.sub)?;
        self.logins.is_of_password(&login, hash).then_some(login.sub)
    }

    fn now_seconds(&self) -> i64 {
        self.clock.now_micros().div_euclid(1_000_000)
    }
}

fn wrong_password() -> crate::error::Error {
    refused("user name or password is wrong", "try again, or ask whoever runs the server for a new password")
}
