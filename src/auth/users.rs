//! The file of users: hashes of their passwords and tokens. `topline user` and `topline token` write it, servers read it
//! again when it changes.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::random::random_bytes;
use super::{ANONYMOUS, Caller, Secret, password, private_file};
use crate::domain::clock::Clock;
use crate::domain::hash::sha256;
use crate::domain::names::{differences, nearest};
use crate::domain::toml_faults;
use crate::error::{Error, ErrorKind, Result};

/// What a token begins with: whoever finds one in a file or a log knows what it is.
pub(super) const TOKEN_PREFIX: &str = "topline_";

/// Bytes of a token: too many to guess, so that a plain hash of it is enough.
const TOKEN_BYTES: usize = 32;

/// Letters of a token's hash by which people name it; even a thousand tokens differ in them.
const TOKEN_ID_CHARS: usize = 10;

/// The longest name: what mail addresses have at most.
const NAME_BYTES_MAX: usize = 254;

/// What stands at the head of the file.
const HEAD: &str = "# Users of topline. Written by `topline user` and `topline token`, read again when it changes.\n\n";

/// The users.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    #[serde(default)]
    users: BTreeMap<String, User>,
    #[serde(skip)]
    owners: HashMap<String, String>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<Token>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    sha256: Secret,
    created_at: String,
}

/// How a user may log in, and what is known of them.
#[derive(Debug)]
pub struct UserListing<'a> {
    /// The name.
    pub name: &'a str,
    /// Whether there is a password.
    pub has_password: bool,
    /// The tokens: what each is called by, and when it was made.
    pub tokens: Vec<(&'a str, &'a str)>,
    /// The role.
    pub role: Option<&'a str>,
    /// The attributes by their names.
    pub attributes: &'a BTreeMap<String, String>,
}

impl Users {
    /// Reads a file.
    ///
    /// # Errors
    /// `Config` with every problem: others may read it, it does not parse, a name or a hash is none.
    pub fn read(file: &Path) -> Result<Self> {
        private_file::refuse_public("users file", file)?;
        let fault =
            |problem: String| Error::new(ErrorKind::Config, format!("users file \"{}\" {problem}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => fault("does not exist".to_owned())
                .with_hint(format!("add a first user: topline user add NAME --file {}", file.display())),
            _ => fault(format!("cannot be read: {cause}")),
        })?;
        let origin = file.display();
        let mut users: Self = toml::from_str(&text).map_err(|cause| {
            Error::new(ErrorKind::Config, format!("{origin}:{}", toml_faults::described(&text, &cause)))
        })?;
        let problems = users.problems().into_iter().map(|problem| format!("{origin}: {problem}")).collect();
        if let Some(error) = Error::list(ErrorKind::Config, "the users file is wrong", problems) {
            return Err(error);
        }
        for (name, user) in &users.users {
            users.owners.extend(user.tokens.iter().map(|token| (token.sha256.reveal().to_owned(), name.clone())));
        }
        Ok(users)
    }

    /// Changes a file, which is made where there is none. Two changes at the same time come one after the other, and a
    /// reader sees the file before or after one.
    ///
    /// # Errors
    /// As [`Users::read`], those of the change, and `Storage` where it cannot be written.
    pub fn edit<T>(file: &Path, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let failed = |cause: io::Error| {
            Error::new(ErrorKind::Storage, format!("users file \"{}\" cannot be written: {cause}", file.display()))
                .with_source(cause)
        };
        let _locked = private_file::lock(file).map_err(failed)?;
        let mut users = if file.exists() { Self::read(file)? } else { Self::default() };
        let changed = change(&mut users)?;
        let text = toml::to_string(&users)
            .map_err(|cause| Error::new(ErrorKind::Internal, "the users cannot be written").with_source(cause))?;
        private_file::replace(file, format!("{HEAD}{text}").as_bytes()).map_err(failed)?;
        Ok(changed)
    }

    /// Adds a user; without a password, one that has tokens alone.
    ///
    /// # Errors
    /// `Argument` where there is one of that name, or name or password is none that is allowed.
    pub fn add(&mut self, name: &str, password: Option<&Secret>) -> Result<()> {
        check_name(name)?;
        if self.users.contains_key(name) {
            return Err(Error::new(ErrorKind::Argument, format!("user \"{name}\" exists already"))
                .with_hint(format!("change the password with: topline user password {name}")));
        }
        let password = password.map(password::hash_of).transpose()?;
        self.users.insert(name.to_owned(), User { password, ..User::default() });
        Ok(())
    }

    /// Gives a user a role and attributes, in place of those that they had.
    ///
    /// # Errors
    /// `NotFound` where there is no such user.
    pub fn grant(&mut self, name: &str, role: Option<String>, attributes: BTreeMap<String, String>) -> Result<()> {
        let user = self.user(name)?;
        (user.role, user.attributes) = (role, attributes);
        Ok(())
    }

    /// Changes a user's password, which ends every login by the one before.
    ///
    /// # Errors
    /// `NotFound` where there is no such user, `Argument` where the password is none that is allowed.
    pub fn set_password(&mut self, name: &str, password: &Secret) -> Result<()> {
        self.user(name)?.password = Some(password::hash_of(password)?);
        Ok(())
    }

    /// Removes a user with all tokens.
    ///
    /// # Errors
    /// `NotFound` where there is no such user.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.user(name)?;
        self.users.remove(name);
        Ok(())
    }

    /// Returns a new token of a user, which is kept as a hash alone.
    ///
    /// # Errors
    /// `NotFound` where there is no such user.
    pub fn add_token(&mut self, name: &str, clock: Clock) -> Result<Secret> {
        let user = self.user(name)?;
        let token = Secret::new(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(random_bytes::<TOKEN_BYTES>()?)));
        let created_at = DateTime::from_timestamp_micros(clock.now_micros()).unwrap_or_default();
        user.tokens.push(Token {
            sha256: Secret::new(sha256(token.reveal().as_bytes())),
            created_at: created_at.to_rfc3339_opts(SecondsFormat::Secs, WITH_Z),
        });
        Ok(token)
    }

    /// Removes a token by what it is called by.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub fn remove_token(&mut self, id: &str) -> Result<()> {
        for user in self.users.values_mut() {
            if let Some(place) = user.tokens.iter().position(|token| token.id() == id) {
                user.tokens.remove(place);
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::NotFound, format!("token \"{id}\" does not exist"))
            .with_hint("topline token list shows what each is called by"))
    }

    /// Returns by name who was added, changed and removed since.
    pub fn differences(&self, before: &Self) -> String {
        differences(&before.users, &self.users)
    }

    /// Returns how each user may log in, in the order of their names.
    pub fn listed(&self) -> impl Iterator<Item = UserListing<'_>> {
        self.users.iter().map(|(name, user)| UserListing {
            name,
            has_password: user.password.is_some(),
            tokens: user.tokens.iter().map(|token| (token.id(), token.created_at.as_str())).collect(),
            role: user.role.as_deref(),
            attributes: &user.attributes,
        })
    }

    /// Returns a user as they call, with role and attributes; `None` where there is none of the name.
    pub fn caller(&self, name: &str) -> Option<Caller> {
        let user = self.users.get(name)?;
        Some(Caller::named(name).with(user.role.as_deref(), user.attributes.clone()))
    }

    /// Returns the hash of a user's password.
    pub(super) fn password(&self, name: &str) -> Option<&Secret> {
        self.users.get(name)?.password.as_ref()
    }

    /// Returns the user of a token.
    pub(super) fn owner(&self, token: &str) -> Option<&str> {
        self.owners.get(&sha256(token.as_bytes())).map(String::as_str)
    }

    fn user(&mut self, name: &str) -> Result<&mut User> {
        let near = nearest(name, self.users.keys().map(String::as_str)).map(str::to_owned);
        self.users.get_mut(name).ok_or_else(|| {
            let error = Error::new(ErrorKind::NotFound, format!("user \"{name}\" does not exist"));
            match near {
                Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
                None => error.with_hint(format!("add it with: topline user add {name}")),
            }
        })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, user) in &self.users {
            problems.extend(check_name(name).err().map(|error| error.message().to_owned()));
            if user.password.as_ref().is_some_and(|hash| !password::is_hash(hash.reveal())) {
                problems.push(format!(
                    "the password of user \"{name}\" is no argon2 hash; hint: topline user password {name} writes one"
                ));
            }
            if user.tokens.iter().any(|token| !token.is_hash()) {
                problems.push(format!(
                    "a token of user \"{name}\" is no hash; hint: topline token add {name} makes one and writes its hash"
                ));
            }
        }
        problems
    }
}

/// Instants end in Z rather than in +00:00.
const WITH_Z: bool = true;

impl Token {
    fn id(&self) -> &str {
        self.sha256.reveal().get(..TOKEN_ID_CHARS).unwrap_or_default()
    }

    fn is_hash(&self) -> bool {
        let text = self.sha256.reveal();
        text.len() == 64 && text.bytes().all(|letter| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter))
    }
}

/// Refuses what cannot be a user's name: a login separates it from the password by a colon.
///
/// # Errors
/// `Argument` with what a name may have.
fn check_name(name: &str) -> Result<()> {
    let is_letter = |other: char| other.is_alphanumeric() || "._-+@".contains(other);
    let begins = name.chars().next().is_some_and(char::is_alphanumeric);
    if begins && name.len() <= NAME_BYTES_MAX && name.chars().all(is_letter) && name != ANONYMOUS {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Argument, format!("\"{}\" cannot be a user's name", name.escape_debug())).with_hint(
        "a name begins with a letter or digit and has letters, digits and . _ - + @ only, such as ann@example.com",
    ))
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests;
