//! Options of a client's session. They travel in a sealed cookie of the client's, so the server remembers nothing; clients
//! that keep no cookies, such as Grafana's, send an option as a header of its name with every call.

use std::collections::BTreeMap;

use prost::Message;
use tonic::metadata::{AsciiMetadataValue, KeyAndValueRef, MetadataMap};

use super::client::Client;
use super::cookie::{self, Kept};
use crate::config::settings::AS_OF;
use crate::engine::{CATALOG, Engine, Session, WireTypes};
use crate::error::{Error, ErrorKind, Result};

/// The option that names the current catalog, of which there is one.
const CATALOG_OPTION: &str = "catalog";

/// The option that names the schema of names that have none.
const SCHEMA_OPTION: &str = "schema";

/// Decimals as floating numbers, for clients that know none.
const DECIMAL_AS_FLOAT: &str = "decimal_as_float";

/// Days as instants, for clients that know no days.
const DATE_AS_TIMESTAMP: &str = "date_as_timestamp";

/// Instants without a zone, for clients that know none.
const TIMESTAMP_WITHOUT_ZONE: &str = "timestamp_without_zone";

/// Texts as views, for clients that read them.
const VIEW_TYPES: &str = "view_types";

/// Large results in several endpoints, for clients that read them all.
const PARALLEL_ENDPOINTS: &str = "parallel_endpoints";

/// The options that are on or off.
const FLAGS: [&str; 5] = [DECIMAL_AS_FLOAT, DATE_AS_TIMESTAMP, TIMESTAMP_WITHOUT_ZONE, VIEW_TYPES, PARALLEL_ENDPOINTS];

/// What stands before a setting's name, as in `set topline.NAME = VALUE`.
const SETTING_PREFIX: &str = "topline.";

/// The options that a session has changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SessionOptions {
    entries: BTreeMap<String, String>,
    is_expired: bool,
    is_due: bool,
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
        Self { entries, ..Self::default() }
    }

    /// Returns the options that a request brings along: those of its headers, then those that were set.
    ///
    /// # Errors
    /// `Argument` where they were not given to this client.
    pub(super) fn of_request(headers: &MetadataMap, client: &Client) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for header in headers.iter() {
            if let KeyAndValueRef::Ascii(name, value) = header
                && (is_of_flight(name.as_str()) || name.as_str().starts_with(SETTING_PREFIX))
                && let Ok(value) = value.to_str()
            {
                entries.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(match cookie::read(headers, client)? {
            Kept::Nothing => Self::of_entries(entries),
            Kept::Expired => Self { is_expired: true, ..Self::of_entries(entries) },
            Kept::Options { entries: kept, is_due } => {
                entries.extend(kept);
                Self { is_due, ..Self::of_entries(entries) }
            }
        })
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
        cookie::write(&self.entries, client)
    }

    /// Returns the header that makes a client keep the options for longer, where it is time for it.
    pub(super) fn renewed(&self, client: &Client) -> Option<AsciiMetadataValue> {
        if self.is_due { self.to_cookie(client).ok() } else { None }
    }

    /// Returns a session of the engine with these options.
    ///
    /// # Errors
    /// `Argument` where they expired, `Config` or `NotFound` where an option is unknown or out of bounds.
    pub(super) fn session(&self, engine: &Engine) -> Result<Session> {
        if self.is_expired {
            return Err(cookie::expired());
        }
        let mut session = engine.session();
        for (name, value) in &self.entries {
            match name.as_str() {
                SCHEMA_OPTION => session.use_schema(value)?,
                flag if FLAGS.contains(&flag) => drop(is_on(flag, value)?),
                _ => session.set(name.strip_prefix(SETTING_PREFIX).unwrap_or(name), value)?,
            }
        }
        session.use_wire_types(WireTypes {
            has_decimals_as_floats: self.has(DECIMAL_AS_FLOAT)?,
            has_dates_as_timestamps: self.has(DATE_AS_TIMESTAMP)?,
            has_plain_instants: self.has(TIMESTAMP_WITHOUT_ZONE)?,
            has_views: self.has(VIEW_TYPES)?,
        });
        Ok(session)
    }

    /// Returns whether large results come in several endpoints; `None` where the session does not say.
    ///
    /// # Errors
    /// `Config` where the option is neither true nor false.
    pub(super) fn reads_parts(&self) -> Result<Option<bool>> {
        self.entries.get(PARALLEL_ENDPOINTS).map(|value| is_on(PARALLEL_ENDPOINTS, value)).transpose()
    }

    /// Returns the options with the instant of now, where none is fixed, so that several queries are of one instant.
    ///
    /// # Errors
    /// As [`SessionOptions::session`].
    pub(super) fn at_one_instant(&self, engine: &Engine) -> Result<Self> {
        let mut fixed = self.clone();
        if self.session(engine)?.settings().as_of().is_none() {
            let now = chrono::DateTime::from_timestamp_micros(engine.now_micros()).unwrap_or_default();
            fixed.entries.insert(format!("{SETTING_PREFIX}{AS_OF}"), now.to_rfc3339());
        }
        Ok(fixed)
    }

    fn has(&self, flag: &str) -> Result<bool> {
        self.entries.get(flag).map_or(Ok(false), |value| is_on(flag, value))
    }

    /// Changes an option; `None` puts it back to what is configured. Options that expired are forgotten first.
    pub(super) fn set(
        &mut self,
        engine: &Engine,
        name: &str,
        value: Option<String>,
    ) -> std::result::Result<(), Refusal> {
        if self.is_expired {
            *self = Self::default();
        }
        if name == CATALOG_OPTION {
            return if value.is_none_or(|value| value == CATALOG) { Ok(()) } else { Err(Refusal::Value) };
        }
        let is_known = is_of_flight(name)
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

    /// Returns every option with the value that it has in this session; what is configured where they expired.
    ///
    /// # Errors
    /// As [`SessionOptions::session`].
    pub(super) fn listed(&self, engine: &Engine, client: &Client) -> Result<BTreeMap<String, OptionValue>> {
        let current = if self.is_expired { &Self::default() } else { self };
        let session = current.session(engine)?;
        let settings = session
            .settings()
            .iter()
            .filter(|(spec, _)| spec.is_session)
            .map(|(spec, value)| (format!("{SETTING_PREFIX}{}", spec.name), OptionKind::Text(value.to_string())));
        let mut listed: BTreeMap<_, _> = settings.collect();
        listed.insert(CATALOG_OPTION.to_owned(), OptionKind::Text(CATALOG.to_owned()));
        listed.insert(SCHEMA_OPTION.to_owned(), OptionKind::Text(session.schema().to_owned()));
        for flag in FLAGS {
            let is_on = if flag == PARALLEL_ENDPOINTS { client.reads_parts()? } else { current.has(flag)? };
            listed.insert(flag.to_owned(), OptionKind::Flag(is_on));
        }
        Ok(listed.into_iter().map(|(name, kind)| (name, OptionValue { kind: Some(kind) })).collect())
    }
}

/// Returns whether a name is an option of the protocol's side, as opposed to a setting.
fn is_of_flight(name: &str) -> bool {
    name == SCHEMA_OPTION || FLAGS.contains(&name)
}

fn is_on(flag: &str, value: &str) -> Result<bool> {
    value.to_lowercase().parse().map_err(|_| {
        Error::new(ErrorKind::Config, format!("session option \"{flag}\": expected true or false, found \"{value}\""))
    })
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
    async fn options_come_back_in_the_cookie_and_stand_above_headers() {
        let engine = engine().await;
        let mut options = SessionOptions::default();
        assert_eq!(options.set(&engine, "schema", Some("crm".to_owned())), Ok(()));
        assert_eq!(options.set(&engine, "topline.attribution.lookback_days", Some("30".to_owned())), Ok(()));
        let ann = Client::of_test("ann");
        let cookie = options.to_cookie(&ann).expect("it is short");
        let mut headers = with_cookie(cookie.to_str().expect("letters"));
        let found = SessionOptions::of_request(&headers, &ann).expect("it is hers");
        assert_eq!(found, options);
        headers.insert("schema", "core".parse().expect("a header"));
        headers.insert("decimal_as_float", "True".parse().expect("a header"));
        headers.insert("another", "x".parse().expect("a header"));
        let found = SessionOptions::of_request(&headers, &ann).expect("it is hers");
        let session = found.session(&engine).expect("they are valid");
        assert_eq!(session.schema(), "crm");
        assert!(session.wire_types().has_decimals_as_floats && !session.wire_types().has_views);
    }

    #[tokio::test]
    async fn options_that_expired_are_an_error_until_they_are_set_again() {
        let engine = engine().await;
        let ann = Client::of_test("ann");
        let cookie = SessionOptions::default().to_cookie(&ann).expect("it is short");
        let headers = with_cookie(cookie.to_str().expect("letters"));
        let late = ann.at_seconds(100_000);
        let mut options = SessionOptions::of_request(&headers, &late).expect("it is hers");
        let error = options.session(&engine).expect_err("they expired");
        assert_eq!(error.to_string(), "the options of this session expired after 24 hours without a call");
        assert!(options.listed(&engine, &late).is_ok());
        assert_eq!(options.set(&engine, "view_types", Some("true".to_owned())), Ok(()));
        assert_eq!(options.session(&engine).expect("they are new").schema(), "metrics");
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
        assert_eq!(options.set(&engine, "view_types", Some("often".to_owned())), Err(Refusal::Value));
        assert_eq!(
            options.set(&engine, "topline.attribution.lookback_days", Some("-1".to_owned())),
            Err(Refusal::Value)
        );
        assert_eq!(options, SessionOptions::default());
    }
}
