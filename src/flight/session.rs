//! Options of a client's session. They travel in a sealed cookie of the client's, so the server remembers nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use url::form_urlencoded;

use super::client::Client;
use crate::auth::seal::Sealed;
use crate::engine::{CATALOG, Engine, Session};
use crate::error::{Error, ErrorKind, Result};

/// The cookie's name.
const COOKIE: &str = "topline_session";

/// The longest cookie: more than all options need, and less than the smallest limit of a client's headers.
const COOKIE_BYTES_MAX: usize = 4 << 10;

/// The option that names the current catalog, of which there is one.
const CATALOG_OPTION: &str = "catalog";

/// The option that names the schema of names that have none.
const SCHEMA_OPTION: &str = "schema";

/// What stands before a setting's name, as in `set topline.NAME = VALUE`.
const SETTING_PREFIX: &str = "topline.";

/// The options that a session has changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SessionOptions {
    entries: BTreeMap<String, String>,
}

/// Why an option is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such option.
    Name = 1,
    /// The value is none that it takes.
    Value = 2,
}

impl SessionOptions {
    /// Returns the options with these entries, which are checked when a session is made of them.
    pub(super) fn of_entries(entries: BTreeMap<String, String>) -> Self {
        Self { entries }
    }

    /// Returns the options that a request brings along.
    ///
    /// # Errors
    /// `Argument` where they were not given to this client.
    pub(super) fn of_request(headers: &MetadataMap, client: &Client) -> Result<Self> {
        let mut cookies = headers.get_all("cookie").iter().filter_map(|header| header.to_str().ok());
        let found = cookies.find_map(|header| {
            header.split(';').filter_map(|cookie| cookie.trim().split_once('=')).find(|(name, _)| *name == COOKIE)
        });
        let value = match found {
            // One that is empty is one that was taken back.
            None | Some((_, "")) => return Ok(Self::default()),
            Some((_, value)) => value,
        };
        let sealed = URL_SAFE_NO_PAD.decode(value).ok();
        let opened = sealed.and_then(|sealed| client.open(Sealed::Session, sealed.into())).ok_or_else(|| {
            Error::new(ErrorKind::Argument, "the session is none that this server has given to this user")
                .with_hint("connect again, and set the options of the session again")
        })?;
        Ok(Self { entries: form_urlencoded::parse(&opened).into_owned().collect() })
    }

    /// Returns what has changed, by name.
    pub(super) fn entries(&self) -> &BTreeMap<String, String> {
        &self.entries
    }

    /// Returns the header that makes a client keep the options.
    ///
    /// # Errors
    /// `Limit` where they are too many.
    pub(super) fn to_cookie(&self, client: &Client) -> Result<AsciiMetadataValue> {
        let content = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.entries).finish();
        let value = URL_SAFE_NO_PAD.encode(client.seal(Sealed::Session, content.into_bytes()));
        if value.len() > COOKIE_BYTES_MAX {
            return Err(Error::new(ErrorKind::Limit, "the session has too many options to be kept in a cookie"));
        }
        AsciiMetadataValue::try_from(format!("{COOKIE}={value}"))
            .map_err(|cause| Error::new(ErrorKind::Internal, "the session's cookie is no header").with_source(cause))
    }

    /// Returns a session of the engine with these options.
    ///
    /// # Errors
    /// `Config` or `NotFound` where an option is unknown or out of bounds.
    pub(super) fn session(&self, engine: &Engine) -> Result<Session> {
        let mut session = engine.session();
        for (name, value) in &self.entries {
            if name == SCHEMA_OPTION {
                session.use_schema(value)?;
            } else {
                session.set(name.strip_prefix(SETTING_PREFIX).unwrap_or(name), value)?;
            }
        }
        Ok(session)
    }

    /// Changes an option; `None` puts it back to what is configured.
    pub(super) fn set(
        &mut self,
        engine: &Engine,
        name: &str,
        value: Option<String>,
    ) -> std::result::Result<(), Refusal> {
        if name == CATALOG_OPTION {
            return if value.is_none_or(|value| value == CATALOG) { Ok(()) } else { Err(Refusal::Value) };
        }
        let is_known = name == SCHEMA_OPTION
            || name
                .strip_prefix(SETTING_PREFIX)
                .is_some_and(|name| engine.config().settings.iter().any(|(spec, _)| spec.name == name));
        if !is_known {
            return Err(Refusal::Name);
        }
        let before = match value {
            Some(value) => self.entries.insert(name.to_owned(), value),
            None => self.entries.remove(name),
        };
        if self.session(engine).is_ok() {
            return Ok(());
        }
        match before {
            Some(before) => self.entries.insert(name.to_owned(), before),
            None => self.entries.remove(name),
        };
        Err(Refusal::Value)
    }

    /// Returns every option with the value that it has in this session.
    ///
    /// # Errors
    /// As [`SessionOptions::session`].
    pub(super) fn listed(&self, engine: &Engine) -> Result<BTreeMap<String, String>> {
        let session = self.session(engine)?;
        let settings = session
            .settings()
            .iter()
            .filter(|(spec, _)| spec.is_session)
            .map(|(spec, value)| (format!("{SETTING_PREFIX}{}", spec.name), value.to_string()));
        let names = [(CATALOG_OPTION, CATALOG), (SCHEMA_OPTION, session.schema())];
        Ok(names.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(settings).collect())
    }
}

/// Returns the header that makes a client forget its options.
pub(super) fn expired_cookie() -> AsciiMetadataValue {
    AsciiMetadataValue::from_static("topline_session=; Max-Age=0")
}

/// A value of an option, as clients send it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OptionValue {
    #[prost(oneof = "OptionKind", tags = "1, 2, 3, 4, 5")]
    kind: Option<OptionKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OptionKind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Flag(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Number(f64),
    #[prost(message, tag = "5")]
    Texts(TextList),
}

#[derive(Clone, PartialEq, Message)]
struct TextList {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

impl OptionValue {
    /// Returns the message of a value.
    pub(super) fn of_text(text: String) -> Self {
        Self { kind: Some(OptionKind::Text(text)) }
    }

    /// Returns the value as a setting reads it; `None` is a value that is taken back.
    pub(super) fn into_text(self) -> Option<String> {
        match self.kind? {
            OptionKind::Text(text) => Some(text),
            OptionKind::Flag(flag) => Some(flag.to_string()),
            OptionKind::Integer(number) => Some(number.to_string()),
            OptionKind::Number(number) => Some(number.to_string()),
            OptionKind::Texts(texts) => Some(texts.values.join(",")),
        }
    }
}

/// Options by name: the request that sets them and the answer that lists them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OptionsMessage {
    /// The options.
    #[prost(btree_map = "string, message", tag = "1")]
    pub options: BTreeMap<String, OptionValue>,
}

/// The answer to setting options: those that are refused.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RefusalsMessage {
    /// The refusals by option.
    #[prost(btree_map = "string, message", tag = "1")]
    pub refusals: BTreeMap<String, RefusalMessage>,
}

/// A refusal.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RefusalMessage {
    /// A [`Refusal`].
    #[prost(int32, tag = "1")]
    pub refusal: i32,
}

/// The answer to closing a session.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ClosedMessage {
    /// 1 is closed.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    async fn engine() -> Engine {
        Engine::open(Config::sample(&Environment::default()).expect("the sample")).await.expect("it opens")
    }

    #[tokio::test]
    async fn options_come_back_in_the_cookie() {
        let engine = engine().await;
        let mut options = SessionOptions::default();
        assert_eq!(options.set(&engine, "schema", Some("crm".to_owned())), Ok(()));
        assert_eq!(options.set(&engine, "topline.attribution.lookback_days", Some("30".to_owned())), Ok(()));
        let ann = Client::of_test("ann");
        let cookie = options.to_cookie(&ann).expect("it is short");
        let headers = with_cookie(&format!("other=1; {}; more=2", cookie.to_str().expect("letters")));
        let found = SessionOptions::of_request(&headers, &ann).expect("it is hers");
        assert_eq!(found, options);
        assert_eq!(found.session(&engine).expect("they are valid").schema(), "crm");
    }

    #[tokio::test]
    async fn a_cookie_is_for_the_user_who_was_given_it() {
        let ann = Client::of_test("ann");
        let cookie = SessionOptions::default().to_cookie(&ann).expect("it is short");
        let headers = with_cookie(cookie.to_str().expect("letters"));
        for other in [ann.with_caller("bob"), Client::of_test("ann")] {
            let error = SessionOptions::of_request(&headers, &other).expect_err("another user, or another server");
            assert_eq!(error.kind(), ErrorKind::Argument);
        }
        for cookie in ["topline_session=schema=crm", "topline_session=AAAA"] {
            SessionOptions::of_request(&with_cookie(cookie), &ann).expect_err("made up");
        }
        let expired = with_cookie("topline_session=");
        assert_eq!(SessionOptions::of_request(&expired, &ann).expect("none"), SessionOptions::default());
    }

    fn with_cookie(cookie: &str) -> MetadataMap {
        let mut headers = MetadataMap::new();
        headers.insert("cookie", AsciiMetadataValue::try_from(cookie.as_bytes()).expect("a header"));
        headers
    }

    #[tokio::test]
    async fn what_is_refused_changes_nothing() {
        let engine = engine().await;
        let mut options = SessionOptions::default();
        assert_eq!(options.set(&engine, "colour", Some("red".to_owned())), Err(Refusal::Name));
        assert_eq!(options.set(&engine, "schema", Some("nowhere".to_owned())), Err(Refusal::Value));
        assert_eq!(options.set(&engine, "catalog", Some("other".to_owned())), Err(Refusal::Value));
        assert_eq!(
            options.set(&engine, "topline.attribution.lookback_days", Some("-1".to_owned())),
            Err(Refusal::Value)
        );
        assert_eq!(options, SessionOptions::default());
    }
}
