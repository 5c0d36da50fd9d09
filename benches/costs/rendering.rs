//! The exposition of 1,000 zones: the first one, and those after nothing, the clock or one zone in
//! a hundred has changed.

use std::hint::black_box;
use std::sync::Arc;

use cloudflare_origin_region_exporter::exposition::{BuildInfo, Exposition, Form, Settings};
use cloudflare_origin_region_exporter::snapshot::{Directory, Snapshot, ZoneSlot};
use criterion::{BatchSize, Criterion};
use jiff::{SignedDuration, Timestamp};
use prometheus::Registry;

use crate::zones::{generated, now, polled};

const ZONES: usize = 1000;
const SETTINGS: Settings = Settings {
    detail: true,
    build: BuildInfo {
        version: "0",
        revision: "",
        rustc: "",
    },
};

/// A published world, and a clock that moves as far as Prometheus' scrapes are apart.
struct Published {
    snapshot: Snapshot,
    zones: Vec<Arc<ZoneSlot>>,
    now: Timestamp,
    turn: usize,
}

impl Published {
    fn new() -> Self {
        let zones: Vec<_> = generated(ZONES)
            .into_iter()
            .map(|(zone, mappings)| {
                let id = zone.id.clone();
                Arc::new(ZoneSlot::new(id, polled(zone, mappings)))
            })
            .collect();
        let snapshot = Snapshot::default();
        snapshot.publish(Directory {
            zones: zones.clone(),
            ..Directory::default()
        });
        Self {
            snapshot,
            zones,
            now: now(),
            turn: 0,
        }
    }

    fn exposition(&self) -> Exposition {
        Exposition::new(SETTINGS, self.snapshot.clone(), Registry::new())
    }

    fn move_clock(&mut self) -> Timestamp {
        self.now += SignedDuration::from_millis(5003);
        self.now
    }

    /// Publishes one zone in a hundred, other ones each time: polled without news, or with one
    /// mapping less or more.
    fn poll_some(&mut self, with_news: bool) {
        self.turn += 1;
        for slot in self.zones.iter().skip(self.turn % 100).step_by(100) {
            let mut state = (*slot.load()).clone();
            state.polls += 1;
            state.last_success = Some(self.now);
            if with_news && let Some(data) = &mut state.data {
                let mut rows = data.mappings.as_slice().to_vec();
                let other = self.turn % rows.len();
                rows.swap_remove(other);
                state = polled(state.zone, rows);
            }
            slot.publish(state);
        }
    }
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rendering");
    group.sample_size(20);
    for (name, encoding) in [("identity", Form::TEXT), ("gzip", Form::TEXT_GZIP)] {
        let mut world = Published::new();
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
                    world.poll_some(with_news);
                    exposition.render_now(world.move_clock(), encoding)
                });
            });
        }
    }
    group.finish();
}
