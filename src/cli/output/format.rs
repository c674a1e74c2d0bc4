//! The formats of rows.

use std::path::Path;

use clap::ValueEnum;

use crate::error::{Error, ErrorKind, Result};

/// How the rows of a query are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people.
    Table,
    /// Comma-separated values.
    Csv,
    /// One JSON array.
    Json,
    /// A JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC.
    Arrow,
}

impl Format {
    /// Returns the name, as it is written after `--format`.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Returns whether a terminal cannot show it.
    pub(in crate::cli) fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }

    /// Returns the format that a file's extension stands for.
    ///
    /// # Errors
    /// `Argument` where it stands for none.
    pub(in crate::cli) fn of_file(file: &Path) -> Result<Self> {
        let extension = file.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Json),
            Some("ndjson" | "jsonl") => Ok(Self::Ndjson),
            Some("parquet") => Ok(Self::Parquet),
            Some("arrow") => Ok(Self::Arrow),
            Some("txt") => Ok(Self::Table),
            _ => Err(Error::new(
                ErrorKind::Argument,
                format!("output file \"{}\": its name does not say which format it has", file.display()),
            )
            .with_hint("end it with .csv, .json, .ndjson, .parquet or .arrow, or name the format with --format")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_names_the_format() {
        assert_eq!(Format::of_file(Path::new("a/b.PARQUET")).ok(), Some(Format::Parquet));
        assert_eq!(Format::of_file(Path::new("rows.jsonl")).ok(), Some(Format::Ndjson));
        let fault = Format::of_file(Path::new("rows")).expect_err("no extension");
        assert_eq!(fault.kind(), ErrorKind::Argument);
    }
}
