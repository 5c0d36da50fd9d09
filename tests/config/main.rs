//! The configuration as an operator meets it: files, variables, flags, and every mistake at once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by unwrapping, their helpers too"
)]

mod documentation;
mod files;
mod meaning;
mod merge;
mod mistakes;
mod properties;
mod support;
mod variables;
