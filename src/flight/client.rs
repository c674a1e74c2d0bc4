//! Who asks, and in which session. What a client is given to keep is sealed for its user.

use std::sync::Arc;

use bytes::Bytes;
use tonic::Request;
use tonic::metadata::MetadataMap;

use super::guard::caller_of;
use super::running::Running;
use super::session::SessionOptions;
use crate::auth::Caller;
use crate::auth::seal::{Seal, Sealed};
use crate::domain::clock::Clock;
use crate::engine::{Engine, Origin};
use crate::error::Result;
use crate::traces::Span;

/// A client in a call.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// Who it is.
    pub caller: Caller,
    /// The options of its session.
    pub options: SessionOptions,
    /// How it names itself.
    pub name: String,
    /// The call, as a trace shows it.
    pub span: Span,
    seal: Arc<Seal>,
    clock: Clock,
}

impl Client {
    /// Returns the client of a request.
    ///
    /// # Errors
    /// `Argument` where the cookie that it sends was not given to it.
    pub(super) fn of_request<T>(request: &Request<T>, engine: &Engine, seal: &Arc<Seal>) -> Result<Self> {
        let client = Self {
            caller: caller_of(request)?,
            options: SessionOptions::default(),
            name: name_of(request.metadata()),
            span: request.extensions().get::<Span>().cloned().unwrap_or_default(),
            seal: Arc::clone(seal),
            clock: engine.clock(),
        };
        Ok(Self { options: SessionOptions::of_request(request.metadata(), &client)?, ..client })
    }

    /// Returns what the client can keep and give back, but neither make nor change.
    pub(super) fn seal(&self, what: Sealed, content: Vec<u8>) -> Bytes {
        self.seal.seal(what, &self.caller, content)
    }

    /// Returns what was sealed for this client's user; `None` where it was not.
    pub(super) fn open(&self, what: Sealed, sealed: Bytes) -> Option<Bytes> {
        self.seal.open(what, &self.caller, sealed)
    }

    /// Returns whether the client reads results that come in several parts. One that reads the first alone would take it
    /// for the whole, so all but those that are known to read every part are asked to say so.
    ///
    /// # Errors
    /// `Config` where the option of the session is neither true nor false.
    pub(super) fn reads_parts(&self) -> Result<bool> {
        Ok(self.options.reads_parts()?.unwrap_or_else(|| self.is_parts_reader()))
    }

    /// Returns whether its kind is known to read all endpoints of a result.
    fn is_parts_reader(&self) -> bool {
        PARTS_READERS.iter().any(|reader| self.name.contains(reader))
    }

    /// Returns what a statement of this call comes from, under a new id; its text is added where it is known.
    pub(super) fn origin(&self, running: &Running) -> Origin {
        let (client, span) = (self.name.clone(), self.span.clone());
        Origin { id: running.new_id().0, client, sql: String::new(), span }
    }

    /// Returns seconds since 1970-01-01 UTC.
    pub(super) fn now_seconds(&self) -> i64 {
        self.clock.now_micros().div_euclid(1_000_000)
    }
}

/// How the clients name themselves that read all endpoints of a result: the drivers of ADBC and of JDBC.
const PARTS_READERS: [&str; 2] = ["ADBC Flight SQL Driver", "grpc-java"];

/// The longest name of a client that is kept, in bytes.
const NAME_BYTES_MAX: usize = 200;

fn name_of(headers: &MetadataMap) -> String {
    let name = headers.get("user-agent").and_then(|name| name.to_str().ok()).unwrap_or_default();
    name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned()
}

#[cfg(any(test, fuzzing))]
impl Client {
    /// Returns the client of a user over a seal.
    pub(super) fn over(seal: Arc<Seal>, name: &str) -> Self {
        Self {
            caller: Caller::named(name),
            options: SessionOptions::default(),
            name: String::new(),
            span: Span::default(),
            seal,
            clock: Clock::Fixed(0),
        }
    }
}

#[cfg(test)]
impl Client {
    /// Returns a client of a server of its own.
    pub(super) fn of_test(name: &str) -> Self {
        let key = crate::auth::ServerKey::random().expect("random bytes");
        Self::over(Arc::new(Seal::new(&key)), name)
    }

    /// Returns another user's client of the same server.
    pub(super) fn with_caller(&self, name: &str) -> Self {
        Self { caller: Caller::named(name), ..self.clone() }
    }

    /// Returns the same client at another instant.
    pub(super) fn at_seconds(&self, seconds: i64) -> Self {
        Self { clock: Clock::Fixed(seconds * 1_000_000), ..self.clone() }
    }
}
