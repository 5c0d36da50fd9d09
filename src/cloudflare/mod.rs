//! The Cloudflare API: credentials, one attempt, retries, the rate limit, page walks.
//!
//! Wire types are private to this module and become [`crate::domain`] types at its border.

mod attempt;
mod auth;
mod call;
mod client;
mod credentials;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod headers;
mod listing;
mod mappings;
mod metrics;
mod origins;
mod pause;
mod rate;
mod retry;
mod secret_file;
mod secrets;
mod settings;
mod tiered;
mod token;
mod walk;
mod wire;
mod zones;

pub use call::Call;
pub use client::{AccountStatus, Client};
pub use credentials::{Credentials, Secret};
pub use error::{ApiError, Operation, Reason};
pub use mappings::MappingList;
pub use metrics::Metrics;
pub use origins::{DnsRecord, OriginTarget, Pool, PoolOrigin};
pub use rate::LONGEST_RATE_WINDOW;
pub use secrets::Secrets;
pub use settings::{AccountSettings, RateLimit, Settings};
pub use tiered::SupportedRegions;
pub use token::{TokenState, TokenStatus};
pub use wire::RejectedRows;
pub use zones::ZoneList;
