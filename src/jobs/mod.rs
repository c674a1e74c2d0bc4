//! Jobs: what is published when, and who is told.
//!
//! A job is a schedule and a request to `publish`. All that is decided about it stands in its journal in the warehouse,
//! where entries are added by puts that fail when another was first: so any number of processes may run the same jobs,
//! and each tick is run once. No tick is lost: it is run, skipped by the job's policy, or given up and kept to be run
//! again. Must not know protocols and terminals. Start at [`Scheduler`]; `duty` is what is to be done at an instant,
//! `entry` what stands in a journal, `run` one attempt at a tick, `post` the way of news to channels.

mod asked;
mod checks;
mod duty;
mod entry;
mod job;
mod journal;
mod letter;
mod news;
mod post;
mod retry;
mod run;
mod scheduler;
mod settling;
mod standing;
mod tables;
mod words;

pub use asked::Asked;
pub use entry::{Cause, Outcome, Settled};
pub use run::Progress;
pub use scheduler::{RELEASE_MAX, Scheduler};
pub use standing::{Standing, TickRecord};
pub use tables::hand_over;
