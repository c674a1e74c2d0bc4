//! Parquet files where they lie: finding them, reading their footers, scanning them. Knows neither contract nor models.
//!
//! Start at [`Source`]: a location with its object store. [`footer`] reads and remembers footers, [`Span`] is what
//! they say of the time that a file's rows are of, [`table`] makes a
//! scan of files in one schema.

mod doubles;
pub mod footer;
mod sample_store;
mod span;
mod store;
pub mod table;

pub use doubles::without_statistics;
pub use span::{InputFile, Span, Spans};
pub use store::{FileVersion, Source, SourceFile};
