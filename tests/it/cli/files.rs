//! Rows in files: each is whole and readable, or not there.

use std::fs::File;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Desk;

const SQL: &str = "select count(*) as n from crm.accounts";

fn counted(batches: Vec<RecordBatch>) -> i64 {
    batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0)).sum()
}

#[test]
fn every_format_reads_back() {
    let desk = Desk::new();
    for name in ["n.csv", "n.json", "n.ndjson", "n.parquet", "n.arrow"] {
        assert_eq!(desk.run(&["query", SQL, "--output", name]).good(), "", "{name}");
    }
    assert_eq!(desk.names(), ["n.arrow", "n.csv", "n.json", "n.ndjson", "n.parquet"]);
    let text = |name: &str| std::fs::read_to_string(desk.path().join(name)).expect("the file");
    let file = |name: &str| File::open(desk.path().join(name)).expect("the file");
    let count: i64 = text("n.csv").lines().nth(1).and_then(|line| line.parse().ok()).expect("a count");
    assert!(count > 0);
    assert_eq!(text("n.json"), format!("[\n{{\"n\":{count}}}\n]\n"));
    assert_eq!(text("n.ndjson"), format!("{{\"n\":{count}}}\n"));
    let parquet = ParquetRecordBatchReaderBuilder::try_new(file("n.parquet")).expect("Parquet");
    let batches = parquet.build().expect("a reader").collect::<Result<Vec<_>, _>>().expect("rows");
    assert_eq!(counted(batches), count);
    let arrow = FileReader::try_new(file("n.arrow"), None).expect("an Arrow file");
    assert_eq!(counted(arrow.collect::<Result<Vec<_>, _>>().expect("rows")), count);
    let piped = desk.command(&["query", SQL, "--format", "arrow"]).output().expect("the binary runs").stdout;
    let stream = StreamReader::try_new(piped.as_slice(), None).expect("an Arrow stream");
    assert_eq!(counted(stream.collect::<Result<Vec<_>, _>>().expect("rows")), count);
}

#[test]
fn a_query_that_fails_leaves_the_old_file_and_nothing_else() {
    let desk = Desk::new();
    desk.write("rows.csv", "old\n");
    let sql = "select 100 / (length(account_id) - length(account_id)) as broken from crm.accounts";
    let run = desk.run(&["query", sql, "--output", "rows.csv"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert_eq!(std::fs::read_to_string(desk.path().join("rows.csv")).expect("the old file"), "old\n");
    assert_eq!(desk.names(), ["rows.csv"]);
}

#[test]
fn a_folder_that_is_not_there_is_an_error_before_the_query_runs() {
    let run = Desk::new().run(&["query", "select 1", "--output", "nowhere/rows.csv"]);
    assert_eq!(run.code, Some(1));
    assert!(run.err.starts_with("error: output file \"nowhere/rows.csv\" cannot be written\ncause: "), "{}", run.err);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_and_exits_with_130() {
    use std::process::Stdio;
    let desk = Desk::new();
    let sql = "select one.touch_id, other.touched_at from campaign.touches as one cross join campaign.touches as other";
    let mut child = desk
        .command(&["query", sql, "--output", "rows.parquet"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // The file under its temporary name is the sign that rows are on their way.
    while desk.names().is_empty() {
        assert!(child.try_wait().expect("its state").is_none(), "it ended before it wrote");
        std::thread::yield_now();
    }
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.is_ok_and(|status| status.success()));
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(130), ""));
    assert!(desk.names().is_empty(), "{:?}", desk.names());
}
