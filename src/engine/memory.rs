//! The memory of all queries: shared freely while there is plenty, fairly when it runs short.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// The part of the memory, in percent, that anyone may take: beyond it, operators that can spill keep to equal parts, so
/// that there is room for those that cannot.
const FREE_PERCENT: usize = 70;

/// What an exchange of rows between threads may hold whatever else is taken: some batches on their way. The engine loses
/// sight of those that it puts on disk, now and then, and waits for them for ever.
const EXCHANGE_BYTES: usize = 16 << 20;

/// Returns whether an operator may have what it asks for without a look at the limits.
fn is_on_its_way(reservation: &MemoryReservation, additional: usize) -> bool {
    reservation.consumer().name().starts_with("RepartitionExec") && reservation.size() + additional <= EXCHANGE_BYTES
}

/// A pool that lets an operator have what it asks for until most of the memory is taken.
///
/// A plan has dozens of operators that could spill and seldom do; a pool that always divides by their number makes them
/// spill, or fail, with most of the memory unused.
#[derive(Debug)]
pub(super) struct QueryMemory {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spillable_consumers: usize,
    spillable: usize,
    unspillable: usize,
}

impl QueryMemory {
    /// Returns a pool of so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} MB", self.limit >> 20, self.name())
    }
}

impl State {
    fn part_of(&mut self, reservation: &MemoryReservation) -> &mut usize {
        if reservation.consumer().can_spill() { &mut self.spillable } else { &mut self.unspillable }
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query memory"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.state().spillable_consumers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut state = self.state();
        state.spillable_consumers = state.spillable_consumers.saturating_sub(usize::from(consumer.can_spill()));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.state().part_of(reservation) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut state = self.state();
        let part = state.part_of(reservation);
        *part = part.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut state = self.state();
        if is_on_its_way(reservation, additional) {
            *state.part_of(reservation) += additional;
            return Ok(());
        }
        let taken = state.spillable + state.unspillable + additional;
        let fair = self.limit.saturating_sub(state.unspillable) / state.spillable_consumers.max(1);
        let is_fair = !reservation.consumer().can_spill() || reservation.size() + additional <= fair;
        if taken > self.limit || taken > self.limit / 100 * FREE_PERCENT && !is_fair {
            return Err(resources_datafusion_err!(
                "{} asks for {} bytes more than its {}; {} of {} bytes are taken",
                reservation.consumer().name(),
                additional,
                reservation.size(),
                taken - additional,
                self.limit
            ));
        }
        *state.part_of(reservation) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let state = self.state();
        state.spillable + state.unspillable
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

/// How the error begins of a query that reaches the limit of one.
pub(super) const OF_ONE: &str = "[limits] memory_per_query";

/// The account of one query: what it takes of the memory of all, up to a limit of its own.
#[derive(Debug)]
pub(super) struct MemoryOfOne {
    all: Arc<dyn MemoryPool>,
    limit: usize,
    taken: AtomicUsize,
    peak: AtomicUsize,
}

impl MemoryOfOne {
    /// Returns the account of a query that may take so many bytes of the pool.
    pub(super) fn new(all: Arc<dyn MemoryPool>, limit: usize) -> Self {
        Self { all, limit, taken: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// Returns the most bytes that it held.
    pub(super) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) -> usize {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(taken, Ordering::Relaxed);
        taken
    }
}

impl fmt::Display for MemoryOfOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB of {}", self.limit >> 20, self.all)
    }
}

impl MemoryPool for MemoryOfOne {
    fn name(&self) -> &str {
        "memory of one query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.add(additional);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.taken.fetch_sub(shrink, Ordering::Relaxed);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let taken = self.taken.load(Ordering::Relaxed);
        if taken + additional > self.limit && !is_on_its_way(reservation, additional) {
            return Err(resources_datafusion_err!(
                "{OF_ONE}: {} asks for {additional} bytes more; {taken} of {} bytes are taken",
                reservation.consumer().name(),
                self.limit
            ));
        }
        self.all.try_grow(reservation, additional)?;
        self.add(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_a_limit_of_its_own_within_that_of_all() {
        let all: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(1000));
        let one = Arc::new(MemoryOfOne::new(Arc::clone(&all), 600));
        let pool: Arc<dyn MemoryPool> = Arc::clone(&one) as _;
        let (first, second) =
            (MemoryConsumer::new("first").register(&pool), MemoryConsumer::new("second").register(&pool));
        assert!(first.try_grow(500).is_ok());
        assert!(second.try_grow(200).expect_err("it is more than one may have").to_string().contains(OF_ONE));
        let other = MemoryConsumer::new("other").register(&all);
        assert!(other.try_grow(450).is_ok());
        let of_all = second.try_grow(90).expect_err("all together have no more").to_string();
        assert!(!of_all.contains(OF_ONE), "{of_all}");
        drop((first, second));
        assert_eq!((one.reserved(), one.peak(), all.reserved()), (0, 500, 450));
    }

    #[test]
    fn memory_is_free_until_it_runs_short_and_fair_then() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(1000));
        let spilling = |name| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let (one, other) = (spilling("one"), spilling("other"));
        let holding = MemoryConsumer::new("holding").register(&pool);
        assert!(one.try_grow(650).is_ok(), "more than half is free to take");
        assert!(one.try_grow(100).is_err(), "beyond most of it only a fair part is left");
        assert!(other.try_grow(100).is_ok(), "which the other has not had yet");
        assert!(holding.try_grow(250).is_ok(), "who cannot spill may have the rest");
        assert!(holding.try_grow(1).is_err(), "and no more");
        drop(one);
        assert_eq!(pool.reserved(), 350);
    }
}
