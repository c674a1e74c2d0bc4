//! What the tests share: an engine on the embedded sample, and rows as texts.

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use topline::config::{Config, Environment};
use topline::engine::{Engine, Session};

/// Returns an engine on the sample that the binary brings along.
pub async fn sample() -> Engine {
    let config = Config::sample(&Environment::default()).expect("the sample's configuration is right");
    Engine::open(config).await.expect("the sample opens")
}

/// Returns a session of an engine with settings changed.
pub fn session(engine: &Engine, settings: &[(&str, &str)]) -> Session {
    let mut session = engine.session();
    for (name, value) in settings {
        session.set(name, value).expect("a test's setting is within its bounds");
    }
    session
}

/// Returns the batches of a query.
pub async fn batches(session: &Session, sql: &str) -> Vec<RecordBatch> {
    let fault = |error: topline::Error| -> Vec<RecordBatch> { panic!("{sql}\n{error:#?}") };
    match session.query(sql).await {
        Ok(rows) => rows.collect().await.unwrap_or_else(fault),
        Err(error) => fault(error),
    }
}

/// Returns the rows of a query as texts: NULL is `NULL`, a double has up to 6 places, an instant ends in `Z`.
pub async fn rows(session: &Session, sql: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches(session, sql).await {
        rows.extend(texts(&batch));
    }
    rows
}

/// Returns the rows of a batch as texts.
pub fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<Vec<String>> = batch
        .columns()
        .iter()
        .map(|column| {
            let format = ArrayFormatter::try_new(column, &options).expect("a column that can be shown");
            (0..column.len())
                .map(|row| {
                    let text = format.value(row).to_string();
                    if *column.data_type() == DataType::Float64 { rounded(&text) } else { text }
                })
                .collect()
        })
        .collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

/// Returns a double's text with at most 6 places and none that are 0.
fn rounded(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) => {
            let text = format!("{number:.6}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            if text == "-0" { "0".to_owned() } else { text.to_owned() }
        }
        Err(_) => text.to_owned(),
    }
}
