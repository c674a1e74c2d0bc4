//! Wrong input: one clear error that lists everything wrong, with file and column, and a hint where something can be done.

mod configuration;
mod models;
mod queries;
mod sources;
