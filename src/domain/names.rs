//! Names as people misspell them, and as lists of them are told.

use std::collections::BTreeMap;

/// Returns the candidate nearest to `name`, if one is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns a number with its noun: `1 row`, `2 rows`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Names that a list of differences has of each kind: enough to know what happened, and a line that can be read.
const DIFFERENCES_MAX: usize = 20;

/// Returns by their names what was added, changed and removed: `added "bob"; removed "ann", "carl"`.
pub fn differences<V: PartialEq>(before: &BTreeMap<String, V>, after: &BTreeMap<String, V>) -> String {
    let of = |kind: &str, names: Vec<&String>| {
        let shown: Vec<String> = names.iter().take(DIFFERENCES_MAX).map(|name| format!("\"{name}\"")).collect();
        let more = names.len().saturating_sub(DIFFERENCES_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| format!("{kind} {}{more}", shown.join(", ")))
    };
    let added = after.keys().filter(|name| !before.contains_key(*name)).collect();
    let removed = before.keys().filter(|name| !after.contains_key(*name)).collect();
    let is_changed = |(name, value): &(&String, &V)| before.get(*name).is_some_and(|known| known != *value);
    let changed = after.iter().filter(is_changed).map(|(name, _)| name).collect();
    let kinds = [of("added", added), of("changed", changed), of("removed", removed)];
    let found: Vec<String> = kinds.into_iter().flatten().collect();
    if found.is_empty() { "nothing changed".to_owned() } else { found.join("; ") }
}

/// Returns a sentence as errors begin: in lower case, without a full stop.
pub fn in_lower_case(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        // A word all in capitals is a name or a key word.
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().collect::<String>() + &text[first.len_utf8()..]
        }
        _ => text.to_owned(),
    }
}

/// Returns whether `name` can be a schema, table or source name without quotes.
pub fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && chars.all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        assert_eq!(nearest("lookback_day", ["lookback_days", "half_life_days"]), Some("lookback_days"));
        assert_eq!(nearest("colour", ["lookback_days", "half_life_days"]), None);
    }

    #[test]
    fn differences_are_told_by_name_and_long_lists_are_cut() {
        let of = |pairs: &[(&str, u8)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let before: BTreeMap<String, u8> = of(&[("ann", 1), ("bob", 1), ("carl", 1)]);
        assert_eq!(differences(&before, &before), "nothing changed");
        let after = of(&[("ann", 2), ("bob", 1), ("dora", 1), ("emil", 1)]);
        let told = "added \"dora\", \"emil\"; changed \"ann\"; removed \"carl\"";
        assert_eq!(differences(&before, &after), told);
        let many: BTreeMap<String, u8> = (100..125).map(|number| (number.to_string(), 0)).collect();
        assert!(differences(&BTreeMap::new(), &many).ends_with("\"118\", \"119\" and 5 more"));
    }

    #[test]
    fn a_sentence_begins_in_lower_case_and_a_name_stays_as_it_is() {
        assert_eq!(in_lower_case("Expected: an expression, found: EOF."), "expected: an expression, found: EOF");
        assert_eq!(in_lower_case("TOML is expected"), "TOML is expected");
        assert_eq!(in_lower_case(""), "");
    }

    #[test]
    fn identifiers_need_no_quotes() {
        assert!(is_identifier("crm_2"));
        assert!(!is_identifier("2crm"));
        assert!(!is_identifier("Crm"));
        assert!(!is_identifier(""));
    }
}
