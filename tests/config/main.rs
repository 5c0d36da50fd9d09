//! The configuration as an operator uses it: files, variables, flags, and all mistakes reported at
//! once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod documentation;
mod files;
mod meaning;
mod merge;
mod mistakes;
mod properties;
mod support;
mod variables;
