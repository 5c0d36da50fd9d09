//! The vendors' ranges over real HTTP and from files: what is read, what is refused, what is kept.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests say what they expect by unwrapping"
)]

mod failures;
mod published;
mod reading;
mod restart;
mod support;
