//! Every exposition equals one that is rendered from scratch, whatever is kept between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;
use prometheus::Registry;
use proptest::prelude::*;

use super::{SETTINGS, data, discovered, gunzip, mapping, now, parser, polled, slot};
use crate::domain::{OriginIp, ZoneName};
use crate::exposition::{Exposition, Form};
use crate::findings::{Check, ExpectedOrigin, ExpectedPlace, Source, ZoneFindings};
use crate::snapshot::{Directory, Snapshot, StaleAfter, ZoneSlot, ZoneState};

/// Enough for three blocks.
const ZONES: usize = 60;

/// An event between two scrapes.
#[derive(Debug, Clone)]
enum Event {
    /// A poll found these mappings (the last byte of an address, a region, days since a change) and
    /// this many missing ones.
    Good(usize, Vec<(u8, u8, Option<u8>)>, u8),
    /// A poll found nothing new.
    Unchanged(usize),
    /// The zone has been failing for too long.
    Dropped(usize),
    /// The zone was renamed, which changes its position.
    Renamed(usize, u8),
    /// Mappings become stale after this many days, or never.
    Stale(usize, Option<u8>),
    /// Discovery found exactly the zones whose numbers are not multiples of this.
    Discovered(usize),
    /// What has changed was compressed before the next scrape.
    Prepared,
}

fn event() -> impl Strategy<Value = Event> {
    let zone = 0..ZONES;
    let row = (0u8..40, 0u8..3, prop::option::of(0u8..100));
    prop_oneof![
        4 => (zone.clone(), prop::collection::vec(row, 0..6), 0u8..3)
            .prop_map(|(zone, rows, missing)| Event::Good(zone, rows, missing)),
        2 => zone.clone().prop_map(Event::Unchanged),
        1 => zone.clone().prop_map(Event::Dropped),
        1 => (zone.clone(), 0u8..200).prop_map(|(zone, name)| Event::Renamed(zone, name)),
        1 => (zone.clone(), prop::option::of(0u8..100))
            .prop_map(|(zone, days)| Event::Stale(zone, days)),
        2 => (2usize..70).prop_map(Event::Discovered),
        2 => Just(Event::Prepared),
    ]
}

fn good(zone: &ZoneState, rows: &[(u8, u8, Option<u8>)], missing: u8) -> ZoneState {
    let rows: BTreeMap<_, _> = rows
        .iter()
        .map(|&(ip, region, days)| (ip, (region, days)))
        .collect();
    let mappings = rows.into_iter().map(|(ip, (region, days))| {
        let modified_on = days.map(|days| now() - SignedDuration::from_hours(24 * i64::from(days)));
        let modified_on = modified_on.map(|time| time.to_string());
        mapping(
            &format!("192.0.2.{ip}"),
            "aws",
            &format!("region-{region}"),
            modified_on.as_deref(),
        )
    });
    let missing = (0..missing).map(|n| ExpectedOrigin {
        origin_ip: OriginIp::parse(&format!("198.51.100.{n}")).unwrap(),
        sources: [Source::Config].into_iter().collect(),
        hosts: Vec::new(),
        named_itself: true,
        check: None,
        place: ExpectedPlace::default(),
    });
    let findings = ZoneFindings {
        expected: [(Source::Config, 3)].into(),
        missing: missing.collect(),
        checks: [Check::Declared].into(),
        ..ZoneFindings::default()
    };
    ZoneState {
        polls: zone.polls + 1,
        zone: zone.zone.clone(),
        ..polled("id", "name", data(mappings.collect(), findings))
    }
}

fn apply(event: &Event, slots: &[Arc<ZoneSlot>], snapshot: &Snapshot) {
    let change = |zone: usize, change: &dyn Fn(&ZoneState) -> ZoneState| {
        let state = slots[zone].load();
        slots[zone].publish(change(&state));
    };
    match event {
        Event::Good(zone, rows, missing) => change(*zone, &|state| good(state, rows, *missing)),
        Event::Unchanged(zone) => change(*zone, &|state| ZoneState {
            polls: state.polls + 1,
            ..state.clone()
        }),
        Event::Dropped(zone) => change(*zone, &|state| ZoneState {
            data: None,
            ..state.clone()
        }),
        Event::Renamed(zone, name) => change(*zone, &|state| {
            let mut state = state.clone();
            state.zone.name = ZoneName::parse(&format!("renamed-{name}.example")).unwrap();
            state
        }),
        Event::Stale(zone, days) => change(*zone, &|state| ZoneState {
            stale_after: days.map_or(StaleAfter::Never, |days| {
                StaleAfter::Age(Duration::from_hours(24 * u64::from(days)))
            }),
            ..state.clone()
        }),
        Event::Discovered(divisor) => snapshot.publish(Directory {
            zones: slots
                .iter()
                .enumerate()
                .filter(|(number, _)| number % divisor != 0)
                .map(|(_, slot)| Arc::clone(slot))
                .collect(),
            ..Directory::default()
        }),
        Event::Prepared => {}
    }
}

/// How much time passes before a scrape, in milliseconds. Ages get more digits, and mappings stale.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => (0_i64..20).prop_map(|seconds| 1000 * seconds),
        2 => (0_i64..5_000_000).prop_map(|seconds| 1000 * seconds),
        1 => -1_000_000_i64..100_000_000,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_exposition_after_any_changes_equals_a_new_one(
        rounds in prop::collection::vec((prop::collection::vec(event(), 0..8), step()), 1..8),
    ) {
        let slots: Vec<_> = (0..ZONES)
            .map(|n| {
                let zone = discovered(&format!("id-{n}"), &format!("zone-{n}.example"));
                slot(good(&zone, &[(1, 1, Some(1)), (2, 2, None)], 1))
            })
            .collect();
        let snapshot = Snapshot::default();
        apply(&Event::Discovered(ZONES), &slots, &snapshot);
        let old = Exposition::new(SETTINGS, snapshot.clone(), Registry::new());
        let mut now = now();
        for (events, step) in rounds {
            for event in &events {
                apply(event, &slots, &snapshot);
                if matches!(event, Event::Prepared) {
                    old.shared.prepare();
                }
            }
            now += SignedDuration::from_millis(step);
            let new = Exposition::new(SETTINGS, snapshot.clone(), Registry::new());
            let expected = new.render_now(now, Form::TEXT);
            let gzip = old.render_now(now, Form::TEXT_GZIP);
            prop_assert_eq!(Bytes::from(gunzip(&gzip)), &expected);
            prop_assert_eq!(&old.render_now(now, Form::TEXT), &expected);
            prop_assert_eq!(new.render_now(now, Form::TEXT_GZIP), gzip);
            parser::parse(std::str::from_utf8(&expected).unwrap());
        }
    }
}
