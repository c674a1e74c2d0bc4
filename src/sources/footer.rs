//! Footers of Parquet files, read once for each version of a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::datasource::physical_plan::parquet::CachedParquetMetaData;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::doubles::without_doubles;
use super::span::{InputFile, Spans, spans};
use super::{FileVersion, Source, SourceFile};
use crate::domain::names::in_lower_case;

/// Footers that are read at the same time: enough to hide the latency of an object store.
const READS_MAX: usize = 16;

/// A file with what its footer says.
#[derive(Debug, Clone)]
pub struct Footer {
    /// The file.
    pub file: SourceFile,
    /// Row groups with their statistics.
    pub metadata: Arc<ParquetMetaData>,
    /// The columns as Arrow types.
    pub schema: SchemaRef,
    /// From when to when its rows are.
    pub spans: Arc<Spans>,
}

impl Footer {
    /// Returns the rows of the file.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.file_metadata().num_rows()).unwrap_or(0)
    }

    /// Returns the version of the file, with its spans.
    pub fn input(&self) -> InputFile {
        InputFile { version: self.file.version(), spans: self.spans.as_ref().clone() }
    }

    /// Returns the greatest value of a column in each row group, in the file's type; `None` where statistics do not say
    /// all of them.
    pub fn greatest(&self, column: &str) -> Option<ArrayRef> {
        let schema = self.metadata.file_metadata().schema_descr();
        let converter = StatisticsConverter::try_new(column, &self.schema, schema).ok()?;
        let greatest = converter.row_group_maxes(self.metadata.row_groups()).ok()?;
        (greatest.null_count() == 0).then_some(greatest)
    }
}

/// The footers that were read, by file; a new version takes the place of the old one.
#[derive(Debug, Default)]
pub struct Footers {
    read: Mutex<HashMap<String, (FileVersion, Footer)>>,
}

impl Footers {
    /// Returns the footers of files; a file that has none is a problem, named with the file.
    pub async fn read(
        &self,
        source: &Source,
        files: &[SourceFile],
        cache: &Arc<FileMetadataCache>,
    ) -> (Vec<Footer>, Vec<String>) {
        let reads: Vec<BoxFuture<_>> = files.iter().map(|file| self.read_one(source, file, cache).boxed()).collect();
        let results: Vec<_> = stream::iter(reads).buffered(READS_MAX).collect().await;
        let (mut footers, mut problems) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(footer) => footers.push(footer),
                Err(problem) => problems.push(problem),
            }
        }
        (footers, problems)
    }

    async fn read_one(
        &self,
        source: &Source,
        file: &SourceFile,
        cache: &Arc<FileMetadataCache>,
    ) -> Result<Footer, String> {
        let version = file.version();
        if let Some((known, footer)) = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&file.label)
            && *known == version
        {
            return Ok(footer.clone());
        }
        if file.meta.size == 0 {
            return Err(format!("{}: the file is empty (0 bytes)", file.label));
        }
        let metadata = DFParquetMetadata::new(source.store.as_ref(), &file.meta)
            .with_file_metadata_cache(Some(Arc::clone(cache)))
            .fetch_metadata()
            .await
            .map_err(|cause| {
                let is_of_store = matches!(cause.find_root(), DataFusionError::ObjectStore(_));
                let cause = in_lower_case(short(&cause.to_string()));
                if is_of_store {
                    return format!("{}: cannot be read ({cause})", file.label);
                }
                format!("{}: not a Parquet file, or a truncated one ({cause}); hint: write the file again", file.label)
            })?;
        let metadata = without_doubles_in_cache(metadata, file, cache.as_ref())
            .map_err(|cause| format!("{}: its footer is wrong ({})", file.label, short(&cause.to_string())))?;
        let described = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(described.schema_descr(), described.key_value_metadata())
            .map_err(|cause| format!("{}: its schema cannot be read ({})", file.label, short(&cause.to_string())))?;
        let schema = Arc::new(schema);
        let spans = Arc::new(spans(&metadata, &schema));
        let footer = Footer { file: file.clone(), metadata, schema, spans };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(file.label.clone(), (version, footer.clone()));
        Ok(footer)
    }
}

/// Returns a footer without the statistics of doubles, which scans then find in the cache.
fn without_doubles_in_cache(
    metadata: Arc<ParquetMetaData>,
    file: &SourceFile,
    cache: &FileMetadataCache,
) -> Result<Arc<ParquetMetaData>, ParquetError> {
    let without = without_doubles(Arc::clone(&metadata))?;
    if !Arc::ptr_eq(&metadata, &without) {
        let cached = Arc::new(CachedParquetMetaData::new(Arc::clone(&without)));
        cache.put(&file.meta.location, CachedFileMetadataEntry::new(file.meta.clone(), cached));
    }
    Ok(without)
}

/// Returns the first line of a cause; paths and backtraces of a library are of no use to the reader.
fn short(cause: &str) -> &str {
    cause.lines().next().unwrap_or_default().trim_start_matches("Parquet error: ")
}
