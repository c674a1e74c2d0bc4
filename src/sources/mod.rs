//! Parquet files where they lie: finding them, reading their footers, scanning them. Knows neither contract nor models.
//!
//! Start at [`Source`]: a location with its object store. [`footer`] reads and remembers footers, [`table`] makes a
//! scan of files in one schema.

pub mod footer;
mod sample_store;
mod store;
pub mod table;

pub use store::{FileVersion, Source, SourceFile};
