//! The commands of the real program, with their output and exit codes.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

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
