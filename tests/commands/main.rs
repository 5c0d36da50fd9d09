//! What a person types: the commands of the real program, with their output and exit codes.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod check;
mod demo;
mod get;
mod healthcheck;
mod once;
mod plan;
mod plan_applied;
mod plan_worlds;
mod strict;
mod support;
mod usage;
