//! The HTTP server: listeners, limits, routes, pages.
//!
//! [`bind`] takes every address before anything starts; [`serve`] then answers on them until it is
//! told to end. What the routes show is handed in as [`Handlers`].

mod connections;
mod encoding;
mod handlers;
mod landing;
mod limits;
mod listen;
mod metrics;
mod progress;
mod reply;
mod server;
mod settings;
mod web_config;

pub use handlers::{Handlers, Render, Rendering};
pub use limits::Limits;
pub use listen::{ListenError, Listener, bind};
pub use metrics::Metrics;
pub use server::serve;
pub use settings::Settings;
pub use web_config::{ClientAuth, Curve, PasswordHash, Pem, RateLimit, TlsSettings, WebConfig};
