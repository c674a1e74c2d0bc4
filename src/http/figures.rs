//! The figures of a server as Prometheus reads them.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use crate::catalog::TableState;
use crate::domain::resident::resident_bytes;
use crate::engine::{DURATION_BOUNDS, Durations, Engine, Lane, Refusal, State, Totals};

/// What is asked of the tables of `meta`: a figure, its kind, what it says, the label of its texts, and the query for text and number.
const ASKED: [(&str, &str, &str, &str, &str); 4] = [
    (
        "topline_runs_total",
        "counter",
        "Versions of what is published, by what became of the run.",
        "kind",
        "select kind, count(*) from meta.runs group by 1 order by 1",
    ),
    (
        "topline_newest_run_timestamp_seconds",
        "gauge",
        "When the newest run of its kind ended.",
        "kind",
        "select kind, to_unixtime(max(at)) from meta.runs group by 1 order by 1",
    ),
    (
        "topline_published_newest_month_timestamp_seconds",
        "gauge",
        "The first day of the newest month of a metric that is published.",
        "metric",
        "select metric, to_unixtime(cast(max(month) as timestamp)) from meta.published_months where month is not null \
         group by 1 order by 1",
    ),
    (
        "topline_jobs",
        "gauge",
        "Jobs by how they stand.",
        "state",
        "select state, count(*) from meta.jobs group by 1 order by 1",
    ),
];

/// Returns all figures.
pub(super) async fn text(engine: &Engine, sources: &[TableState]) -> String {
    let mut text = String::new();
    queries(&mut text, engine);
    logins(&mut text, engine.totals());
    room(&mut text, engine);
    let name = "topline_source_newest_file_timestamp_seconds";
    head(&mut text, name, "When the newest file of a source table was written.", "gauge");
    for TableState { id, found, .. } in sources {
        if let Some(found) = found {
            line(&mut text, name, &[("table", &id.to_string())], found.newest_micros as f64 / 1e6);
        }
    }
    for (name, kind, help, label, sql) in ASKED {
        // A warehouse that cannot be read is a matter of readiness; the other figures are there all the same.
        if let Ok(rows) = asked(engine, sql).await {
            head(&mut text, name, help, kind);
            for (value, number) in rows {
                line(&mut text, name, &[(label, &value)], number);
            }
        }
    }
    text
}

fn queries(text: &mut String, engine: &Engine) {
    let totals = engine.totals();
    head(text, "topline_queries_total", "Queries that ended, by how.", "counter");
    for (state, count) in State::ALL.into_iter().zip(&totals.ended).filter(|(state, _)| *state >= State::Done) {
        line(text, "topline_queries_total", &[("state", state.name())], of(count));
    }
    for (name, help, count) in [
        ("topline_rows_sent_total", "Rows that were sent.", &totals.rows),
        ("topline_bytes_sent_total", "Bytes of them in memory.", &totals.bytes_sent),
        ("topline_bytes_read_total", "Bytes that were read of files.", &totals.bytes_read),
        ("topline_bytes_spilled_total", "Bytes that queries put on disk for want of memory.", &totals.bytes_spilled),
    ] {
        head(text, name, help, "counter");
        line(text, name, &[], of(count));
    }
    histogram(text, "topline_query_duration_seconds", "How long queries took.", &totals.durations);
    histogram(text, "topline_query_wait_seconds", "How long queries waited for places.", &totals.waits);
    let lanes = [("quick", Lane::Quick), ("heavy", Lane::Heavy)].map(|(label, lane)| (label, engine.places(lane)));
    for (name, help, of) in [
        ("topline_queries_computing", "Queries that have a place.", (|places| places.0) as fn((usize, usize)) -> usize),
        ("topline_queries_waiting", "Queries that wait for one.", |places| places.1),
    ] {
        head(text, name, help, "gauge");
        for (label, places) in lanes {
            line(text, name, &[("lane", label)], of(places) as f64);
        }
    }
    head(text, "topline_places", "Queries that may compute at once.", "gauge");
    line(text, "topline_places", &[("lane", "heavy")], engine.config().limits.queries as f64);
}

fn logins(text: &mut String, totals: &Totals) {
    let name = "topline_logins_total";
    head(text, name, "Logins that were let in, and calls that were not.", "counter");
    line(text, name, &[("outcome", "ok")], of(&totals.logins));
    line(text, name, &[("outcome", "refused")], of(&totals.logins_refused));
    let name = "topline_refusals_total";
    head(text, name, "Calls and streams that were refused, by what; limit is the key of [limits].", "counter");
    line(text, name, &[("kind", "authentication"), ("limit", "")], of(&totals.logins_refused));
    for (Refusal { kind, limit }, count) in totals.refusals() {
        line(text, name, &[("kind", kind), ("limit", limit)], count as f64);
    }
}

/// Memory and disk.
fn room(text: &mut String, engine: &Engine) {
    let mut gauge = |name: &str, help: &str, value: f64| {
        head(text, name, help, "gauge");
        line(text, name, &[], value);
    };
    let limits = engine.config().limits;
    gauge("topline_memory_bytes", "Memory that queries hold.", engine.memory_in_use() as f64);
    gauge("topline_memory_limit_bytes", "[limits] memory.", limits.memory_bytes as f64);
    let disk = engine.temporary_disk_in_use() as f64;
    gauge("topline_temporary_disk_bytes", "Temporary files of queries.", disk);
    gauge("topline_temporary_disk_limit_bytes", "[limits] temporary_disk.", limits.temporary_disk_bytes as f64);
    if let Some(bytes) = resident_bytes() {
        gauge("topline_resident_bytes", "Memory of the process.", bytes as f64);
    }
}

fn of(count: &AtomicU64) -> f64 {
    count.load(Ordering::Relaxed) as f64
}

fn histogram(text: &mut String, name: &str, help: &str, durations: &Durations) {
    head(text, name, help, "histogram");
    let (bucket, mut sum) = (format!("{name}_bucket"), 0.0);
    let bounds = DURATION_BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&durations.counts) {
        sum += of(count);
        line(text, &bucket, &[("le", &bound)], sum);
    }
    line(text, &format!("{name}_sum"), &[], of(&durations.micros) / 1e6);
    line(text, &format!("{name}_count"), &[], sum);
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
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
