//! The API client against a faulty server, over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
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
