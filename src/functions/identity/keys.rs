//! Rows by their id, email or domain.

use std::hash::BuildHasher;

use arrow::array::{Array, StringViewArray};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// The row of each id. The first wins where an id occurs twice, which the contract excludes.
#[derive(Debug)]
pub(in crate::functions) struct IdMap {
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    ids: StringViewArray,
}

impl IdMap {
    pub(in crate::functions) fn new(ids: StringViewArray) -> Self {
        let hasher = DefaultHashBuilder::default();
        let mut table: HashTable<u32> = HashTable::with_capacity(ids.len());
        for (row, id) in (0u32..).zip(ids.iter()) {
            let Some(id) = id else { continue };
            let place = table.entry(
                hasher.hash_one(id),
                |other| ids.value(*other as usize) == id,
                |other| hasher.hash_one(ids.value(*other as usize)),
            );
            if let Entry::Vacant(place) = place {
                place.insert(row);
            }
        }
        Self { table, hasher, ids }
    }

    pub(in crate::functions) fn get(&self, id: &str) -> Option<u32> {
        self.table.find(self.hasher.hash_one(id), |row| self.ids.value(*row as usize) == id).copied()
    }

    pub(super) fn ids(&self) -> &StringViewArray {
        &self.ids
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.table.allocation_size()
    }
}

/// The account of each email or domain: that of the row with the smallest id, by bytes.
#[derive(Debug, Default)]
pub(super) struct TextMap {
    table: HashTable<Candidate>,
    hasher: DefaultHashBuilder,
    text_bytes: usize,
}

#[derive(Debug)]
struct Candidate {
    text: Box<str>,
    id: Box<str>,
    account: u32,
}

impl TextMap {
    /// Offers the account that the row `id` gives for `text`.
    pub(super) fn offer(&mut self, text: &str, id: &str, account: u32) {
        let hash = self.hasher.hash_one(text);
        let place = self.table.entry(hash, |other| *other.text == *text, |other| self.hasher.hash_one(&*other.text));
        match place {
            Entry::Vacant(place) => {
                self.text_bytes += text.len() + id.len();
                place.insert(Candidate { text: text.into(), id: id.into(), account });
            }
            Entry::Occupied(mut place) => {
                let candidate = place.get_mut();
                if *id < *candidate.id {
                    candidate.id = id.into();
                    candidate.account = account;
                }
            }
        }
    }

    pub(super) fn get(&self, text: &str) -> Option<u32> {
        self.table.find(self.hasher.hash_one(text), |other| *other.text == *text).map(|found| found.account)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.table.allocation_size() + self.text_bytes
    }
}
