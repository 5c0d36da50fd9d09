//! What the server shows, and what it can trigger.

use std::sync::Arc;

use tokio::sync::watch;

use super::probe::LookUp;
use super::reload::Reload;
use crate::cloudflare::AccountStatus;
use crate::exposition::Exposition;
use crate::history::History;
use crate::snapshot::Snapshot;

/// Returns the current status of all accounts.
pub type Accounts = Arc<dyn Fn() -> Vec<AccountStatus> + Send + Sync>;

/// Returns the base URL of Cloudflare's API.
pub type ApiUrl = Arc<dyn Fn() -> String + Send + Sync>;

/// The data and actions behind the routes.
pub struct Sources {
    /// The metrics.
    pub exposition: Exposition,
    /// The zones.
    pub snapshot: Snapshot,
    /// The changes.
    pub history: History,
    /// Becomes true when the first round of polls has finished.
    pub ready: watch::Receiver<bool>,
    /// The accounts.
    pub accounts: Accounts,
    /// The base URL of Cloudflare's API.
    pub api_url: ApiUrl,
    /// Looks up one mapping at Cloudflare.
    pub look_up: LookUp,
    /// Reloads the configuration; served only if enabled in the settings.
    pub reload: Reload,
}
