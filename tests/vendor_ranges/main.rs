//! The ranges of the vendors, over real HTTP and from files: what is read, rejected and kept.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod failures;
mod published;
mod reading;
mod restart;
mod support;
