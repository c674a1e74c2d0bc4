//! The one integration binary: topline as its users meet it.

mod auth;
mod bad_input;
mod changing_files;
mod cli;
mod company;
mod differential;
mod endpoints;
mod flight;
mod golden;
mod good_input;
mod governance;
mod http_source;
mod labels;
mod laws;
mod models;
mod parts;
mod playbooks;
mod project;
mod publish;
mod rules;
mod sandbox;
mod server;
mod serving;
mod settings;
mod slt;
mod support;
