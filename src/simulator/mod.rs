//! The Cloudflare API in memory, for the demo and the tests.
