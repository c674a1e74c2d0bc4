//! Texts as identity compares them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Domains of free mail providers: an address there says nothing about the company.
pub const FREE_MAIL_DOMAINS: [&str; 15] = [
    "gmail.com",
    "outlook.com",
    "hotmail.com",
    "yahoo.com",
    "icloud.com",
    "proton.me",
    "protonmail.com",
    "aol.com",
    "gmx.com",
    "gmx.de",
    "web.de",
    "mail.com",
    "live.com",
    "msn.com",
    "qq.com",
];

/// Returns an email or domain trimmed of ASCII white space and in lower case; empty where nothing is left.
pub fn normal_email(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim_matches(|other: char| other.is_ascii_whitespace() || other == '\u{b}');
    if trimmed.is_ascii() {
        if trimmed.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(trimmed.to_ascii_lowercase())
        } else {
            Cow::Borrowed(trimmed)
        }
    } else {
        Cow::Owned(trimmed.to_lowercase())
    }
}

/// Returns what follows the last `@` of a normal email; `None` where there is no `@` or nothing follows.
pub fn email_domain(email: &str) -> Option<&str> {
    email.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty())
}

/// Returns whether a domain is a company's: not empty and not a free mail provider's.
pub fn is_company_domain(domain: &str) -> bool {
    !domain.is_empty() && !FREE_MAIL_DOMAINS.contains(&domain)
}

/// `normal_email(text)`: as identity compares it; NULL where nothing is left.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NormalEmail {
    signature: Signature,
}

/// Returns the functions on texts.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![ScalarUDF::from(NormalEmail { signature: Signature::string(1, Volatility::Immutable) })]
}

impl ScalarUDFImpl for NormalEmail {
    fn name(&self) -> &str {
        "normal_email"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = matches!(arguments.args.first(), Some(ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let texts = cast(&columns[0], &DataType::Utf8View)?;
        let mut normal = StringViewBuilder::with_capacity(texts.len());
        for text in texts.as_string_view() {
            normal.append_option(text.map(normal_email).filter(|text| !text.is_empty()));
        }
        let array: arrow::array::ArrayRef = Arc::new(normal.finish());
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_compare_trimmed_and_in_lower_case() {
        assert_eq!(normal_email(" Ann@Example.COM\t"), "ann@example.com");
        assert_eq!(normal_email("ann@example.com"), "ann@example.com");
        assert_eq!(normal_email("\u{a0}x"), "\u{a0}x");
    }

    #[test]
    fn a_domain_is_what_follows_the_last_at() {
        assert_eq!(email_domain("a@b@example.com"), Some("example.com"));
        assert_eq!(email_domain("example.com"), None);
        assert_eq!(email_domain("a@"), None);
        assert!(!is_company_domain("gmail.com"));
    }
}
