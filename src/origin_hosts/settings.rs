//! How host names are resolved.

use std::net::SocketAddr;
use std::time::Duration;

/// How origin hosts are resolved and remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name servers to query; the system's if empty.
    pub nameservers: Vec<SocketAddr>,
    /// How long an address counts after the last good answer that contained it; at least 1 s.
    pub window: Duration,
    /// A host with more addresses than this in the window is rotating; at least 1.
    pub rotating_above: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            window: Duration::from_hours(24),
            rotating_above: 16,
        }
    }
}
