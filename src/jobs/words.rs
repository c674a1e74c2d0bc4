//! What people read of news: a sentence and lines below it, bounded, and without what a chat would take for more than text.

use serde_json::Value;

use crate::config::Means;

/// The longest sentence, in characters: the names of some thirty broken laws.
pub(super) const WHAT_MAX: usize = 2_000;

/// The longest line, in characters: a metric with its owner and action plan.
const LINE_MAX: usize = 1_000;

/// The longest text, in characters: Mattermost refuses more than 16,383, Slack cuts at 40,000.
const TEXT_MAX: usize = 12_000;

/// What is told.
#[derive(Debug)]
pub(super) struct Words {
    /// What happened, in a sentence.
    pub what: String,
    /// What it is about, a line each.
    pub lines: Vec<String>,
    /// Lines that there would be besides.
    pub more: usize,
    /// The same for programs.
    pub details: Value,
}

impl Words {
    /// Returns the text for whoever reads it at the end of these means.
    pub(super) fn text(&self, means: &Means) -> String {
        let shown = |text: &str, most: usize| match means {
            Means::Webhook { .. } => without_markup(&shortened(text, most)),
            Means::Command(_) => shortened(text, most),
        };
        let mut text = shown(&self.what, WHAT_MAX);
        let mut length = text.chars().count();
        let mut named = 0;
        for line in &self.lines {
            let line = format!("\n• {}", shown(line, LINE_MAX));
            length += line.chars().count();
            if length > TEXT_MAX {
                break;
            }
            text.push_str(&line);
            named += 1;
        }
        match self.lines.len() - named + self.more {
            0 => text,
            more => format!("{text}\n• and {more} more"),
        }
    }
}

/// Returns the first so many characters of a text.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns a text in which a chat finds no links, mentions and entities: a customer may be called `<!channel>`.
fn without_markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;

    fn words(what: &str, lines: &[&str], more: usize) -> Words {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Words { what: what.to_owned(), lines, more, details: Value::Null }
    }

    fn webhook() -> Means {
        Means::Webhook { url: Address::Plain("https://example.com".to_owned()), token: None }
    }

    #[test]
    fn a_chat_finds_no_markup_and_a_program_the_text_as_it_is() {
        let words = words("A&B is broken", &["customer = <!channel>", "<http://evil|here>"], 3);
        assert_eq!(
            words.text(&webhook()),
            "A&amp;B is broken\n• customer = &lt;!channel&gt;\n• &lt;http://evil|here&gt;\n• and 3 more"
        );
        let program = Means::Command(vec!["cat".to_owned()]);
        assert_eq!(words.text(&program), "A&B is broken\n• customer = <!channel>\n• <http://evil|here>\n• and 3 more");
    }

    #[test]
    fn a_text_is_no_longer_than_a_chat_takes_and_says_what_is_missing() {
        let (long, line) = ("é".repeat(100_000), "&".repeat(900));
        let words = words(&long, &[&line, &line, &line, &long], 0);
        let text = words.text(&webhook());
        assert!(text.chars().count() < 16_383, "{}", text.chars().count());
        assert!(text.ends_with(";\n• and 2 more"), "{text}");
        assert_eq!(shortened("aéb", 2), "aé…");
        assert_eq!(shortened("aéb", 3), "aéb");
    }
}
