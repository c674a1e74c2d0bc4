//! The journal of a job: entries in the warehouse, each at the one free place behind the last.
//!
//! An entry is added by a put that fails where the place is taken, so of two that decide on the same state one is first,
//! and the other looks again. Whatever is decided about a job is decided here, by all processes together.

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::entry::{Entry, Event, State, TICKS_MAX};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Append, Lake, Ledger};

/// The folder of the journals.
const FOLDER: &str = "_topline/jobs";

/// Entries of others that one gives way to before it gives up: more than the processes that run a job ever are.
const CONFLICTS_MAX: u32 = 100;

/// Entries that are read at the same time: enough to hide the latency of an object store.
const READS_MAX: usize = TICKS_MAX;

/// The journal of a job.
#[derive(Debug)]
pub(super) struct Journal {
    ledger: Ledger,
    job: String,
    /// Who writes here: no other process has the name.
    by: String,
    known: Mutex<Option<Arc<Entry>>>,
}

impl Journal {
    /// Returns the journal of a job; reads nothing.
    pub(super) fn open(lake: &Lake, job: &str, by: &str) -> Self {
        let ledger = lake.ledger(&format!("{FOLDER}/{job}"));
        Self { ledger, job: job.to_owned(), by: by.to_owned(), known: Mutex::default() }
    }

    /// Returns the newest entry; `None` while nobody ever looked at the job.
    ///
    /// # Errors
    /// `Storage` where the journal cannot be read.
    pub(super) async fn newest(&self) -> Result<Option<Arc<Entry>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(number) = self.ledger.newest(known.as_ref().map(|known| known.number)).await? else {
            return Ok(None);
        };
        match known.filter(|known| known.number == number) {
            Some(known) => Ok(Some(known)),
            None => self.read(number).await.map(|entry| Some(self.remember(entry))),
        }
    }

    /// Returns the entries that say what became of ticks, the newest first, each read when it is asked for. Entries in
    /// between, such as the renewals of a long run, are passed over where a later one says where to go on.
    ///
    /// # Errors
    /// `Storage` where the journal cannot be read.
    pub(super) async fn of_ticks(&self) -> Result<impl Stream<Item = Result<Entry>>> {
        let end = self.newest().await?.map_or(0, |newest| newest.number + 1);
        let blocks = stream::try_unfold(end, async |end| {
            let Some(last) = end.checked_sub(1) else { return Ok(None) };
            let mut numbers = self.read(last).await?.state.ticks;
            if numbers.is_empty() {
                // It is older than any tick, or was written by a release that did not take them down.
                numbers = (end.saturating_sub(READS_MAX as u64)..end).collect();
            }
            let before = numbers.first().copied().unwrap_or_default();
            let reads = numbers.into_iter().rev().map(|number| self.read(number));
            let block: Vec<Entry> = stream::iter(reads).buffered(READS_MAX).try_collect().await?;
            Ok(Some((stream::iter(block.into_iter().map(Ok)), before)))
        });
        Ok(blocks.try_flatten().try_filter(|entry| ready(entry.event.is_of_tick())))
    }

    async fn read(&self, number: u64) -> Result<Entry> {
        let broken =
            || Error::new(ErrorKind::Storage, format!("entry {number} of job \"{}\" cannot be read", self.job));
        let document = self.ledger.read(number).await?.ok_or_else(broken)?;
        serde_json::from_slice(&document).map_err(|cause| {
            let hint = "was it written by a newer topline? one that is broken may be taken away where it is the newest \
                        in its folder: the job goes on from the one before";
            broken().with_hint(hint).with_source(cause)
        })
    }

    fn remember(&self, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A look that took longer must not put an older entry back.
        if known.as_ref().is_none_or(|known| known.number < entry.number) {
            *known = Some(Arc::clone(&entry));
        }
        entry
    }

    /// Adds what is decided on the newest state, which is looked at again whenever another is first; `None` where nothing
    /// is to be done any more. The decision is told the number of its entry.
    ///
    /// # Errors
    /// `Storage` where the journal cannot be read or written, `Limit` where others write all the time.
    pub(super) async fn write(
        &self,
        now_micros: i64,
        decide: impl Fn(&State, u64) -> Option<(Event, State)>,
    ) -> Result<Option<Arc<Entry>>> {
        for _ in 0..CONFLICTS_MAX {
            let newest = self.newest().await?;
            let number = newest.as_ref().map_or(0, |newest| newest.number + 1);
            let state = newest.map(|newest| newest.state.clone()).unwrap_or_default();
            let Some((event, mut state)) = decide(&state, number) else { return Ok(None) };
            if event.is_of_tick() {
                state.note_tick(number);
            }
            let entry = Entry { number, by: self.by.clone(), at_micros: now_micros, event, state };
            let document = serde_json::to_vec(&entry).map_err(|cause| {
                Error::new(ErrorKind::Internal, "an entry of a job cannot be encoded").with_source(cause)
            })?;
            if self.ledger.append(number, &Bytes::from(document)).await? == Append::Done {
                return Ok(Some(self.remember(entry)));
            }
        }
        Err(Error::new(ErrorKind::Limit, format!("too many write to the journal of job \"{}\"", self.job))
            .with_hint("try again; nothing was changed"))
    }
}
