//! The rows of `meta.queries`.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::Session;

use super::Record;
use crate::engine::state::Shared;
use crate::functions::names::SessionUser;

/// What a row is.
pub(in crate::engine) const DESCRIPTION: &str = "A row for each query of the server, running or ended: the newest 1,000 of those. Where users log in, each sees their \
     own. state is queued, running, done, failed, limited or cancelled; kill 'ID' ends one that runs.";

/// Returns the columns.
pub(in crate::engine) fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let count = |name: &str| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![
        text("query_id", false),
        text("user_name", false),
        text("client", true),
        text("sql", false),
        text("state", false),
        text("error", true),
        text("error_id", true),
        count("queued_ms"),
        count("planned_ms"),
        count("total_ms"),
        count("rows"),
        count("bytes_sent"),
        count("bytes_read"),
        count("peak_memory_bytes"),
        Field::new("began_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]))
}

/// Returns the rows that the user of a session may see.
pub(in crate::engine) fn rows(shared: &Shared, state: &dyn Session) -> Vec<ArrayRef> {
    let user = state.config_options().extensions.get::<SessionUser>();
    let records = user.map(|user| shared.runs.of(user.queries())).unwrap_or_default();
    let texts = |text: &dyn Fn(&Record) -> Option<String>| {
        Arc::new(records.iter().map(|record| text(record)).collect::<StringArray>()) as ArrayRef
    };
    let counts = |count: &dyn Fn(&Record) -> u64| {
        let counts = records.iter().map(|record| i64::try_from(count(record)).unwrap_or(i64::MAX));
        Arc::new(Int64Array::from_iter_values(counts)) as ArrayRef
    };
    let began = TimestampMicrosecondArray::from_iter_values(records.iter().map(|record| record.began_micros));
    vec![
        texts(&|record| Some(id_text(record.id))),
        texts(&|record| Some(record.user.to_string())),
        texts(&|record| Some(record.client.clone()).filter(|client| !client.is_empty())),
        texts(&|record| Some(record.sql.clone())),
        texts(&|record| Some(record.facts().state.name().to_owned())),
        texts(&|record| record.facts().error.clone()),
        texts(&|record| record.facts().error_id.clone()),
        counts(&|record| millis(record.facts().queued)),
        counts(&|record| millis(record.facts().planned)),
        counts(&|record| millis(record.elapsed())),
        counts(&|record| record.facts().rows),
        counts(&|record| record.facts().bytes_sent),
        counts(&|record| record.facts().bytes_read),
        counts(&|record| record.peak_bytes() as u64),
        Arc::new(began.with_timezone("UTC")),
    ]
}

/// Returns an id as people read and write it.
pub(in crate::engine) fn id_text(id: u64) -> String {
    format!("{id:016x}")
}

/// Returns the id that a text stands for; `None` where it is none.
pub(in crate::engine) fn id_of(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
