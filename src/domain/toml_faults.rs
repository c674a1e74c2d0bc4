//! What is wrong with a TOML text, in one line.

use super::names::nearest;

/// Returns `LINE:COLUMN: what is wrong`, to follow a file's name.
pub fn described(text: &str, fault: &toml::de::Error) -> String {
    let before = &text[..fault.span().map_or(0, |span| span.start.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{line}:{column}: {}", plain(fault.message()))
}

/// Returns a message with quotes instead of backticks, and the nearest key where one is unknown.
fn plain(message: &str) -> String {
    let Some((unknown, known)) = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once("`, expected "))
        .map(|(unknown, known)| (unknown, known.trim_start_matches("one of ").replace('`', "").replace(" or ", ", ")))
    else {
        return message.replace('`', "\"");
    };
    let hint = nearest(unknown, known.split(", "))
        .map_or_else(|| format!("known are {known}"), |near| format!("did you mean \"{near}\"?"));
    format!("unknown key \"{unknown}\"; hint: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        #[serde(rename = "owner")]
        _owner: Option<String>,
        #[serde(rename = "target")]
        _target: Option<f64>,
    }

    fn fault(text: &str) -> String {
        described(text, &toml::from_str::<Entry>(text).expect_err("the text is wrong"))
    }

    #[test]
    fn a_fault_has_its_line_and_column() {
        assert_eq!(fault("owner = me"), "1:9: string values must be quoted, expected literal string");
        assert_eq!(fault("owner = \"é\"\ntarget = \"x\""), "2:10: invalid type: string \"x\", expected f64");
    }

    #[test]
    fn an_unknown_key_comes_with_the_nearest() {
        assert_eq!(fault("ownr = \"me\""), "1:1: unknown key \"ownr\"; hint: did you mean \"owner\"?");
        assert_eq!(fault("colour = 1"), "1:1: unknown key \"colour\"; hint: known are owner, target");
    }
}
