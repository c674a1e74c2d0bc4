//! What texts say of the machine that they come from, and how it is taken out of them.

use std::borrow::Cow;

use url::Url;

/// Returns a text without what it says of the host: of a path the last name, of a URL neither credentials nor query.
pub fn without_places(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
