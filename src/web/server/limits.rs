//! What one client, and all of them together, may cost.

use std::time::Duration;

/// The bounds of the server. The defaults are for production; tests shorten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Time for a connection to send one whole request head, from its start or from the end of
    /// the response before. It closes idle keep-alive connections too.
    pub head_timeout: Duration,
    /// Time for a TLS handshake, which comes before that.
    pub handshake_timeout: Duration,
    /// Time after which a response is cut if the client reads none of it.
    pub stall_timeout: Duration,
    /// Bytes a second that a client must read of a response, after a first `stall_timeout`. A
    /// scraper gives up long before.
    pub least_rate: u64,
    /// Time for the responses in flight at a shutdown.
    pub drain_timeout: Duration,
    /// Bytes of a request head; a longer one gets 431. Scrapers send less than 1 kB, browsers with
    /// the cookies of a shared domain some kilobytes.
    pub head_bytes: usize,
    /// Connections that are open at once, half of them at most from one peer. Beyond it one that
    /// can be spared is closed. With `head_bytes` it bounds what requests hold in memory (16 MB),
    /// and it stays below the usual limit of 1024 open files.
    pub connections: usize,
    /// Requests that one HTTP/2 connection may have in flight. Scrapers use one, browsers a few.
    pub http2_streams: u32,
}

impl Limits {
    /// Time for a client to read a response of this length.
    pub(super) fn allowance(&self, bytes: usize) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let seconds = bytes.checked_div(self.least_rate).unwrap_or(u64::MAX);
        self.stall_timeout
            .saturating_add(Duration::from_secs(seconds))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            least_rate: 128 << 10,
            drain_timeout: Duration::from_secs(5),
            head_bytes: 32 << 10,
            connections: 512,
            http2_streams: 32,
        }
    }
}
