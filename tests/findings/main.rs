//! Findings of the real program, over HTTP against a simulated API.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod checks;
mod confirmation;
mod hosts;
mod optional_calls;
mod ranges;
mod sources;
mod support;
mod tiered_cache;
