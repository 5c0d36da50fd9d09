//! The Cloudflare API: credentials, one attempt, retries, the rate limit, page walks.
//!
//! Wire types are private to this module and become [`crate::domain`] types at its border.

mod credentials;
mod error;
mod settings;

pub use credentials::{Credentials, Secret};
pub use error::{ApiError, Operation, Reason};
pub use settings::{AccountSettings, RateLimit, Settings};
