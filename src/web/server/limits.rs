//! What one client, and all of them together, may cost.

use std::time::Duration;

/// The bounds of the server. The defaults are for production; tests shorten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Time for a connection to send one whole request head, from its start or from the end of
    /// the response before; idle keep-alive connections are closed by it too.
    pub head_timeout: Duration,
    /// Time for a TLS handshake, which comes before that.
    pub handshake_timeout: Duration,
    /// Time after which a response is cut if the client takes none of it.
    pub stall_timeout: Duration,
    /// Time for the responses in flight when the server is told to end.
    pub drain_timeout: Duration,
    /// Bytes of a request head; a longer one gets 431. Real scrapers send less than 1 kB, and
    /// browsers with the cookies of a shared domain some kilobytes.
    pub head_bytes: usize,
    /// Connections that are open at once. Beyond it the one that has been waiting longest for its
    /// next request is closed, so that silent connections do not lock out a scraper. With
    /// `head_bytes` it bounds what requests hold in memory (16 MB), and it stays below the usual
    /// limit of 1024 open files.
    pub connections: usize,
    /// Requests that one HTTP/2 connection may have in flight. Scrapers use one, browsers a few.
    pub http2_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
            head_bytes: 32 << 10,
            connections: 512,
            http2_streams: 32,
        }
    }
}
