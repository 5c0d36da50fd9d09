//! The real program with `--storage.path`, killed, restarted and given bad disks.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers say what they expect by failing"
)]
#![expect(
    clippy::float_cmp,
    reason = "counts are whole numbers, which the text format writes exactly"
)]

mod disks;
mod kill;
mod restart;
mod support;
