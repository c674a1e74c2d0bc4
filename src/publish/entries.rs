//! Entries of the ledger: the one that a run begins from, and the one that it adds.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::Engine;
use crate::engine::published::entry::{Entry, Event};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Append;

/// Returns the newest entry, which lasts from then on: a run that finds nothing to do vouches for what it found.
///
/// # Errors
/// `Storage` where the ledger cannot be read or written.
pub(super) async fn newest_lasting(engine: &Engine) -> Result<Option<Arc<Entry>>> {
    let newest = engine.newest_entry().await?;
    if let Some(newest) = &newest {
        engine.ledger().make_last(newest.number).await?;
    }
    Ok(newest)
}

/// Adds an entry to the ledger.
///
/// # Errors
/// `Storage` where it cannot be written, or nobody can say whether it was.
pub(super) async fn add(engine: &Engine, entry: &Entry) -> Result<Append> {
    let document = serde_json::to_vec(entry)
        .map_err(|cause| Error::new(ErrorKind::Internal, "an entry cannot be encoded").with_source(cause))?;
    engine.ledger().append(entry.number, &Bytes::from(document)).await
}

/// Returns whether an event says nothing that the one before it did not say.
pub(super) fn is_again(before: &Event, event: &Event) -> bool {
    match (before, event) {
        (Event::Held(before), Event::Held(now)) => (&before.metrics, &before.broken) == (&now.metrics, &now.broken),
        (Event::Failed { .. }, Event::Failed { .. }) => before == event,
        _ => false,
    }
}
