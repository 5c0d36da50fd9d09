//! What the exporter finds wrong with mappings: the real program over HTTP against a simulated API.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

mod checks;
mod confirmation;
mod hosts;
mod optional_calls;
mod ranges;
mod sources;
mod support;
mod tiered_cache;
