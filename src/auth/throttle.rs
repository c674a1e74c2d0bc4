//! Failed logins in a row make the next one wait, for the same user from the same address.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Failures before the first wait: more than a person needs who tries their passwords.
const FREE_FAILURES: u32 = 5;

/// The longest wait, reached after ten failures: it makes guessing hopeless and keeps no owner out for long.
const WAIT_SECONDS_MAX: i64 = 30;

/// Users and addresses of which failures are remembered, 40 bytes each; beyond that the oldest is forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The failures of logins.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    hashes: RandomState,
    // By hash, because a name may be as long as a header.
    failures: Mutex<HashMap<u64, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last_micros: i64,
}

impl Failures {
    fn wait_micros(self) -> i64 {
        match self.count.checked_sub(FREE_FAILURES) {
            Some(beyond) => (1_i64 << beyond.min(30)).min(WAIT_SECONDS_MAX) * 1_000_000,
            None => 0,
        }
    }
}

/// Whose login it is: the name and where it comes from.
pub(super) type Who<'a> = (&'a str, Option<IpAddr>);

impl Throttle {
    /// Returns the seconds until the next login may be tried; 0 is now.
    pub(super) fn wait_seconds(&self, who: Who<'_>, now_micros: i64) -> u64 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = failures.get(&self.hashes.hash_one(who)) else { return 0 };
        let left = found.last_micros + found.wait_micros() - now_micros;
        u64::try_from(left).unwrap_or(0).div_ceil(1_000_000)
    }

    /// Notes a login that failed.
    pub(super) fn failed(&self, who: Who<'_>, now_micros: i64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.hashes.hash_one(who);
        if failures.len() >= REMEMBERED_MAX && !failures.contains_key(&key) {
            let oldest = failures.iter().min_by_key(|(_, found)| found.last_micros).map(|(key, _)| *key);
            oldest.map(|oldest| failures.remove(&oldest));
        }
        let found = failures.entry(key).or_insert(Failures { count: 0, last_micros: now_micros });
        *found = Failures { count: found.count.saturating_add(1), last_micros: now_micros };
    }

    /// Forgets the failures of who has now logged in.
    pub(super) fn succeeded(&self, who: Who<'_>) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hashes.hash_one(who));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn waits_grow_up_to_a_limit_and_end_with_a_success() {
        let throttle = Throttle::default();
        let ann = ("ann", None);
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(throttle.wait_seconds(ann, 0));
            throttle.failed(ann, 0);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(throttle.wait_seconds(ann, 29 * SECOND), 1);
        assert_eq!(throttle.wait_seconds(ann, 30 * SECOND), 0);
        assert_eq!(throttle.wait_seconds(("bob", None), 0), 0);
        assert_eq!(throttle.wait_seconds(("ann", Some([10, 0, 0, 1].into())), 0), 0);
        throttle.succeeded(ann);
        assert_eq!(throttle.wait_seconds(ann, 0), 0);
    }

    #[test]
    fn only_so_many_are_remembered_and_the_oldest_goes_first() {
        let throttle = Throttle::default();
        for number in 0..=REMEMBERED_MAX {
            let name = number.to_string();
            for _ in 0..FREE_FAILURES {
                throttle.failed((&name, None), i64::try_from(number).expect("a small number"));
            }
        }
        assert_eq!(throttle.failures.lock().expect("nobody panicked").len(), REMEMBERED_MAX);
        assert_eq!(throttle.wait_seconds(("0", None), 0), 0);
        assert_eq!(throttle.wait_seconds(("1", None), 0), 2);
    }
}
