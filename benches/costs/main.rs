//! Benchmarks of the work that grows with zones and mappings: `cargo bench`.
//!
//! `cargo bench -- rendering` runs one group. `scripts/bench` measures the whole daemon under load.

#![expect(clippy::unwrap_used, reason = "a benchmark without input has to fail")]

mod findings;
mod parsing;
#[path = "../shared/published.rs"]
mod published;
mod ranges;
mod rendering;
#[path = "../shared/zones.rs"]
mod zones;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    rendering::bench(&mut criterion);
    parsing::bench(&mut criterion);
    findings::bench(&mut criterion);
    ranges::bench(&mut criterion);
    criterion.final_summary();
}
