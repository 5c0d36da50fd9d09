//! The changes of mappings and findings, bounded in number and age.

mod settings;

pub use settings::Settings;
