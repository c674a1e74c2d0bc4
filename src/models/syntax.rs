//! What a parser says of a text, in the words of an error.

use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::domain::names::in_lower_case;

/// A text that does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxFault {
    /// What was expected and found.
    pub problem: String,
    /// Line and column, where the parser knows them.
    pub place: Option<(usize, usize)>,
}

impl SyntaxFault {
    /// Returns the fault of a parser; `None` where the error is another's.
    pub fn of(fault: &DataFusionError) -> Option<Self> {
        let DataFusionError::SQL(fault, _) = fault.find_root() else { return None };
        let text = match fault.as_ref() {
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => text.as_str(),
            ParserError::RecursionLimitExceeded => "expressions are nested too deeply",
        };
        let (problem, place) = match text.rsplit_once(" at Line: ") {
            Some((problem, place)) => (problem, numbers(place)),
            None => (text, None),
        };
        Some(Self { problem: in_lower_case(problem), place })
    }
}

impl std::fmt::Display for SyntaxFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "syntax error: {}", self.problem)
    }
}

/// Returns the numbers of `3, Column: 11`.
fn numbers(place: &str) -> Option<(usize, usize)> {
    let (line, column) = place.split_once(", Column: ")?;
    Some((line.parse().ok()?, column.trim().parse().ok()?))
}
