//! Origin hosts over real DNS packets.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

mod bounds;
mod memory;
mod resolving;
mod support;
