//! Rows into files of a table, a part at a time. Files belong to no version until a commit adds them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use deltalake::DeltaTableError;
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::Add;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Table;
use super::late_faults::{LateFault, TellsLater};
use super::types::stored;
use crate::error::{Error, ErrorKind, Result};
use crate::sources::without_statistics;

/// Bytes of rows in memory after which a file is closed: large enough that a scan is quick, small enough that its size on
/// disk, which is known then, is soon held against a limit.
const ROWS_OF_A_FILE_BYTES: usize = 256 << 20;

/// Bytes of a row group while it is written, which are held in memory.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Rows of a row group, for narrow tables: those that the engine's scans read well.
const ROW_GROUP_ROWS: usize = 1 << 18;

/// Columns whose least and greatest values stand in the log: Delta's own number.
const COLUMNS_WITH_STATISTICS: &str = "32";

/// A file that was written and that no version has yet.
#[derive(Debug, Clone)]
pub struct NewFile(pub(super) Add);

impl NewFile {
    /// Returns its bytes.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.0.size).unwrap_or(0)
    }
}

/// Writes rows of a table into new files. Dropped before it is finished, it takes away what it wrote.
pub struct TableWriter {
    store: Arc<dyn ObjectStore>,
    label: String,
    schema: SchemaRef,
    partitioned_by: Vec<String>,
    open: Option<DeltaWriter>,
    open_bytes: usize,
    fault: LateFault,
    files: Vec<NewFile>,
    rows: u64,
}

impl Table {
    /// Returns a writer of files with these columns.
    pub fn writer(&self, schema: &SchemaRef, partitioned_by: Vec<String>) -> TableWriter {
        TableWriter {
            store: Arc::clone(&self.store),
            label: self.label.clone(),
            schema: stored(schema),
            partitioned_by,
            open: None,
            open_bytes: 0,
            fault: LateFault::default(),
            files: Vec::new(),
            rows: 0,
        }
    }

    /// Takes away files that no version has, after a write that came to nothing. What cannot be taken away now is so later.
    pub async fn discard(&self, files: &[NewFile]) {
        discard(&self.store, files).await;
    }
}

async fn discard(store: &Arc<dyn ObjectStore>, files: &[NewFile]) {
    for file in files {
        if let Err(cause) = store.delete(&Path::from(file.0.path.as_str())).await {
            tracing::debug!(%cause, file = file.0.path, "a file of a failed write stays for now");
        }
    }
}

impl TableWriter {
    /// Returns the columns of the files, in which rows must come.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the bytes of the files that are whole.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(NewFile::bytes).sum()
    }

    /// Writes rows.
    ///
    /// # Errors
    /// `Storage` where they cannot be written.
    pub async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.start()?,
        };
        let written = open.write(rows).await;
        if let Err(error) = written.map_err(|cause| self.failed(cause)).and_then(|()| self.told()) {
            let _ = open.abort().await;
            return Err(error);
        }
        self.open = Some(open);
        self.rows += rows.num_rows() as u64;
        self.open_bytes += rows.get_array_memory_size();
        if self.open_bytes > ROWS_OF_A_FILE_BYTES { self.close().await } else { Ok(()) }
    }

    /// Returns the files with the number of their rows.
    ///
    /// # Errors
    /// `Storage` where they cannot be written.
    pub async fn finish(mut self) -> Result<(Vec<NewFile>, u64)> {
        self.close().await?;
        Ok((std::mem::take(&mut self.files), self.rows))
    }

    async fn close(&mut self) -> Result<()> {
        self.open_bytes = 0;
        if let Some(open) = self.open.take() {
            let files = open.close().await.map_err(|cause| self.failed(cause))?;
            self.files.extend(files.into_iter().map(NewFile));
        }
        self.told()
    }

    /// Returns what went wrong with a write that seemed to end well.
    fn told(&self) -> Result<()> {
        self.fault.take().map_or(Ok(()), |fault| Err(self.failed(fault.into())))
    }

    fn start(&self) -> Result<DeltaWriter> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_created_by(concat!("topline ", env!("CARGO_PKG_VERSION")).to_owned());
        let properties = without_statistics(properties, &self.schema).build();
        let columns = COLUMNS_WITH_STATISTICS.try_into().map_err(|cause| {
            Error::new(ErrorKind::Internal, "the number of columns with statistics is none").with_source(cause)
        })?;
        let config = WriterConfig::new(
            Arc::clone(&self.schema),
            self.partitioned_by.clone(),
            Some(properties),
            OF_ANY_SIZE,
            IN_BATCHES_AS_THEY_COME,
            columns,
            OF_THE_FIRST_COLUMNS,
        );
        let store = TellsLater::new(Arc::clone(&self.store), self.fault.clone());
        Ok(DeltaWriter::new(Arc::new(store), config))
    }

    fn failed(&self, cause: DeltaTableError) -> Error {
        Error::new(ErrorKind::Storage, format!("files of table \"{}\" cannot be written", self.label))
            .with_hint("is there room in the warehouse, and may it be written?")
            .with_source(cause)
    }
}

/// Files are closed by this writer and not by their size.
const OF_ANY_SIZE: Option<std::num::NonZeroU64> = None;

/// The writer's own size of batches.
const IN_BATCHES_AS_THEY_COME: Option<usize> = None;

/// No column is named for statistics.
const OF_THE_FIRST_COLUMNS: Option<Vec<String>> = None;

impl Drop for TableWriter {
    fn drop(&mut self) {
        let (open, files) = (self.open.take(), std::mem::take(&mut self.files));
        if open.is_none() && files.is_empty() {
            return;
        }
        let store = Arc::clone(&self.store);
        // Without a runtime the files stay, as they do when a process is killed, and are taken away later.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(open) = open {
                    let _ = open.abort().await;
                }
                discard(&store, &files).await;
            });
        }
    }
}
