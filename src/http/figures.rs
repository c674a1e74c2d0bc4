//! The figures of a server as Prometheus reads them.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use crate::domain::resident::resident_bytes;
use crate::engine::{DURATION_BOUNDS, Engine, Lane, State};

/// What is asked of the tables of `meta`: a figure, what it says, the label of its texts, and the query for text and number.
const ASKED: [(&str, &str, &str, &str); 3] = [
    (
        "topline_runs_total",
        "Versions of what is published, by what became of the run.",
        "kind",
        "select kind, count(*) from meta.runs group by 1 order by 1",
    ),
    (
        "topline_newest_run_timestamp_seconds",
        "When the newest run of its kind ended.",
        "kind",
        "select kind, to_unixtime(max(at)) from meta.runs group by 1 order by 1",
    ),
    ("topline_jobs", "Jobs by how they stand.", "state", "select state, count(*) from meta.jobs group by 1 order by 1"),
];

/// Returns all figures.
pub(super) async fn text(engine: &Engine) -> String {
    let mut text = String::new();
    let gauge = |text: &mut String, name: &str, help: &str, value: f64| {
        head(text, name, help, "gauge");
        line(text, name, "", value);
    };
    queries(&mut text, engine);
    let limits = engine.config().limits;
    gauge(&mut text, "topline_memory_bytes", "Memory that queries hold.", engine.memory_in_use() as f64);
    gauge(&mut text, "topline_memory_limit_bytes", "[limits] memory.", limits.memory_bytes as f64);
    let disk = engine.temporary_disk_in_use() as f64;
    gauge(&mut text, "topline_temporary_disk_bytes", "Temporary files of queries.", disk);
    if let Some(bytes) = resident_bytes() {
        gauge(&mut text, "topline_resident_bytes", "Memory of the process.", bytes as f64);
    }
    head(&mut text, "topline_places", "Queries that may compute at once.", "gauge");
    line(&mut text, "topline_places", "lane=\"heavy\"", limits.queries as f64);
    for (name, help, label, sql) in ASKED {
        // A warehouse that cannot be read is a matter of readiness; the other figures are there all the same.
        if let Ok(rows) = asked(engine, sql).await {
            head(&mut text, name, help, "gauge");
            for (value, number) in rows {
                line(&mut text, name, &format!("{label}=\"{value}\""), number);
            }
        }
    }
    text
}

fn queries(text: &mut String, engine: &Engine) {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
    let totals = engine.totals();
    head(text, "topline_queries_total", "Queries that ended, by how.", "counter");
    for (state, count) in State::ALL.into_iter().zip(&totals.ended).filter(|(state, _)| *state >= State::Done) {
        line(text, "topline_queries_total", &format!("state=\"{}\"", state.name()), of(count));
    }
    for (name, help, count) in [
        ("topline_queries_busy_total", "Queries that were not let in.", &totals.busy),
        ("topline_rows_sent_total", "Rows that were sent.", &totals.rows),
        ("topline_bytes_sent_total", "Bytes of them in memory.", &totals.bytes_sent),
        ("topline_bytes_read_total", "Bytes that were read of files.", &totals.bytes_read),
    ] {
        head(text, name, help, "counter");
        line(text, name, "", of(count));
    }
    let name = "topline_query_duration_seconds";
    head(text, name, "How long queries took.", "histogram");
    let mut sum = 0.0;
    let bounds = DURATION_BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&totals.durations) {
        sum += of(count);
        line(text, &format!("{name}_bucket"), &format!("le=\"{bound}\""), sum);
    }
    line(text, &format!("{name}_sum"), "", of(&totals.duration_millis) / 1000.0);
    line(text, &format!("{name}_count"), "", sum);
    let lanes = [("quick", Lane::Quick), ("heavy", Lane::Heavy)].map(|(label, lane)| (label, engine.places(lane)));
    for (name, help, of) in [
        ("topline_queries_computing", "Queries that have a place.", (|places| places.0) as fn((usize, usize)) -> usize),
        ("topline_queries_waiting", "Queries that wait for one.", |places| places.1),
    ] {
        head(text, name, help, "gauge");
        for (label, places) in lanes {
            line(text, name, &format!("lane=\"{label}\""), of(places) as f64);
        }
    }
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: f64) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(text, "{name}{labels} {value}");
}

/// Returns the rows of a query with a text and a number.
async fn asked(engine: &Engine, sql: &str) -> crate::Result<Vec<(String, f64)>> {
    let mut rows = Vec::new();
    for batch in engine.session().query(sql).await?.collect().await? {
        let kinds = cast(batch.column(0), &DataType::LargeUtf8);
        let numbers = cast(batch.column(1), &DataType::Float64);
        let (Ok(kinds), Ok(numbers)) = (kinds, numbers) else { continue };
        let texts = kinds.as_string::<i64>().iter().map(Option::unwrap_or_default).map(str::to_owned);
        rows.extend(texts.zip(numbers.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default)));
    }
    Ok(rows)
}
