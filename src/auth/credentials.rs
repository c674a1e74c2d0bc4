//! The authorization header.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Secret;

/// Base64 as clients write it: some leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a caller says to prove who they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A user's name and password.
    Basic { user: String, password: Secret },
    /// A token.
    Bearer(Secret),
}

impl Credentials {
    /// Reads the value of an authorization header; `None` where it is none that is known.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return (!rest.is_empty()).then(|| Self::Bearer(Secret::new(rest)));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self::Basic { user: user.to_owned(), password: Secret::new(password) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann(password: &str) -> Option<Credentials> {
        Some(Credentials::Basic { user: "ann".to_owned(), password: Secret::new(password) })
    }

    #[test]
    fn a_password_may_have_colons_and_the_padding_may_be_missing() {
        // ann:a:b and ann:a:bc, of which the second needs padding.
        assert_eq!(Credentials::parse("Basic YW5uOmE6Yg=="), ann("a:b"));
        assert_eq!(Credentials::parse("bASIC  YW5uOmE6Yg "), ann("a:b"));
        assert_eq!(Credentials::parse("basic YW5uOmE6YmM="), ann("a:bc"));
        assert_eq!(Credentials::parse("BASIC YW5uOmE6YmM"), ann("a:bc"));
    }

    #[test]
    fn a_token_is_taken_as_it_is() {
        assert_eq!(Credentials::parse("bearer a.b.c"), Some(Credentials::Bearer(Secret::new("a.b.c"))));
    }

    #[test]
    fn what_is_broken_is_nothing() {
        for header in
            ["", "Basic", "Basic ", "Basic !!!", "Basic bm8tY29sb24=", "Basic //86/w==", "Bearer ", "Digest x"]
        {
            assert_eq!(Credentials::parse(header), None, "{header}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Credentials::parse("Basic YW5uOmE6Yg=="));
        assert!(shown.contains("ann") && !shown.contains("a:b"), "{shown}");
    }
}
