//! Attribution in one pass over the touches (definitions, section 4).
//!
//! Two operators do it. [`eligible`] holds the conversions in memory and lets pass only the touches that lie within the
//! lookback of one of their account's; what is left is sorted by account and time. [`credit`] then reads one account
//! after the other, numbers the touches of each conversion, and gives every model its weights and cents, as rows or
//! summed up. [`weights`] holds the models; `conversions` what is known of a conversion. Start at [`weights`].
//!
//! [`channel_credit`] reads all touches in the same order for the models that look at every path at once; `chain` holds
//! the arithmetic of `markov`.

mod chain;
pub mod channel_credit;
mod conversions;
pub mod credit;
pub mod eligible;
mod names;
mod output;
pub mod weights;

pub use conversions::{CONVERSION_COLUMNS, LEAD_COLUMNS, ROLE_COLUMNS, SharedConversions};
