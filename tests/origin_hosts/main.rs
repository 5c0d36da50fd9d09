//! Origin hosts over real DNS packets.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests say what they expect as tests do"
)]

mod bounds;
mod memory;
mod resolving;
mod support;
