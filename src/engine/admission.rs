//! Who may compute now: places for queries, and a queue in front of them.
//!
//! Small queries, and the planning of all, have places of their own: they never stand behind large ones. A place that
//! becomes free goes to the user with the fewest, and among those to who came first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::Limits;
use crate::error::{Error, ErrorKind, Result};

/// Places for small queries, for each thread: so many are done within a blink, and more would only take turns.
const QUICK_FOR_EACH_THREAD: usize = 4;

/// Where a query computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Beside the large ones: planning, and queries that read little.
    Quick,
    /// One of `[limits] queries` at once.
    Heavy,
}

/// Whether a query may be sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It has just come: it is refused where the queue is full, and after `[limits] queue_seconds`.
    OfQueue,
    /// It was let in before, and waits until it is let in again.
    Any,
}

/// The places and who waits for one.
#[derive(Debug)]
pub(super) struct Admission {
    lanes: Mutex<[Places; 2]>,
    queue: usize,
    queue_seconds: u64,
}

#[derive(Debug)]
struct Places {
    count: usize,
    for_each_user: usize,
    taken: usize,
    by_user: BTreeMap<Arc<str>, usize>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    user: Arc<str>,
    sender: oneshot::Sender<Place>,
}

/// A place that is taken; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    lane: Lane,
    user: Arc<str>,
}

impl Place {
    pub(super) fn lane(&self) -> Lane {
        self.lane
    }
}

impl Admission {
    /// Returns the places of a server. Where nobody logs in all are one user, who may have all places.
    pub(super) fn new(limits: &Limits, has_users: bool) -> Self {
        let places = |count, for_each_user| Places {
            count,
            for_each_user,
            taken: 0,
            by_user: BTreeMap::new(),
            waiting: VecDeque::new(),
        };
        let (quick, heavy) = (limits.threads * QUICK_FOR_EACH_THREAD, limits.queries);
        // Of the places for small queries and planning one user has half.
        let (quick_of_user, of_user) =
            if has_users { (quick.div_ceil(2), limits.queries_per_user) } else { (quick, heavy) };
        let lanes = Mutex::new([places(quick, quick_of_user), places(heavy, of_user)]);
        Self { lanes, queue: limits.queue, queue_seconds: limits.queue_seconds }
    }

    fn lanes(&self) -> MutexGuard<'_, [Places; 2]> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a place once one is free.
    ///
    /// # Errors
    /// `Busy` where too many wait already, or none becomes free in time.
    pub(super) async fn place(self: &Arc<Self>, lane: Lane, user: &Arc<str>, patience: Patience) -> Result<Place> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut lanes = self.lanes();
            let places = &mut lanes[lane as usize];
            places.waiting.retain(|waiting| !waiting.sender.is_closed());
            if patience == Patience::OfQueue && places.waiting.len() >= self.queue && !places.has_free(user) {
                return Err(self.full());
            }
            places.waiting.push_back(Waiting { user: Arc::clone(user), sender });
        }
        self.grant(lane);
        let gone = || Error::new(ErrorKind::Internal, "a query lost its place in the queue");
        if patience == Patience::Any {
            return receiver.await.map_err(|_| gone());
        }
        match tokio::time::timeout(Duration::from_secs(self.queue_seconds), receiver).await {
            Ok(place) => place.map_err(|_| gone()),
            Err(_) => Err(self.too_long()),
        }
    }

    /// Returns how many compute and how many wait, in a lane.
    pub(super) fn counts(&self, lane: Lane) -> (usize, usize) {
        let lanes = self.lanes();
        let places = &lanes[lane as usize];
        (places.taken, places.waiting.iter().filter(|waiting| !waiting.sender.is_closed()).count())
    }

    /// Gives free places to those who wait.
    fn grant(self: &Arc<Self>, lane: Lane) {
        loop {
            let next = self.lanes()[lane as usize].next();
            let Some(Waiting { user, sender }) = next else { return };
            // Who has gone meanwhile gives it back when it is dropped, which takes the lock anew.
            drop(sender.send(Place { admission: Arc::clone(self), lane, user }));
        }
    }

    fn full(&self) -> Error {
        let message = format!("the server is busy: {} queries wait already, the limit of [limits] queue", self.queue);
        Error::new(ErrorKind::Busy, message).with_hint("try again in a moment")
    }

    fn too_long(&self) -> Error {
        let message = format!(
            "the server is busy: the query waited for {} s, the limit of [limits] queue_seconds",
            self.queue_seconds
        );
        Error::new(ErrorKind::Busy, message).with_hint("try again in a moment")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.lanes()[self.lane as usize].free(&self.user);
        self.admission.grant(self.lane);
    }
}

impl Places {
    fn of(&self, user: &str) -> usize {
        self.by_user.get(user).copied().unwrap_or(0)
    }

    fn has_free(&self, user: &str) -> bool {
        self.taken < self.count && self.of(user) < self.for_each_user
    }

    /// Takes a place for who is next; `None` where there is none, or nobody may have one.
    fn next(&mut self) -> Option<Waiting> {
        if self.taken >= self.count {
            return None;
        }
        let may = self.waiting.iter().enumerate().map(|(number, waiting)| (self.of(&waiting.user), number));
        let (_, number) = may.filter(|(has, _)| *has < self.for_each_user).min()?;
        let next = self.waiting.remove(number)?;
        self.taken += 1;
        *self.by_user.entry(Arc::clone(&next.user)).or_default() += 1;
        Some(next)
    }

    fn free(&mut self, user: &Arc<str>) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(has) = self.by_user.get_mut(user) {
            *has -= 1;
            if *has == 0 {
                self.by_user.remove(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn admission(queries: usize, queries_per_user: usize, queue: usize) -> Arc<Admission> {
        let limits = Limits { queries, queries_per_user, queue, queue_seconds: 3600, threads: 1, ..Limits::default() };
        Arc::new(Admission::new(&limits, true))
    }

    fn name(name: &str) -> Arc<str> {
        name.into()
    }

    #[tokio::test]
    async fn a_place_goes_to_who_has_the_fewest_and_then_to_who_came_first() {
        let admission = admission(2, 2, 10);
        let (ann, bob) = (name("ann"), name("bob"));
        let heavy = |user| admission.place(Lane::Heavy, user, Patience::OfQueue);
        let (first, second) = (heavy(&ann).await.expect("free"), heavy(&ann).await.expect("free"));
        let (mut third, mut other) = (Box::pin(heavy(&ann)), Box::pin(heavy(&bob)));
        assert!((&mut third).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        drop(first);
        let of_bob = (&mut other).now_or_never().expect("it is his turn").expect("a place");
        assert!((&mut third).now_or_never().is_none(), "who has one already waits");
        drop(second);
        assert!((&mut third).now_or_never().is_some(), "nobody else waits");
        drop(of_bob);
        assert_eq!(admission.counts(Lane::Heavy), (0, 0), "all is free");
    }

    #[tokio::test]
    async fn a_user_has_no_more_than_the_limit_and_others_get_the_rest() {
        let admission = admission(2, 1, 10);
        let (ann, bob) = (name("ann"), name("bob"));
        let _first = admission.place(Lane::Heavy, &ann, Patience::OfQueue).await.expect("free");
        assert!(admission.place(Lane::Heavy, &ann, Patience::OfQueue).now_or_never().is_none());
        assert!(admission.place(Lane::Heavy, &bob, Patience::OfQueue).now_or_never().is_some());
        assert!(admission.place(Lane::Quick, &ann, Patience::OfQueue).now_or_never().is_some(), "small ones go on");
    }

    #[tokio::test]
    async fn a_full_queue_and_a_long_wait_are_refused() {
        let admission = admission(1, 1, 1);
        let ann = name("ann");
        let heavy = || admission.place(Lane::Heavy, &ann, Patience::OfQueue);
        let place = heavy().await.expect("free");
        let mut waiting = Box::pin(heavy());
        assert!((&mut waiting).now_or_never().is_none());
        let full = heavy().await.expect_err("the queue is full");
        assert_eq!(full.kind(), ErrorKind::Busy);
        assert_eq!(full.message(), "the server is busy: 1 queries wait already, the limit of [limits] queue");
        drop((waiting, place));
        assert!(heavy().now_or_never().is_some(), "who went takes no place");
    }

    #[tokio::test]
    async fn who_waits_too_long_is_sent_away() {
        let limits = Limits { queries: 1, queue_seconds: 0, ..Limits::default() };
        let admission = Arc::new(Admission::new(&limits, false));
        let ann = name("ann");
        let _place = admission.place(Lane::Heavy, &ann, Patience::OfQueue).await.expect("free");
        let late = admission.place(Lane::Heavy, &ann, Patience::OfQueue).await.expect_err("none is free");
        assert_eq!(late.message(), "the server is busy: the query waited for 0 s, the limit of [limits] queue_seconds");
    }
}
