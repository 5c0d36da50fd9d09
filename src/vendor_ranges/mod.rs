//! The four vendors' published address ranges: one longest-prefix table, kept fresh.

mod settings;

pub use settings::{RangeSource, Settings};
