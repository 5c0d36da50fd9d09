//! The simulated Cloudflare API over real HTTP behaves as the API reference documents.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod access;
mod faults;
mod mappings;
mod official_client;
mod requests;
mod support;
mod zones;
