//! The one error type of topline.
//!
//! Every fallible public function returns [`Result`]. The kind decides the exit code of the command line and the gRPC
//! code of the server; message and hint are for a person; the cause is for the log. Start at [`Error`].

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// What went wrong, in the terms of who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The configuration file, an environment variable or a setting is wrong.
    Config,
    /// A source does not hold what the contract asks for, or a file cannot be read.
    Source,
    /// A model does not parse, has a cycle or calls up the floors.
    Model,
    /// The SQL of the user is wrong: syntax, an unknown name, types, a value that does not convert.
    Query,
    /// An argument of a call or a command is wrong.
    Argument,
    /// What was asked for does not exist.
    NotFound,
    /// The caller has not said who they are, or what they said is not true.
    Unauthenticated,
    /// The statement is not allowed here: it writes, reads files or sets engine options.
    Refused,
    /// A limit of memory, time, rows or size was reached.
    Limit,
    /// The server has too much to do right now; the same call may be answered in a moment.
    Busy,
    /// The query was cancelled by the client.
    Cancelled,
    /// Reading or writing a file or an object store failed.
    Storage,
    /// The call is part of the protocol but not served.
    Unsupported,
    /// A fault of topline itself.
    Internal,
}

impl ErrorKind {
    /// Every kind, for tests that must cover all of them.
    pub const ALL: [Self; 14] = [
        Self::Config,
        Self::Source,
        Self::Model,
        Self::Query,
        Self::Argument,
        Self::NotFound,
        Self::Unauthenticated,
        Self::Refused,
        Self::Limit,
        Self::Busy,
        Self::Cancelled,
        Self::Storage,
        Self::Unsupported,
        Self::Internal,
    ];

    /// Returns the word for it, as traces and metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Source => "source",
            Self::Model => "model",
            Self::Query => "query",
            Self::Argument => "argument",
            Self::NotFound => "not_found",
            Self::Unauthenticated => "unauthenticated",
            Self::Refused => "refused",
            Self::Limit => "limit",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Storage => "storage",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }

    /// Returns whether the same may do well later, although nobody mends anything: a store is back, memory is free, a file
    /// that was being replaced is whole.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Storage | Self::Limit | Self::Busy | Self::Source | Self::Cancelled => true,
            Self::Config
            | Self::Model
            | Self::Query
            | Self::Argument
            | Self::NotFound
            | Self::Unauthenticated
            | Self::Refused
            | Self::Unsupported
            | Self::Internal => false,
        }
    }

    /// Returns the exit code of the command line: 1 where the user can mend it, 2 where topline is at fault.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Config
            | Self::Source
            | Self::Model
            | Self::Query
            | Self::Argument
            | Self::NotFound
            | Self::Unauthenticated
            | Self::Refused
            | Self::Limit
            | Self::Busy
            | Self::Cancelled
            | Self::Storage
            | Self::Unsupported => 1,
            Self::Internal => 2,
        }
    }
}

/// An error that says what is wrong, and what to do about it where that is known.
///
/// `Display` prints the message alone; the hint and the chain of causes are printed once, by the command line.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    problems: Vec<String>,
    hint: Option<String>,
    id: Option<String>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in topline that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns an error of a kind with a message: lower case, no full stop, the object's name in quotes.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), problems: Vec::new(), hint: None, id: None, source: None }
    }

    /// Returns the error with a hint that says what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the error with what it is about before its message.
    pub fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Returns the error with its cause.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns the error with an id that finds its causes in the log, where it is of a kind that has causes which its reader
    /// must not see and has no id yet.
    pub fn with_id(mut self) -> Self {
        let hides = matches!(self.kind, ErrorKind::Internal | ErrorKind::Storage);
        if hides && self.id.is_none() {
            // Keyed at random each time, so that no two errors have one.
            self.id = Some(format!("{:016x}", RandomState::new().hash_one(&self.message)));
        }
        self
    }

    /// Returns the id that finds the causes in the log, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns what caused it, the nearest first: for the log, since causes name files and code.
    pub fn causes(&self) -> Vec<String> {
        std::iter::successors(std::error::Error::source(self), |cause| cause.source())
            .map(ToString::to_string)
            .collect()
    }

    /// Returns the error with the cause of another, for one that lists others.
    pub fn with_source_of(mut self, other: &Self) -> Self {
        self.source.clone_from(&other.source);
        self
    }

    /// Returns one error that lists every problem, a line each; the single problem itself if there is one.
    ///
    /// `None` when there is no problem.
    pub fn list(kind: ErrorKind, summary: &str, problems: Vec<String>) -> Option<Self> {
        match problems.len() {
            0 => None,
            1 => problems.into_iter().next().map(|problem| Self::new(kind, problem)),
            count => {
                let lines = problems.join("\n  ");
                let error = Self::new(kind, format!("{summary}: {count} problems\n  {lines}"));
                Some(Self { problems, ..error })
            }
        }
    }

    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the message without hint and cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns each problem of a list; the message itself where there is one problem.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        let single = self.problems.is_empty().then_some(self.message.as_str());
        self.problems.iter().map(String::as_str).chain(single)
    }

    /// Returns what to do about it, if that is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_faults_exit_with_2() {
        for kind in ErrorKind::ALL {
            let expected = if kind == ErrorKind::Internal { 2 } else { 1 };
            assert_eq!(kind.exit_code(), expected, "{kind:?}");
        }
    }

    #[test]
    fn what_somebody_must_mend_is_not_transient() {
        let transient: Vec<_> = ErrorKind::ALL.into_iter().filter(|kind| kind.is_transient()).collect();
        assert_eq!(
            transient,
            [ErrorKind::Source, ErrorKind::Limit, ErrorKind::Busy, ErrorKind::Cancelled, ErrorKind::Storage],
            "what the configuration or a model gets wrong stays wrong"
        );
    }

    #[test]
    fn a_list_of_problems_keeps_every_one() {
        assert!(Error::list(ErrorKind::Config, "x", vec![]).is_none());
        let one = Error::list(ErrorKind::Config, "x", vec!["a".into()]).map(|e| e.to_string());
        assert_eq!(one.as_deref(), Some("a"));
        let two = Error::list(ErrorKind::Config, "x", vec!["a".into(), "b".into()]).expect("two problems");
        assert_eq!(two.to_string(), "x: 2 problems\n  a\n  b");
        assert_eq!(two.problems().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Error::new(ErrorKind::Config, "a").problems().collect::<Vec<_>>(), ["a"]);
    }
}
