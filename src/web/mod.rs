//! The HTTP server: listeners, limits, routes, pages.
//!
//! [`Protection`] reads the web configuration file. [`bind`] opens all listeners before anything
//! starts. [`serve`] then answers requests with a [`Router`] until the shutdown.

mod api;
mod cross_site;
#[doc(hidden)]
pub mod fuzzing;
mod negotiation;
mod pages;
mod probe;
mod protection;
mod quota;
mod reload;
mod render_pool;
mod reply;
mod router;
mod scrape;
mod server;
mod settings;
mod sources;
mod web_config;

pub use probe::{LookUp, LookingUp, Wanted};
pub use protection::{Protection, ProtectionError};
pub use reload::{Reload, Reloading};
pub use router::Router;
pub use server::{Limits, ListenError, bind, is_listen_address, serve};
pub use settings::Settings;
pub use sources::{Accounts, ApiUrl, Sources};
pub use web_config::{ClientAuth, PasswordHash, Pem, RateLimit, TlsSettings, WebConfig};
