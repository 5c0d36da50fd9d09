//! The simulated Cloudflare API over real HTTP: what the API's reference documents.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests and their helpers say what they expect by failing"
)]

mod access;
mod faults;
mod mappings;
mod official_client;
mod requests;
mod support;
mod zones;
