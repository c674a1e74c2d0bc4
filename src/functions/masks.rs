//! Masks of values: what is left of a text for those who may not read it. No SQL calls them by name.

use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use ring::hmac;

/// Bytes of a hash: so many that no two texts of a company have the same.
const HASH_BYTES: usize = 16;

/// The shortest text of which a letter is shown: of a shorter one it would be too much.
const SHOWN_CHARS_MIN: usize = 4;

/// What stands for letters that are not shown.
const STARS: &str = "***";

/// What is done with a text.
#[derive(Debug, Clone)]
pub enum TextMask {
    /// A hash under a key, so that nobody can try texts against it: 32 hexadecimal digits.
    Hash(Arc<hmac::Key>),
    /// The first letter and three stars; stars alone for less than four letters.
    Partial,
}

impl TextMask {
    /// Returns the function that masks texts; NULL stays NULL, and the type stays what it is.
    pub fn function(self) -> ScalarUDF {
        ScalarUDF::from(MaskFunction { mask: self, signature: Signature::any(1, Volatility::Immutable) })
    }

    fn masked(&self, text: &str) -> String {
        match self {
            Self::Hash(key) => {
                let hash = hmac::sign(key, text.as_bytes());
                hash.as_ref().iter().take(HASH_BYTES).fold(String::new(), |mut digits, byte| {
                    let _ = write!(digits, "{byte:02x}");
                    digits
                })
            }
            Self::Partial => {
                let first = text.chars().next().filter(|_| text.chars().count() >= SHOWN_CHARS_MIN);
                first.into_iter().chain(STARS.chars()).collect()
            }
        }
    }
}

#[derive(Debug)]
struct MaskFunction {
    mask: TextMask,
    signature: Signature,
}

// One engine has one key, so two masks of a kind are the same.
impl PartialEq for MaskFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for MaskFunction {}

impl Hash for MaskFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for MaskFunction {
    fn name(&self) -> &str {
        match self.mask {
            TextMask::Hash(_) => "mask_hash",
            TextMask::Partial => "mask_partial",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        Ok(kinds.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let texts = cast(&columns[0], &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let masked: StringArray = texts.iter().map(|text| text.map(|text| self.mask.masked(text))).collect();
        let masked: ArrayRef = Arc::new(masked);
        Ok(ColumnarValue::Array(cast(&masked, columns[0].data_type())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_first_letter() {
        for (text, masked) in [("Acme Inc", "A***"), ("Élan", "É***"), ("abc", "***"), ("", "***")] {
            assert_eq!(TextMask::Partial.masked(text), masked);
        }
    }

    #[test]
    fn a_hash_tells_equal_texts_from_others_under_its_key_alone() {
        let hash = |key: &[u8]| TextMask::Hash(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key)));
        let (one, other) = (hash(b"one"), hash(b"other"));
        assert_eq!(one.masked("ann@acme.example"), one.masked("ann@acme.example"));
        assert_ne!(one.masked("ann@acme.example"), one.masked("bob@acme.example"));
        assert_ne!(one.masked("ann@acme.example"), other.masked("ann@acme.example"));
        assert_eq!(one.masked("").len(), 32);
    }
}
