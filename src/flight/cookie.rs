//! The sealed cookie in which a client keeps the options of its session. It says when it was written: options that nobody used for long are not to surprise whoever takes up the connection.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use url::form_urlencoded;

use super::client::Client;
use crate::auth::seal::Sealed;
use crate::error::{Error, ErrorKind, Result};

/// The cookie's name.
const NAME: &str = "topline_session";

/// The entry that says when the cookie was written, in seconds since 1970-01-01 UTC; no option has this name.
const WRITTEN: &str = "written";

/// The longest cookie: more than all options need, and less than the smallest limit of a client's headers.
const BYTES_MAX: usize = 4 << 10;

/// How long options last that no call uses: a dashboard that is left open over night goes on with them.
const IDLE_SECONDS_MAX: i64 = 24 * 60 * 60;

/// How old a cookie becomes before a call writes it anew: seldom enough to cost nothing.
const RENEWED_AFTER_SECONDS: i64 = 60 * 60;

/// What a client's cookie holds.
#[derive(Debug, PartialEq)]
pub(super) enum Kept {
    /// No options.
    Nothing,
    /// Options, and whether the cookie is to be written anew.
    Options { entries: BTreeMap<String, String>, is_due: bool },
    /// Options that are too old to be used.
    Expired,
}

/// Returns what a request's cookie holds.
///
/// # Errors
/// `Argument` where it was not given to this client.
pub(super) fn read(headers: &MetadataMap, client: &Client) -> Result<Kept> {
    let mut cookies = headers.get_all("cookie").iter().filter_map(|header| header.to_str().ok());
    let found = cookies.find_map(|header| {
        header.split(';').filter_map(|cookie| cookie.trim().split_once('=')).find(|(name, _)| *name == NAME)
    });
    // One that is empty is one that was taken back.
    let Some((_, value)) = found.filter(|(_, value)| !value.is_empty()) else { return Ok(Kept::Nothing) };
    let sealed = URL_SAFE_NO_PAD.decode(value).ok();
    let opened = sealed.and_then(|sealed| client.open(Sealed::Session, sealed.into())).ok_or_else(|| {
        Error::new(ErrorKind::Argument, "the session is none that this server has given to this user")
            .with_hint("connect again, and set the options of the session again")
    })?;
    let mut entries: BTreeMap<String, String> = form_urlencoded::parse(&opened).into_owned().collect();
    let written = entries.remove(WRITTEN).and_then(|seconds| seconds.parse::<i64>().ok());
    Ok(match written.map(|written| client.now_seconds() - written) {
        Some(age) if age <= IDLE_SECONDS_MAX => Kept::Options { entries, is_due: age > RENEWED_AFTER_SECONDS },
        _ => Kept::Expired,
    })
}

/// Returns the header that makes a client keep options.
///
/// # Errors
/// `Limit` where they are too many.
pub(super) fn write(entries: &BTreeMap<String, String>, client: &Client) -> Result<AsciiMetadataValue> {
    let written = client.now_seconds().to_string();
    let content =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(entries).append_pair(WRITTEN, &written).finish();
    let value = URL_SAFE_NO_PAD.encode(client.seal(Sealed::Session, content.into_bytes()));
    if value.len() > BYTES_MAX {
        return Err(Error::new(ErrorKind::Limit, "the session has too many options to be kept in a cookie"));
    }
    AsciiMetadataValue::try_from(format!("{NAME}={value}"))
        .map_err(|cause| Error::new(ErrorKind::Internal, "the session's cookie is no header").with_source(cause))
}

/// Returns the header that makes a client forget its options.
pub(super) fn forgotten() -> AsciiMetadataValue {
    AsciiMetadataValue::from_static("topline_session=; Max-Age=0")
}

/// Returns the error of a call that relies on options which are too old.
pub(super) fn expired() -> Error {
    Error::new(
        ErrorKind::Argument,
        format!("the options of this session expired after {} hours without a call", IDLE_SECONDS_MAX / 3600),
    )
    .with_hint("set them again, or connect anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: i64) -> Kept {
        let ann = Client::of_test("ann");
        let entries = [("schema".to_owned(), "crm".to_owned())].into();
        let cookie = write(&entries, &ann).expect("it is short");
        let mut headers = MetadataMap::new();
        let text = format!("other=1; {}; more=2", cookie.to_str().expect("letters"));
        headers.insert("cookie", text.parse().expect("a header"));
        read(&headers, &ann.at_seconds(seconds)).expect("it is hers")
    }

    fn options(is_due: bool) -> Kept {
        Kept::Options { entries: [("schema".to_owned(), "crm".to_owned())].into(), is_due }
    }

    #[test]
    fn options_come_back_until_nobody_used_them_for_long() {
        assert_eq!(after(0), options(false));
        assert_eq!(after(3601), options(true));
        assert_eq!(after(86_400), options(true));
        assert_eq!(after(86_401), Kept::Expired);
    }

    #[test]
    fn a_long_cookie_is_refused() {
        let entries = [("schema".to_owned(), "x".repeat(BYTES_MAX))].into();
        assert_eq!(write(&entries, &Client::of_test("ann")).expect_err("it is long").kind(), ErrorKind::Limit);
    }
}
