//! Origin hosts: host names to addresses, by DNS, and the cloud regions that names spell.

mod settings;

pub use settings::Settings;
