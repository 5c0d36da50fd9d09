//! The Cloudflare API: credentials, attempts, retries, the rate limit, pagination.
//!
//! Wire types are private to this module, which converts them to [`crate::domain`] types.

mod admission;
mod attempt;
mod audit_entry;
mod audit_log;
mod audit_position;
mod auth;
mod call_budget;
mod client;
mod cloudflare_ips;
mod credentials;
mod dns_records;
mod envelope;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod list;
mod load_balancers;
mod mappings;
mod metrics;
mod on_drop;
mod origin_target;
mod pagination;
mod pause;
mod rate_limiter;
mod retry;
mod rules;
mod secret_file;
mod secrets;
mod settings;
mod tiered_cache;
mod token;
mod zones;

pub use admission::URGENT_SHARE;
pub use audit_entry::{AuditActor, AuditEntry, AuditWrite, WriteTarget};
pub use audit_log::AuditLogReading;
pub use audit_position::AuditLogPosition;
pub use call_budget::CallBudget;
pub use client::{AccountStatus, Client};
pub use credentials::{Credentials, Secret};
pub use dns_records::DnsRecord;
pub use envelope::{List, RejectedRows, Rows};
pub use error::{ApiError, Operation, Reason};
pub use load_balancers::{LoadBalancer, Pool, PoolOrigin};
pub use mappings::{MAPPINGS_PER_PAGE, MappingList};
pub use origin_target::OriginTarget;
pub use rate_limiter::{LONGEST_RATE_WINDOW, PastRequests, RateLimitState};
pub use rules::{CloudConnectorRule, StorageProvider};
pub use secrets::Secrets;
pub use settings::{AuditLogSettings, RateLimit, Settings};
pub use token::{TokenState, TokenStatus};
pub use zones::ZONES_PER_PAGE;
