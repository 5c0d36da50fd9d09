//! Limits on resources per client and in total.

use std::time::Duration;

/// The limits of the server. The defaults are for production; tests shorten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Time for a connection to send a complete request head, from its start or the end of the
    /// previous response. It also closes idle keep-alive connections.
    pub head_timeout: Duration,
    /// Time for a TLS handshake, before the first request head.
    pub handshake_timeout: Duration,
    /// Time in which a client must read a chunk of a response; otherwise the response is aborted.
    pub stall_timeout: Duration,
    /// The least bytes per second of a response that a client must read, after an initial
    /// `stall_timeout`. Scrapers give up much earlier.
    pub least_rate: u64,
    /// Time for responses in flight at shutdown.
    pub drain_timeout: Duration,
    /// The largest request head in bytes; a longer one gets 431. Scrapers send less than 1 kB, and
    /// browsers with the cookies of a shared domain a few kilobytes.
    pub head_bytes: usize,
    /// The most open connections, at most half of them from one peer. Beyond that, an expendable
    /// one is closed. With `head_bytes` it limits the memory of requests (16 MB), and it stays
    /// below the usual limit of 1024 open files.
    pub connections: usize,
    /// The most requests in flight on an HTTP/2 connection. Scrapers use one, browsers a few.
    pub http2_streams: u32,
}

impl Limits {
    /// How long a client may take to read a response of this length.
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
