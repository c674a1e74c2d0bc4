//! Words that every floor shares: time, periods and names. Knows nothing of files, SQL or protocols.
//!
//! Start at [`calendar`]: how an instant becomes a day, a week or a month of the reporting time zone.

pub mod calendar;
pub mod clock;
pub mod governance;
pub mod hash;
pub mod month;
pub mod names;
pub mod places;
pub mod resident;
pub mod schedule;
pub mod secret;
pub mod toml_faults;
