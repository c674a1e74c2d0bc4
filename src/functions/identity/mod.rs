//! One customer: which live account a touch, a lead, a contact or a billing customer belongs to (definitions, section 3).
//!
//! `merges` follows merged rows to their survivors, `keys` finds rows by id, email and domain, `resolver` answers
//! the question for a row, and [`operator`] does so for a stream of rows as a node of a plan. [`numbered`] and
//! [`first_touches`] are for work that needs no ids of accounts. Start at `resolver`.

pub mod first_touches;
mod keys;
mod merges;
pub mod numbered;
pub mod operator;
mod resolver;

pub(super) use keys::IdMap;
