//! The HTTP server: listeners, limits, routes, pages.

mod settings;

pub use settings::Settings;
