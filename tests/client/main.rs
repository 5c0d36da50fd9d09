//! The API client against a server that misbehaves on purpose, over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests say what they expect as tests do"
)]

mod audit_log;
mod credentials;
mod faults;
mod http2;
mod lists;
mod origins;
mod pace;
mod properties;
mod scripted;
mod support;
