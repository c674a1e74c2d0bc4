//! Documents that are written once: numbered ones, each at the free place behind the last, and those named by their hash.
//!
//! A numbered document is how several tables change at the same moment: readers look for the newest, which names a version
//! of each, and what no document names is not seen by anyone.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::Lake;
use crate::domain::hash::sha256;
use crate::error::{Error, ErrorKind, Result};

/// Digits of a number in a name: those of the greatest, so that names have the order of their numbers.
const DIGITS: usize = 20;

/// The document that says where to begin to look for the newest one: to list the names of a million documents takes ten
/// seconds and half a gigabyte on a disk, and a thousand requests on S3.
const SIGN: &str = "newest";

/// Documents from one sign to the next: as many requests as a first look takes, and one write more for so many.
const SIGN_EVERY: u64 = 16;

/// A folder of numbered documents. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

/// How an attempt to add a document ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// It is durable.
    Done,
    /// Another has the number.
    Taken,
}

impl Lake {
    /// Returns the numbered documents of a folder, of which there may be none yet.
    pub fn ledger(&self, folder: &str) -> Ledger {
        Ledger { store: Arc::clone(self.store()), folder: Path::from(folder) }
    }

    /// Keeps a document under the hash of its bytes, which it returns.
    ///
    /// # Errors
    /// `Storage` where it cannot be written.
    pub async fn keep(&self, folder: &str, document: Bytes) -> Result<String> {
        let hash = sha256(&document);
        let place = self.kept_at(folder, &hash);
        // Not looked for beforehand: to be told that it is there means that it lasts, to see it does not.
        let once = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store().put_opts(&place, document.into(), once).await {
            Ok(_) => Ok(hash),
            // The acknowledgement may be all that was lost. That it is there already is looked up as well: S3 says so too
            // of what another is about to write, and may never have written.
            Err(_) if self.store().head(&place).await.is_ok() => Ok(hash),
            Err(cause) => Err(unwritten(&place, cause)),
        }
    }

    /// Returns a document that was kept; `None` where there is none of the hash.
    ///
    /// # Errors
    /// `Storage` where it cannot be read, or is not what was kept.
    pub async fn kept(&self, folder: &str, hash: &str) -> Result<Option<Bytes>> {
        let place = self.kept_at(folder, hash);
        let found = read(self.store(), &place).await?;
        match found {
            Some(document) if sha256(&document) != hash => {
                Err(Error::new(ErrorKind::Storage, format!("document \"{place}\" of the warehouse was changed"))
                    .with_hint("restore it from a backup: its name is the SHA-256 of its bytes"))
            }
            found => Ok(found),
        }
    }

    fn kept_at(&self, folder: &str, hash: &str) -> Path {
        Path::from(format!("{folder}/{hash}.json"))
    }
}

impl Ledger {
    /// Returns the number of the newest document; `None` where there is none. Looks no further back than `known`.
    ///
    /// # Errors
    /// `Storage` where the folder cannot be read.
    pub async fn newest(&self, known: Option<u64>) -> Result<Option<u64>> {
        let mut newest = match known {
            Some(known) => Some(known),
            None => match self.signed().await? {
                Some(number) => Some(number),
                None => self.listed().await?.into_iter().max(),
            },
        };
        // A list may be older than what it lists, and so is a sign.
        loop {
            let next = newest.map_or(0, |newest| newest + 1);
            match self.store.head(&self.place(next)).await {
                Ok(_) => newest = Some(next),
                Err(object_store::Error::NotFound { .. }) => return Ok(newest),
                Err(cause) => return Err(unreadable(&self.folder, cause)),
            }
        }
    }

    /// Returns the number on the sign; `None` where there is no sign, or what it says is not there.
    async fn signed(&self) -> Result<Option<u64>> {
        let sign = read(&self.store, &self.folder.clone().join(SIGN)).await?;
        let number = sign.and_then(|sign| std::str::from_utf8(&sign).ok()?.parse().ok());
        let Some(number) = number else { return Ok(None) };
        match self.store.head(&self.place(number)).await {
            Ok(_) => Ok(Some(number)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(unreadable(&self.folder, cause)),
        }
    }

    async fn listed(&self) -> Result<Vec<u64>> {
        let listed: Vec<_> = self
            .store
            .list(Some(&self.folder))
            .try_collect()
            .await
            .map_err(|cause: object_store::Error| unreadable(&self.folder, cause))?;
        let number = |place: &Path| place.filename()?.strip_suffix(".json")?.parse().ok();
        Ok(listed.iter().filter_map(|meta| number(&meta.location)).collect())
    }

    /// Returns a document; `None` where there is none of the number.
    ///
    /// # Errors
    /// `Storage` where it cannot be read.
    pub async fn read(&self, number: u64) -> Result<Option<Bytes>> {
        read(&self.store, &self.place(number)).await
    }

    /// Makes a document last that is there, whether the process that wrote it lived to sync it or not.
    ///
    /// # Errors
    /// `Storage` where it cannot be read or written.
    pub async fn make_last(&self, number: u64) -> Result<()> {
        let Some(document) = self.read(number).await? else { return Ok(()) };
        self.append(number, &document).await.map(|_| ())
    }

    /// Adds a document, whose bytes no other has.
    ///
    /// Whether it is durable is looked up after any error, so it is `Done` although its acknowledgement was lost.
    ///
    /// # Errors
    /// `Storage` where it cannot be written, or nobody can say whether it was.
    pub async fn append(&self, number: u64, document: &Bytes) -> Result<Append> {
        let place = self.place(number);
        let once = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let Err(cause) = self.store.put_opts(&place, document.clone().into(), once).await else {
            if number % SIGN_EVERY == SIGN_EVERY - 1 {
                // Without it a first look takes longer, and finds the same.
                drop(self.store.put(&self.folder.clone().join(SIGN), number.to_string().into()).await);
            }
            return Ok(Append::Done);
        };
        match self.read(number).await {
            Ok(Some(found)) if found == *document => Ok(Append::Done),
            Ok(Some(_)) => Ok(Append::Taken),
            Ok(None) => Err(unwritten(&place, cause)),
            Err(_) => Err(Error::new(ErrorKind::Storage, format!("document \"{place}\" cannot be written"))
                .with_hint("it may have been written nonetheless: look at meta.runs before you try again")
                .with_source(cause)),
        }
    }

    fn place(&self, number: u64) -> Path {
        self.folder.clone().join(format!("{number:0DIGITS$}.json"))
    }
}

async fn read(store: &Arc<dyn ObjectStore>, place: &Path) -> Result<Option<Bytes>> {
    let found = async { store.get(place).await?.bytes().await };
    match found.await {
        Ok(document) => Ok(Some(document)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(cause) => Err(unreadable(place, cause)),
    }
}

fn unreadable(place: &Path, cause: object_store::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("\"{place}\" of the warehouse cannot be read"))
        .with_hint("is the warehouse reachable?")
        .with_source(cause)
}

fn unwritten(place: &Path, cause: object_store::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("\"{place}\" of the warehouse cannot be written"))
        .with_hint("is there room in the warehouse, and may it be written?")
        .with_source(cause)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn ledger() -> Ledger {
        let lake = Lake::over(Arc::new(InMemory::new()), "memory".to_owned()).expect("a lake");
        lake.ledger("_topline/ledger")
    }

    #[tokio::test]
    async fn of_two_that_want_a_number_one_gets_it() {
        let ledger = ledger();
        assert_eq!(ledger.newest(None).await.expect("it is empty"), None);
        let (one, other) = (Bytes::from_static(b"one"), Bytes::from_static(b"other"));
        assert_eq!(ledger.append(0, &one).await.expect("it is free"), Append::Done);
        assert_eq!(ledger.append(0, &other).await.expect("it is taken"), Append::Taken);
        // Asked for again after its acknowledgement was lost.
        assert_eq!(ledger.append(0, &one).await.expect("it is there"), Append::Done);
        assert_eq!(ledger.append(1, &other).await.expect("it is free"), Append::Done);
        assert_eq!(ledger.newest(None).await.expect("two"), Some(1));
        assert_eq!(ledger.newest(Some(0)).await.expect("two"), Some(1));
        assert_eq!(ledger.read(1).await.expect("there"), Some(other));
        assert_eq!(ledger.read(2).await.expect("not there"), None);
    }

    /// Where there is a sign, nothing is listed: what lies behind a gap is not found.
    #[tokio::test]
    async fn a_first_look_begins_at_the_sign_and_lists_only_where_that_is_wrong() {
        let ledger = ledger();
        for number in 0..SIGN_EVERY + 3 {
            ledger.append(number, &Bytes::from_static(b"{}")).await.expect("it is free");
        }
        let put = async |name: &str, text: &'static str| {
            ledger.store.put(&ledger.folder.clone().join(name), text.into()).await.expect("it is written")
        };
        put("00000000000000000900.json", "{}").await;
        assert_eq!(ledger.newest(None).await.expect("a sign"), Some(SIGN_EVERY + 2));
        put(SIGN, "700").await;
        assert_eq!(ledger.newest(None).await.expect("a list"), Some(900), "there is no document 700");
        put(SIGN, "seven").await;
        assert_eq!(ledger.newest(None).await.expect("a list"), Some(900));
    }

    #[tokio::test]
    async fn a_kept_document_that_was_changed_is_found_out() {
        let lake = Lake::over(Arc::new(InMemory::new()), "memory".to_owned()).expect("a lake");
        let hash = lake.keep("inputs", Bytes::from_static(b"{}")).await.expect("it is kept");
        assert_eq!(lake.keep("inputs", Bytes::from_static(b"{}")).await.expect("it is there"), hash);
        assert_eq!(lake.kept("inputs", &hash).await.expect("there"), Some(Bytes::from_static(b"{}")));
        let place = Path::from(format!("inputs/{hash}.json"));
        lake.store().put(&place, Bytes::from_static(b"[]").into()).await.expect("it is overwritten");
        assert!(lake.kept("inputs", &hash).await.is_err());
    }
}
