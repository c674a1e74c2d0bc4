//! From topline's errors to gRPC's.

use tonic::{Code, Status};

use crate::domain::places::without_places;
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
    let causes = error.causes();
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
    fn a_long_text_is_cut_between_letters() {
        let status = status_of(&Error::new(ErrorKind::Query, "ü".repeat(TEXT_BYTES_MAX)));
        assert_eq!(status.message().len(), TEXT_BYTES_MAX + 3);
    }
}
