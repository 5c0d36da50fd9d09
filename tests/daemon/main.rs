//! The program over real HTTP, against a simulated Cloudflare API with faults.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]
#![expect(
    clippy::float_cmp,
    reason = "counts are whole numbers, which the text format represents exactly"
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
