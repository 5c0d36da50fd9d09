//! How the API is to be used.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Credentials;
use crate::domain::AccountName;

/// What all accounts share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The API's address, without a slash at its end. It may hold a user and a password: never
    /// print it whole.
    pub base_url: Url,
    /// A file of PEM certificates that are trusted beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// The rate limit of each account.
    pub rate_limit: RateLimit,
    /// Requests in flight at once, per account; at least 1.
    pub concurrency: usize,
    /// The time that one request may take, its body included.
    pub timeout: Duration,
    /// How often one request is tried again.
    pub retries: u32,
}

/// Cloudflare's limit and the share of it that this process may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests that Cloudflare allows in a window; at least 1.
    pub requests: u32,
    /// The window.
    pub window: Duration,
    /// The part of it for this process, in (0, 1]; already divided by the number of shards.
    pub share: f64,
}

impl RateLimit {
    /// Requests that this process allows itself in a window; at least 1.
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

/// One account.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Its name in the configuration.
    pub name: AccountName,
    /// What it proves itself with.
    pub credentials: Credentials,
}

/// How the audit logs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLogSettings {
    /// Whether they are read at all.
    pub enabled: bool,
    /// The time between two readings of one log; at least 1 s.
    pub interval: Duration,
    /// Whether the names of those who made changes are kept. Without it no name leaves the client.
    pub actors: bool,
}

impl Default for AuditLogSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_secs(30),
            actors: true,
        }
    }
}
