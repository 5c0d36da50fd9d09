//! The settings of the API clients.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// Settings that all accounts share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The API's URL, without a trailing slash. It may contain a user and a password: never print
    /// it in full.
    pub base_url: Url,
    /// A file of PEM certificates to trust besides the machine's own.
    pub ca_file: Option<PathBuf>,
    /// The rate limit of each account.
    pub rate_limit: RateLimit,
    /// The most requests in flight per account; at least 1.
    pub concurrency: usize,
    /// The time limit for a request, including its body.
    pub timeout: Duration,
    /// The most retries of a request.
    pub retries: u32,
}

/// Cloudflare's limit and the share of it that this process may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests that Cloudflare allows per window; at least 1.
    pub requests: u32,
    /// The window.
    pub window: Duration,
    /// The fraction for this process, in (0, 1]; already divided by the number of shards.
    pub share: f64,
}

impl RateLimit {
    /// The most requests of this process per window; at least 1.
    pub fn budget(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a product of a u32 and a share in (0, 1] fits; float casts saturate"
        )]
        let budget = (f64::from(self.requests) * self.share).floor() as u32;
        budget.max(1)
    }
}

/// The settings of the audit logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditLogSettings {
    /// Whether they are read.
    pub enabled: bool,
    /// The time between two reads of a log; at least 1 s.
    pub interval: Duration,
    /// Whether to keep the names of those who made changes. If not, no name leaves the client.
    pub actors: bool,
}
