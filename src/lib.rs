//! topline: the revenue warehouse in one binary.
//!
//! It reads CRM, billing and campaign Parquet where it lies, gives it one vocabulary, turns it into metrics in plain SQL,
//! and serves them to people and BI tools.
//!
//! # Floors
//! A module uses only those below its own.
//!
//! | floor | modules | owns |
//! | --- | --- | --- |
//! | 5 serving | [`cli`], [`flight`], [`http`], [`jobs`] | protocols, text, schedules, health and figures |
//! | 4 engine | [`engine`], then [`publish`] | sessions, limits, running a query, row checks; months that do not move |
//! | 3 meaning | [`models`], then [`metrics`] | SQL files and their order; what a metric is |
//! | 2 catalog | [`catalog`] | the contract that source tables are held against |
//! | 1 storage | [`sources`], [`sample`], [`functions`], [`auth`], [`audit`], [`traces`], then [`lake`] | Parquet in, the synthetic company, native functions, who calls, what is written down, what a collector is told, Delta tables |
//! | 0 words | [`domain`], [`error`], [`config`] | time, names, the one error type, checked settings |
//!
//! # Glossary
//! - **account**: a company in the CRM. **Entity**: an account, or a billing customer without one.
//! - **touch**: a contact between the company and a person: a visit, a click, a call. **Channel**: where it happened.
//! - **conversion**: a live opportunity that is won, with the instant of its closing.
//! - **credit**: the part of a conversion's value that a model gives to a touch.
//! - **spend**: what ad platforms were paid. **Cost**: all sales and marketing cost, spend included.
//! - **MRR**: monthly recurring revenue. **Movement**: what changed of an entity's MRR within a month.
//! - **NRR**, **GRR**: net and gross revenue retention: what is left of last month's MRR, with and without expansion.
//! - **as_of**: the instant at which a query looks at the world; later facts do not exist for it.
//! - **published**: a month of a metric as it was computed once; it changes by a **restatement**, which is recorded.
//! - **spine**: the months that a view has rows for, whether anything happened in them or not.

pub mod audit;
pub mod auth;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod error;
pub mod flight;
pub mod functions;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod jobs;
pub mod lake;
pub mod metrics;
pub mod models;
pub mod publish;
pub mod sample;
pub mod sources;
pub mod traces;

pub use error::{Error, ErrorKind, Result};
