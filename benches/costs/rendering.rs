//! Renders the exposition of 1,000 zones: the first one, and later ones after no change, after the
//! clock has moved, and after one zone in a hundred has changed.

use std::hint::black_box;

use cloudflare_origin_region_exporter::exposition::Form;
use criterion::{BatchSize, Criterion};

use crate::published::Published;
use crate::zones::now;

const ZONES: usize = 1000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rendering");
    group.sample_size(20);
    for (name, encoding) in [("identity", Form::TEXT), ("gzip", Form::TEXT_GZIP)] {
        let mut world = Published::new(ZONES);
        group.bench_function(format!("{name}, first"), |bencher| {
            bencher.iter_batched(
                || world.exposition(),
                |exposition| (exposition.render_now(now(), encoding), exposition),
                BatchSize::PerIteration,
            );
        });
        let exposition = world.exposition();
        exposition.render_now(world.now, encoding);
        group.bench_function(format!("{name}, nothing changed"), |bencher| {
            bencher.iter(|| exposition.render_now(black_box(now()), encoding));
        });
        group.bench_function(format!("{name}, clock moved"), |bencher| {
            bencher.iter(|| exposition.render_now(world.move_clock(), encoding));
        });
        for (change, with_news) in [("polled", false), ("changed", true)] {
            group.bench_function(format!("{name}, 1 % {change}"), |bencher| {
                bencher.iter(|| {
                    world.poll_some(100, with_news);
                    exposition.render_now(world.move_clock(), encoding)
                });
            });
        }
    }
    group.finish();
}
