//! From topline's errors to gRPC's.

use std::borrow::Cow;

use tonic::{Code, Status};
use url::Url;

use crate::error::{Error, ErrorKind};

/// The longest text of an error, in bytes: it travels in a header, of which some clients take 8 KB in all.
const TEXT_BYTES_MAX: usize = 3 << 10;

/// Returns the code that a client sees for a kind of error.
pub(super) fn code_of(kind: ErrorKind) -> Code {
    match kind {
        // In a call, only a setting of the client's session can be wrong.
        ErrorKind::Config | ErrorKind::Query | ErrorKind::Argument => Code::InvalidArgument,
        ErrorKind::Source | ErrorKind::Model => Code::FailedPrecondition,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Refused => Code::PermissionDenied,
        ErrorKind::Limit => Code::ResourceExhausted,
        ErrorKind::Busy => Code::Unavailable,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Storage => Code::Unavailable,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Internal => Code::Internal,
    }
}

/// Returns the status of an error: message and hint. The causes go to the log, because they name files and code.
pub(super) fn status_of(error: &Error) -> Status {
    let error = error.clone().with_id();
    let causes: Vec<String> = std::iter::successors(std::error::Error::source(&error), |cause| cause.source())
        .map(ToString::to_string)
        .collect();
    let id = error.id().unwrap_or_default();
    match error.kind() {
        ErrorKind::Internal => tracing::error!(%error, id, ?causes, "a call failed"),
        ErrorKind::Storage => tracing::warn!(%error, id, ?causes, "a call failed"),
        _ => tracing::debug!(%error, ?causes, "a call failed"),
    }
    let mut text = without_places(error.message());
    if let Some(id) = error.id() {
        text = format!("{text} (error {id} of the server's log)");
    }
    if let Some(hint) = error.hint() {
        text = format!("{text}; hint: {}", without_places(hint));
    }
    Status::new(code_of(error.kind()), shortened(text))
}

/// Returns a text without what it says of the host: of a path the last name, of a URL neither credentials nor query.
fn without_places(text: &str) -> String {
    let is_edge = |other: char| other.is_whitespace() || "\"'(),;<>".contains(other);
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_edge).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        clean.push_str(&without_place(word));
        let edge = after.chars().next().map_or(0, char::len_utf8);
        clean.push_str(&after[..edge]);
        rest = &after[edge..];
    }
    clean
}

fn without_place(word: &str) -> Cow<'_, str> {
    let path = word.strip_prefix("file://").unwrap_or(word);
    if path.starts_with('/') && path.matches('/').count() > 1 {
        let end = path.trim_end_matches([':', '/']);
        return Cow::Borrowed(&path[end.rfind('/').map_or(0, |place| place + 1)..]);
    }
    match Url::parse(word) {
        Ok(mut url) if url.has_host() => {
            // A URL with a host takes an empty name and password.
            let _ = (url.set_username(""), url.set_password(None));
            url.set_query(None);
            Cow::Owned(url.to_string())
        }
        _ => Cow::Borrowed(word),
    }
}

/// Returns the status of a call that took longer than its client waits.
pub(super) fn deadline_passed() -> Status {
    Status::deadline_exceeded("the deadline of the call passed; hint: narrow the query down, or wait longer")
}

/// Returns the status of a call that comes while the server comes to its end.
pub(super) fn stopping() -> Status {
    Status::unavailable("the server is stopping; hint: try again in a moment")
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        let codes: Vec<_> = ErrorKind::ALL.into_iter().map(|kind| (kind, code_of(kind))).collect();
        assert_eq!(
            codes,
            [
                (ErrorKind::Config, Code::InvalidArgument),
                (ErrorKind::Source, Code::FailedPrecondition),
                (ErrorKind::Model, Code::FailedPrecondition),
                (ErrorKind::Query, Code::InvalidArgument),
                (ErrorKind::Argument, Code::InvalidArgument),
                (ErrorKind::NotFound, Code::NotFound),
                (ErrorKind::Unauthenticated, Code::Unauthenticated),
                (ErrorKind::Refused, Code::PermissionDenied),
                (ErrorKind::Limit, Code::ResourceExhausted),
                (ErrorKind::Busy, Code::Unavailable),
                (ErrorKind::Cancelled, Code::Cancelled),
                (ErrorKind::Storage, Code::Unavailable),
                (ErrorKind::Unsupported, Code::Unimplemented),
                (ErrorKind::Internal, Code::Internal),
            ]
        );
    }

    #[test]
    fn the_text_has_message_and_hint_and_no_cause() {
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, "a file cannot be read")
                .with_hint("look at the disk")
                .with_source(std::io::Error::other("/secret/path"))
                .with_id();
            let id = error.id().map_or_else(String::new, |id| format!(" (error {id} of the server's log)"));
            assert_eq!(id.is_empty(), !matches!(kind, ErrorKind::Internal | ErrorKind::Storage), "{kind:?}");
            assert_eq!(status_of(&error).message(), format!("a file cannot be read{id}; hint: look at the disk"));
        }
    }

    #[test]
    fn a_text_says_neither_where_files_lie_nor_what_opens_them() {
        for (text, clean) in [
            ("file \"/srv/lake/crm/accounts.parquet\" is cut off", "file \"accounts.parquet\" is cut off"),
            ("/etc/topline/models/x.sql:3: no table", "x.sql:3: no table"),
            ("at file:///srv/lake/a.parquet", "at a.parquet"),
            ("https://me:secret@lake.example/a?sig=abc is gone", "https://lake.example/a is gone"),
            ("s3://lake/crm/accounts.parquet", "s3://lake/crm/accounts.parquet"),
            ("1 / 2, crm/accounts and and/or: a:b", "1 / 2, crm/accounts and and/or: a:b"),
        ] {
            assert_eq!(without_places(text), clean);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let status = status_of(&Error::new(ErrorKind::Query, "ü".repeat(TEXT_BYTES_MAX)));
        assert_eq!(status.message().len(), TEXT_BYTES_MAX + 3);
    }
}
