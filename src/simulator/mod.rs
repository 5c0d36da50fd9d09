//! The Cloudflare API in memory, served over HTTP, for the demo and the tests.
//!
//! A [`World`] is the state that Cloudflare would hold: accounts, credentials, zones and their
//! mappings. A [`Simulator`] serves it as the API's reference describes, accepts writes, enforces
//! the rate limit, and fails where a [`Fault`] requires it.

mod answer;
mod audit_log;
mod batch;
mod call;
pub mod demo;
pub mod dns;
mod dns_records;
mod document;
mod fault;
mod gate;
mod generate;
mod listing;
mod load_balancing;
mod mappings;
mod regions;
mod route;
mod rules;
mod server;
mod trick;
mod world;
mod zones;

pub use audit_log::{AuditLog, AuditedCall, CursorShape};
pub use fault::{Fault, FaultKind, RetryAfter};
pub use route::Operation;
pub use server::{RecordedRequest, Simulator};
pub use world::{
    Account, Credential, CredentialStatus, DnsRecord, LoadBalancer, Permission, Pool, PoolOrigin,
    RateLimit, Secret, SimulatedZone, StaticFile, SupportedRegion, SupportedRegions, World,
    zone_id_of,
};
