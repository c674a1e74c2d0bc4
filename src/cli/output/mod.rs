//! How rows and figures become text and files. Knows no command.

pub(super) mod csv;
pub(super) mod file;
pub(super) mod format;
pub(super) mod json;
pub(super) mod listing;
pub(super) mod numbers;
pub(super) mod progress;
pub(super) mod rows;
pub(super) mod style;
pub(super) mod table;
pub(super) mod values;
