//! The real program over real HTTP, reading a simulated Cloudflare API that fails on purpose.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers say what they expect by failing"
)]
#![expect(
    clippy::float_cmp,
    reason = "counts are whole numbers, which the text format writes exactly"
)]

mod answers;
mod audit_log;
mod audit_log_faults;
mod backoff;
mod clock;
mod consistency;
mod credentials;
mod crowd;
mod descriptors;
mod discovery;
mod failing;
mod families;
mod log;
mod lying_pages;
mod openmetrics;
mod pauses;
mod privileges;
mod process;
mod prompts;
mod rate_limit;
mod reload;
mod retention;
mod rows;
mod scrape;
mod secrets;
mod selection;
mod soak;
mod soak_faults;
mod soak_restarts;
mod start;
mod storage;
mod supervision;
mod support;
mod transport;
mod unreachable;
