//! The HTTP server: listeners, limits, routes, pages.
//!
//! [`Protection`] reads the web configuration file; [`bind`] takes every address before anything
//! starts; [`serve`] then answers on them until it is told to end. What the routes show and trigger
//! is handed in as [`Sources`].

mod api;
mod api_query;
mod body;
mod connection;
mod connections;
mod docs;
mod encoding;
#[doc(hidden)]
pub mod fuzzing;
mod handlers;
mod heavy;
mod landing;
mod limits;
mod listen;
mod metrics;
mod page;
mod probe;
mod progress;
mod protection;
mod reload;
mod reply;
mod scrape;
mod server;
mod settings;
mod web_config;
mod zone_page;

pub use handlers::{Accounts, Handlers, Sources};
pub use limits::Limits;
pub use listen::{ListenError, Listener, bind};
pub use metrics::Metrics;
pub use probe::{LookUp, LookUpError, LookingUp, Wanted};
pub use protection::{Protection, ProtectionError};
pub use reload::{Reload, Reloading};
pub use scrape::{Render, Rendering};
pub use server::serve;
pub use settings::Settings;
pub use web_config::{ClientAuth, Curve, PasswordHash, Pem, RateLimit, TlsSettings, WebConfig};
