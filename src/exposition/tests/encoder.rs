//! Compares the output with that of the `prometheus` crate's encoder.

use std::time::Duration;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry, TextEncoder};
use proptest::prelude::*;

use super::golden::small_installation;
use super::{SETTINGS, directory, exposition, parser, polled, text};
use crate::domain::{AccountName, Mapping, OriginIp, Region, Vendor, ZoneName};
use crate::exposition::{Exposition, Form};
use crate::findings::ZoneFindings;
use crate::metric_families;
use crate::snapshot::Snapshot;

/// The output of the `prometheus` crate for the same families.
fn encoded(text: &str) -> String {
    let families: Vec<_> = parser::parse(text).iter().map(proto).collect();
    TextEncoder::new().encode_to_string(&families).unwrap()
}

fn proto(family: &parser::Family) -> MetricFamily {
    let counter = family.kind == "counter";
    let metrics = family.samples.iter().map(|sample| {
        let value = sample.value.parse().unwrap();
        let labels = sample.labels.iter().map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.clone());
            pair.set_value(value.clone());
            pair
        });
        let mut metric = Metric::from_label(labels.collect());
        if counter {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    });
    let mut proto = MetricFamily::default();
    proto.set_name(family.name.clone());
    proto.set_help(family.help.clone());
    proto.set_field_type(if counter {
        MetricType::COUNTER
    } else {
        MetricType::GAUGE
    });
    proto.set_metric(metrics.collect());
    proto
}

#[test]
fn a_small_installation_is_written_as_the_encoder_writes_it() {
    let text = text(&exposition(SETTINGS, small_installation()));
    assert_eq!(text, encoded(&text));
}

#[test]
fn every_family_has_the_name_type_help_and_labels_of_the_table() {
    let text = text(&exposition(SETTINGS, small_installation()));
    for found in parser::parse(&text) {
        let family = metric_families::all()
            .find(|family| family.name == found.name)
            .unwrap_or_else(|| panic!("{} is not in the table", found.name));
        assert_eq!(found.help, family.help);
        assert_eq!(found.kind, family.kind.as_str());
        for sample in found.samples {
            let labels: Vec<_> = sample
                .labels
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            assert_eq!(labels, family.labels, "{}", family.name);
        }
    }
}

#[test]
fn the_registry_is_exposed_and_its_empty_families_are_not() {
    let registry = Registry::new();
    let used = IntCounter::new("used_total", "Used.").unwrap();
    let unused = IntCounterVec::new(Opts::new("unused_total", "Unused."), &["a"]).unwrap();
    registry.register(Box::new(used.clone())).unwrap();
    registry.register(Box::new(unused)).unwrap();
    used.inc();
    let exposition = Exposition::new(SETTINGS, Snapshot::default(), registry);
    let text = text(&exposition);
    assert!(text.ends_with("# HELP used_total Used.\n# TYPE used_total counter\nused_total 1\n"));
    assert!(!text.contains("unused"));
}

/// Texts with many characters that need escaping.
fn odd_text() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        any::<char>(),
        prop::sample::select(&['\\', '"', '\n', '{', '}', ',', '=', ' ', '#', 'n'][..]),
    ];
    prop::collection::vec(char, 1..20).prop_map(|chars| format!("x{}y", String::from_iter(chars)))
}

proptest! {
    #[test]
    fn any_label_reads_back_and_is_written_as_the_encoder_writes_it(
        name in odd_text(), account in odd_text(), status in odd_text(), plan in odd_text(),
        vendor in odd_text(), region in odd_text(),
        nanoseconds in -1_000_000_000_000_000_000_i128..4_000_000_000_000_000_000,
        duration: u32,
    ) {
        let origin = Mapping {
            origin_ip: OriginIp::parse("2001:db8::1").unwrap(),
            vendor: Vendor::parse(&vendor).unwrap(),
            region: Region::parse(&region).unwrap(),
            modified_on: Some(jiff::Timestamp::from_nanosecond(nanoseconds).unwrap()),
        };
        let data = super::data(vec![origin], ZoneFindings::default());
        let mut zone = polled("z", "zone", data);
        zone.zone.name = ZoneName::parse(&name).unwrap();
        zone.zone.status = status.as_str().into();
        zone.zone.plan = plan.as_str().into();
        zone.account = AccountName::parse(&account).unwrap();
        zone.last_poll.as_mut().unwrap().duration = Duration::from_micros(duration.into());
        let text = text(&exposition(SETTINGS, directory(vec![zone])));
        prop_assert_eq!(&text, &encoded(&text));

        let value_of = |family: &metric_families::Family, label: &str| {
            let parsed = parser::parse(&text);
            let found = parsed.iter().find(|found| found.name == family.name).unwrap();
            found.samples[0].labels.iter().find(|(name, _)| name == label).unwrap().1.clone()
        };
        prop_assert_eq!(value_of(&metric_families::ZONE_INFO, "zone"), name);
        prop_assert_eq!(value_of(&metric_families::ZONE_INFO, "account"), account);
        prop_assert_eq!(value_of(&metric_families::ZONE_INFO, "status"), status);
        prop_assert_eq!(value_of(&metric_families::ZONE_INFO, "plan"), plan);
        prop_assert_eq!(value_of(&metric_families::MAPPING_INFO, "vendor"), vendor);
        prop_assert_eq!(value_of(&metric_families::MAPPING_INFO, "region"), region);
    }
}

#[test]
fn identity_is_what_gzip_holds_at_another_time_too() {
    let exposition = exposition(SETTINGS, small_installation());
    let later = super::time("2026-03-02T00:00:00.123456789Z");
    let identity = exposition.render_now(later, Form::TEXT);
    let gzip = exposition.render_now(later, Form::TEXT_GZIP);
    assert_eq!(super::gunzip(&gzip).as_bytes(), &identity[..]);
}
