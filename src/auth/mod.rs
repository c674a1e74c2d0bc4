//! Who calls: users and their passwords, tokens, and what is sealed for a user to keep.
//!
//! [`Authenticator`] turns the authorization header of a call into a [`Caller`]. `users` has the file of users, `password`
//! the checking of passwords, `login` the tokens that a login gives, `oidc` tokens that are issued elsewhere, `key` the
//! key of the server, [`seal`] what clients keep without being able to change it. Knows no protocol but the form of that
//! header, and never says what was wrong with it. Start at [`Authenticator::admit`].

mod authenticator;
mod credentials;
mod key;
mod login;
mod oidc;
mod password;
mod private_file;
pub mod random;
pub mod seal;
mod throttle;
pub mod users;
pub mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use crate::domain::secret::Secret;
use crate::error::{Error, ErrorKind};
pub use authenticator::Authenticator;
pub use key::ServerKey;

/// The name of everyone where nobody has to log in.
pub const ANONYMOUS: &str = "anonymous";

/// Who calls, and what is known of them. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: Arc<str>,
    role: Option<Arc<str>>,
    attributes: Arc<BTreeMap<String, String>>,
    is_anyone: bool,
}

impl Caller {
    /// Returns the caller of a name that was proven.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.into(), role: None, attributes: Arc::default(), is_anyone: false }
    }

    /// Returns the caller with a role and attributes, which are proven as the name is.
    pub(crate) fn with(self, role: Option<&str>, attributes: BTreeMap<String, String>) -> Self {
        Self { role: role.map(Into::into), attributes: Arc::new(attributes), ..self }
    }

    /// Returns a caller as whoever runs topline imagines one: what would this user see?
    pub fn granted(name: &str, role: Option<&str>, attributes: BTreeMap<String, String>) -> Self {
        Self::named(name).with(role, attributes)
    }

    /// Returns the caller of a server that asks nobody who they are.
    pub fn anonymous() -> Self {
        Self { is_anyone: true, ..Self::named(ANONYMOUS) }
    }

    /// Returns whether this is everyone, where nobody has to log in; a user who proved a name is not, whatever it is.
    pub fn is_anyone(&self) -> bool {
        self.is_anyone
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the role; `None` where nobody gave one.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// Returns the attributes by their names.
    pub fn attributes(&self) -> &Arc<BTreeMap<String, String>> {
        &self.attributes
    }
}

/// Returns an error for a caller who is not let in.
fn refused(message: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message).with_hint(hint)
}
