//! How words are set off on a terminal.

/// Whether words are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Style {
    /// Escape sequences of ANSI terminals.
    Coloured,
    /// The words alone.
    Plain,
}

impl Style {
    /// Returns whether words are coloured.
    pub(in crate::cli) fn is_coloured(self) -> bool {
        self == Self::Coloured
    }

    /// Returns a text that stands out.
    pub(in crate::cli) fn strong(self, text: &str) -> String {
        self.wrapped("1", text)
    }

    /// Returns a text that stands back.
    pub(in crate::cli) fn faint(self, text: &str) -> String {
        self.wrapped("2", text)
    }

    /// Returns a text that says that something is wrong.
    pub(in crate::cli) fn alarm(self, text: &str) -> String {
        self.wrapped("1;31", text)
    }

    /// Returns a text that says that something may be wrong.
    pub(in crate::cli) fn caution(self, text: &str) -> String {
        self.wrapped("1;33", text)
    }

    /// Returns a text that says that something is right.
    pub(in crate::cli) fn good(self, text: &str) -> String {
        self.wrapped("32", text)
    }

    fn wrapped(self, code: &str, text: &str) -> String {
        match self {
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}
