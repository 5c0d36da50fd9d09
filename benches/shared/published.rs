//! Publishes generated zones.

use std::sync::Arc;

use cloudflare_origin_region_exporter::exposition::{
    BuildInfo, Exposition, Settings, WHOLE_AT_MOST,
};
use cloudflare_origin_region_exporter::snapshot::{Directory, Snapshot, ZoneSlot};
use jiff::{SignedDuration, Timestamp};
use prometheus::Registry;

use crate::zones::{generated, now, polled};

const SETTINGS: Settings = Settings {
    detail: true,
    whole_at_most: WHOLE_AT_MOST,
    build: BuildInfo {
        version: "0",
        revision: "",
        rustc: "",
    },
};

/// A published world, and a clock that moves by about the interval between Prometheus' scrapes.
pub(crate) struct Published {
    snapshot: Snapshot,
    zones: Vec<Arc<ZoneSlot>>,
    pub(crate) now: Timestamp,
    turn: usize,
}

impl Published {
    pub(crate) fn new(zones: usize) -> Self {
        let zones: Vec<_> = generated(zones)
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

    pub(crate) fn exposition(&self) -> Exposition {
        Exposition::new(SETTINGS, self.snapshot.clone(), Registry::new())
    }

    pub(crate) fn move_clock(&mut self) -> Timestamp {
        self.now += SignedDuration::from_secs(5);
        self.now
    }

    /// Publishes one in this many zones, different ones each time, as after a poll without changes
    /// or with one mapping less.
    pub(crate) fn poll_some(&mut self, one_in: usize, with_news: bool) {
        self.turn += 1;
        for slot in self.zones.iter().skip(self.turn % one_in).step_by(one_in) {
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
