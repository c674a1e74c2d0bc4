//! When a failure is tried again.

use std::time::Duration;

use rand::Rng;

/// The pause after the first failure: longer than a network takes to find its way again.
const PAUSE_MIN: Duration = Duration::from_secs(10);

/// The longest pause: nobody waits longer for a warehouse that is back.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// As [`PAUSE_MAX`], in microseconds.
pub(super) const PAUSE_MAX_MICROS: i64 = 600 * 1_000_000;

/// Returns the microseconds to wait after so many failures: twice as long each time up to ten minutes, and any part of the
/// upper half of that, so that those who failed together do not come back together.
pub(super) fn pause_micros(failures: u32) -> i64 {
    let whole = PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX);
    let pause = rand::rng().random_range(whole / 2..=whole);
    i64::try_from(pause.as_micros()).unwrap_or(PAUSE_MAX_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes_and_are_never_all_the_same() {
        for (failures, most) in [(1, 10), (2, 20), (3, 40), (7, 600), (24, 600), (u32::MAX, 600)] {
            for _ in 0..50 {
                let pause = pause_micros(failures);
                assert!((most * 500_000..=most * 1_000_000).contains(&pause), "{failures}: {pause}");
            }
        }
        let pauses: std::collections::BTreeSet<i64> = (0..20).map(|_| pause_micros(5)).collect();
        assert!(pauses.len() > 1);
    }
}
