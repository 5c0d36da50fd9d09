//! What survives a restart, in one folder.

mod settings;

pub use settings::Settings;
