//! Work for `scripts/count-instructions`, which counts its instructions: `counts WORK TIMES`. The
//! count of a single execution is the difference between runs with different `TIMES`, so setup is
//! not included.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement without input has to fail; the usage is printed"
)]

mod poll;
#[path = "../shared/published.rs"]
mod published;
#[path = "../shared/zones.rs"]
mod zones;

use std::hint::black_box;

use cloudflare_origin_region_exporter::cloudflare::MappingList;
use cloudflare_origin_region_exporter::exposition::Form;

use self::published::Published;

/// Fills two blocks of zones that are compressed together.
const ZONES: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (work, times) = match arguments.as_slice() {
        [work, times] => (work.as_str(), times.parse::<usize>().unwrap()),
        _ => return println!("run by scripts/count-instructions"),
    };
    match work {
        "first_gzip" => {
            let world = Published::new(ZONES);
            for _ in 0..times {
                black_box(world.exposition().render_now(world.now, Form::TEXT_GZIP));
            }
        }
        "gzip" => scrapes(times, Form::TEXT_GZIP, |_| {}),
        "gzip_after_polls" => scrapes(times, Form::TEXT_GZIP, |world| world.poll_some(20, false)),
        "gzip_after_changes" => scrapes(times, Form::TEXT_GZIP, |world| world.poll_some(20, true)),
        "identity" => scrapes(times, Form::TEXT, |_| {}),
        "page" => {
            let page = zones::page();
            for _ in 0..times {
                black_box(MappingList::from_page(black_box(&page)).unwrap());
            }
        }
        "poll" => poll::polls(times),
        other => panic!("{other} is not known"),
    }
}

/// Scrapes some seconds apart, and calls `between` before each.
fn scrapes(times: usize, form: Form, mut between: impl FnMut(&mut Published)) {
    let mut world = Published::new(ZONES);
    let exposition = world.exposition();
    exposition.render_now(world.now, form);
    for _ in 0..times {
        between(&mut world);
        black_box(exposition.render_now(world.move_clock(), form));
    }
}
