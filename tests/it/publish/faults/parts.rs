//! Files that are written part by part, and torn at each part.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use topline::Result;
use topline::lake::{Folder, Lake, LocalDisk, NewFile};

use super::store::{Answer, Fault, Moment, Process, When};

/// Rows of a file, of a kilobyte each that cannot be packed: three parts of five megabytes.
const ROWS: usize = 12_000;

const ROW_BYTES: usize = 1_024;

/// What happens to each call.
const FAULTS: [Fault; 4] =
    [Fault::Before(Answer::Reset), Fault::After(Answer::TimedOut), Fault::Kill(When::Before), Fault::Kill(When::After)];

fn rows() -> RecordBatch {
    let mut dice = SmallRng::seed_from_u64(7);
    let mut bytes = vec![0; ROWS * ROW_BYTES];
    dice.fill_bytes(&mut bytes);
    let column: ArrayRef = Arc::new(bytes.chunks(ROW_BYTES).map(Some).collect::<BinaryArray>());
    RecordBatch::try_from_iter_with_nullable([("bytes", column, true)]).expect("one column")
}

async fn write(process: &Process, rows: &RecordBatch) -> Result<Vec<NewFile>> {
    let lake = Lake::over(Arc::new(process.clone()), "folder".to_owned())?;
    let mut writer = lake.table("published", "bytes")?.writer(&rows.schema(), Vec::new());
    writer.write(rows).await?;
    writer.finish().await.map(|(files, _)| files)
}

/// Returns the rows of each file with a name that ends well; a file that is torn has none.
fn whole_files(folder: &Path) -> Vec<i64> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let named = paths.filter(|path| path.extension().is_some_and(|end| end == "parquet"));
    let rows = |path| {
        let file = std::fs::File::open(path).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a whole file");
        reader.metadata().file_metadata().num_rows()
    };
    named.map(rows).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_torn_gets_no_name() {
    let rows = rows();
    let whole = i64::try_from(ROWS).expect("a small number");
    let try_with = async |moments: Vec<Moment>| {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder: Arc<dyn ObjectStore> = Arc::new(Folder::new(temporary.path().to_owned(), Arc::new(LocalDisk)));
        let process = Process::new(folder, moments, Vec::new());
        let written = tokio::select! {
            biased;
            () = process.dying() => None,
            written = write(&process, &rows) => written.ok(),
        };
        process.bury();
        let named = whole_files(&temporary.path().join("published/bytes"));
        assert!(named.iter().all(|rows| *rows == whole), "{named:?}");
        assert!(written.is_none() || named.len() == 1, "{written:?}");
        (written.is_some(), process.calls())
    };
    let (is_written, calls) = try_with(Vec::new()).await;
    assert!(is_written && calls > 4, "{calls} calls: one file in three parts");
    for fault in FAULTS {
        for call in 0..calls {
            try_with(vec![Moment { calls: call..call + 1, fault }]).await;
        }
    }
}
