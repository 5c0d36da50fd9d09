//! Under which conditions series exist.

use std::time::Duration;

use super::{
    SETTINGS, data, directory, discovered, exposition, families, mapping, parser, polled, text,
};
use crate::cloudflare::Reason;
use crate::domain::{AccountName, OriginIp, Region, Vendor, Zone, ZoneId};
use crate::exposition::Settings;
use crate::findings::{
    Check, Effect, ExpectedOrigin, ExpectedPlace, Source, TieredCache, Unverified, WrongMapping,
    ZoneFindings,
};
use crate::metric_families::{self as table, Family};
use crate::snapshot::{AccountState, ChangeCounts, Directory, StaleAfter, ZoneCounts, ZoneState};

fn shown(zone: &ZoneState, family: &Family) -> Vec<String> {
    let found = families(zone.clone());
    let found = found.iter().find(|found| found.name == family.name);
    found.map(parser::Family::shown).unwrap_or_default()
}

/// The names of the families with a series of the zone, without their prefix.
fn names(zone: &ZoneState) -> Vec<String> {
    let found = families(zone.clone()).into_iter();
    found
        .filter(|family| {
            family.samples[0]
                .labels
                .iter()
                .any(|(name, _)| name == "zone")
        })
        .map(|family| family.name["cloudflare_origin_region_".len()..].to_owned())
        .collect()
}

fn with_findings(findings: ZoneFindings) -> ZoneState {
    polled("a", "a.example", data(Vec::new(), findings))
}

#[test]
fn a_zone_that_was_not_polled_yet() {
    let zone = discovered("a", "a.example");
    let expected = [
        "zone_info",
        "zone_poll_interval_seconds",
        "zone_polls_total",
        "zone_rejected_rows_total",
    ];
    assert_eq!(names(&zone), expected);
    assert_eq!(
        shown(&zone, &table::ZONE_INFO),
        ["account=production status=active plan=Enterprise Website → 1"]
    );
    assert_eq!(shown(&zone, &table::ZONE_POLL_INTERVAL), ["→ 300"]);
    assert_eq!(shown(&zone, &table::ZONE_POLLS), ["→ 0"]);
    assert_eq!(shown(&zone, &table::ZONE_REJECTED_ROWS), ["→ 0"]);
}

#[test]
fn a_zone_of_which_only_the_id_is_known_is_shown_under_it() {
    let mut zone = discovered("a", "a.example");
    zone.zone = Zone::unknown(ZoneId::parse("0123abcd").unwrap());
    let found = families(zone);
    let info = found
        .iter()
        .find(|family| family.name == table::ZONE_INFO.name);
    let labels: Vec<_> = info.unwrap().samples[0]
        .labels
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(labels, ["0123abcd", "0123abcd", "production", "", ""]);
}

#[test]
fn an_empty_zone_that_was_read_counts_zero() {
    let zone = polled("a", "a.example", data(Vec::new(), ZoneFindings::default()));
    assert_eq!(
        names(&zone),
        [
            "zone_info",
            "zone_up",
            "zone_last_success_timestamp_seconds",
            "zone_poll_duration_seconds",
            "zone_poll_interval_seconds",
            "zone_polls_total",
            "zone_rejected_rows_total",
            "zone_mappings",
            "mapping_changes_total",
            "stale_after_seconds",
            "stale_mappings",
        ]
    );
    assert_eq!(shown(&zone, &table::ZONE_MAPPINGS), ["→ 0"]);
    assert_eq!(shown(&zone, &table::ZONE_UP), ["→ 1"]);
    assert_eq!(shown(&zone, &table::ZONE_LAST_SUCCESS), ["→ 1772366340"]);
    assert_eq!(shown(&zone, &table::ZONE_POLL_DURATION), ["→ 0.25"]);
    assert_eq!(
        shown(&zone, &table::MAPPING_CHANGES),
        [
            "change=added → 0",
            "change=removed → 0",
            "change=changed → 0"
        ]
    );
}

#[test]
fn a_failed_poll_lowers_up_and_shows_the_reasons_that_were_seen() {
    let mut zone = discovered("a", "a.example");
    zone.last_poll = polled("a", "a", data(Vec::new(), ZoneFindings::default())).last_poll;
    zone.last_poll.as_mut().unwrap().error = Some("timed out".into());
    zone.errors = [(Reason::Timeout, 2), (Reason::ServerError, 1)].into();
    assert_eq!(shown(&zone, &table::ZONE_UP), ["→ 0"]);
    assert_eq!(shown(&zone, &table::ZONE_LAST_SUCCESS), [""; 0]);
    assert_eq!(
        shown(&zone, &table::ZONE_POLL_ERRORS),
        ["reason=timeout → 2", "reason=server_error → 1"]
    );
}

#[test]
fn after_the_retention_only_what_is_about_polls_remains() {
    let mut zone = polled("a", "a.example", data(Vec::new(), ZoneFindings::default()));
    zone.data = None;
    zone.changes = Some(ChangeCounts {
        added: 1,
        removed: 2,
        changed: 3,
    });
    assert_eq!(
        names(&zone),
        [
            "zone_info",
            "zone_up",
            "zone_last_success_timestamp_seconds",
            "zone_poll_duration_seconds",
            "zone_poll_interval_seconds",
            "zone_polls_total",
            "zone_rejected_rows_total",
            "mapping_changes_total",
        ]
    );
    assert_eq!(
        shown(&zone, &table::MAPPING_CHANGES),
        [
            "change=added → 1",
            "change=removed → 2",
            "change=changed → 3"
        ]
    );
}

#[test]
fn mappings_are_counted_and_aged_by_vendor_and_region() {
    let mappings = vec![
        mapping(
            "192.0.2.1",
            "aws",
            "us-east-1",
            Some("2026-03-01T11:00:00Z"),
        ),
        mapping(
            "192.0.2.2",
            "aws",
            "us-east-1",
            Some("2026-02-01T12:00:00.5Z"),
        ),
        mapping("192.0.2.3", "aws", "us-east-1", None),
        mapping("192.0.2.4", "hetzner", "fsn1", None),
        // Cloudflare's clock may be ahead of this one.
        mapping(
            "192.0.2.5",
            "oci",
            "us-ashburn-1",
            Some("2026-03-01T12:00:05Z"),
        ),
    ];
    let zone = polled("a", "a.example", data(mappings, ZoneFindings::default()));
    assert_eq!(shown(&zone, &table::ZONE_MAPPINGS), ["→ 5"]);
    assert_eq!(
        shown(&zone, &table::MAPPINGS),
        [
            "vendor=aws region=us-east-1 → 3",
            "vendor=oci region=us-ashburn-1 → 1",
            "vendor=hetzner region=fsn1 → 1",
        ]
    );
    assert_eq!(
        shown(&zone, &table::OLDEST_MAPPING_AGE),
        [
            "vendor=aws region=us-east-1 → 2419199.5",
            "vendor=oci region=us-ashburn-1 → 0"
        ]
    );
    assert_eq!(
        shown(&zone, &table::NEWEST_MAPPING_AGE),
        [
            "vendor=aws region=us-east-1 → 3600",
            "vendor=oci region=us-ashburn-1 → 0"
        ]
    );
    assert_eq!(shown(&zone, &table::MAPPING_INFO).len(), 5);
    assert_eq!(
        shown(&zone, &table::MAPPING_LAST_MODIFIED),
        [
            "origin_ip=192.0.2.1 vendor=aws region=us-east-1 → 1772362800",
            "origin_ip=192.0.2.2 vendor=aws region=us-east-1 → 1769947200.5",
            "origin_ip=192.0.2.5 vendor=oci region=us-ashburn-1 → 1772366405",
        ]
    );
}

#[test]
fn a_mapping_is_stale_once_its_age_exceeds_the_threshold() {
    let mappings = vec![
        mapping(
            "192.0.2.1",
            "aws",
            "us-east-1",
            Some("2026-02-28T12:00:00Z"),
        ),
        mapping(
            "192.0.2.2",
            "aws",
            "us-east-1",
            Some("2026-02-28T11:59:59.999Z"),
        ),
        mapping("192.0.2.3", "aws", "us-east-1", None),
    ];
    let mut zone = polled("a", "a.example", data(mappings, ZoneFindings::default()));
    assert_eq!(shown(&zone, &table::STALE_MAPPINGS), ["→ 1"]);
    assert_eq!(shown(&zone, &table::STALE_AFTER), ["→ 86400"]);
    zone.stale_after = StaleAfter::Age(Duration::MAX);
    assert_eq!(shown(&zone, &table::STALE_MAPPINGS), ["→ 0"]);
    zone.stale_after = StaleAfter::Never;
    assert_eq!(shown(&zone, &table::STALE_MAPPINGS), [""; 0]);
    assert_eq!(shown(&zone, &table::STALE_AFTER), [""; 0]);
}

#[test]
fn without_detail_just_the_two_families_of_each_mapping_are_left_out() {
    let mappings = vec![mapping(
        "192.0.2.1",
        "aws",
        "us-east-1",
        Some("2026-02-28T12:00:00Z"),
    )];
    let zone = polled("a", "a.example", data(mappings, ZoneFindings::default()));
    let names = |detail| {
        let settings = Settings { detail, ..SETTINGS };
        let text = text(&exposition(settings, directory(vec![zone.clone()])));
        let names = parser::parse(&text).into_iter().map(|family| family.name);
        names.collect::<Vec<_>>()
    };
    let mut all = names(true);
    let detail = [table::MAPPING_INFO.name, table::MAPPING_LAST_MODIFIED.name];
    assert!(
        detail
            .iter()
            .all(|name| all.iter().any(|found| found == name))
    );
    all.retain(|name| !detail.contains(&name.as_str()));
    assert_eq!(names(false), all);
}

#[test]
fn nothing_missing_is_shown_as_zero_where_something_is_expected() {
    let nothing_expected = with_findings(ZoneFindings::default());
    assert_eq!(shown(&nothing_expected, &table::EXPECTED_ORIGINS), [""; 0]);
    assert_eq!(shown(&nothing_expected, &table::MISSING_MAPPINGS), [""; 0]);
    let expected = with_findings(ZoneFindings {
        expected: [(Source::Dns, 3), (Source::LoadBalancer, 0)].into(),
        ..ZoneFindings::default()
    });
    assert_eq!(
        shown(&expected, &table::EXPECTED_ORIGINS),
        ["source=load_balancer → 0", "source=dns → 3"]
    );
    assert_eq!(shown(&expected, &table::MISSING_MAPPINGS), ["→ 0"]);
}

#[test]
fn five_hundred_missing_and_wrong_mappings_are_listed_and_all_are_counted() {
    let ip = |n: u32| OriginIp::from(std::net::IpAddr::from(std::net::Ipv4Addr::from(n)));
    let missing = (0..501).map(|n| ExpectedOrigin {
        origin_ip: ip(n),
        sources: [Source::Dns].into_iter().collect(),
        hosts: Vec::new(),
        named_itself: true,
        check: None,
        place: ExpectedPlace::default(),
    });
    let wrong = (0..501).map(|n| WrongMapping {
        origin_ip: ip(n),
        vendor: Vendor::Gcp,
        region: Region::parse("a").unwrap(),
        expected: ExpectedPlace {
            vendor: None,
            region: Some(Region::parse("b").unwrap()),
        },
        check: Check::Declared,
        effect: Effect::Unknown,
    });
    let zone = with_findings(ZoneFindings {
        expected: [(Source::Dns, 501)].into(),
        missing: missing.collect(),
        wrong: wrong.collect(),
        checks: Check::ALL.into(),
        ..ZoneFindings::default()
    });
    assert_eq!(shown(&zone, &table::MISSING_MAPPINGS), ["→ 501"]);
    let listed = shown(&zone, &table::MISSING_MAPPING);
    assert_eq!(listed.len(), 500);
    assert_eq!(
        listed[1],
        "origin_ip=0.0.0.1 source=dns host= expected_vendor= expected_region= → 1"
    );
    assert_eq!(
        shown(&zone, &table::WRONG_MAPPINGS),
        [
            "check=declared → 501",
            "check=host_name → 0",
            "check=vendor_ranges → 0",
            "check=supported_regions → 0"
        ]
    );
    let listed = shown(&zone, &table::WRONG_MAPPING);
    assert_eq!(listed.len(), 500);
    assert_eq!(
        listed[1],
        "origin_ip=0.0.0.1 vendor=gcp region=a expected_vendor= expected_region=b check=declared effect=unknown → 1"
    );
}

#[test]
fn unverified_mappings_are_shown_where_the_ranges_were_asked() {
    let mut findings = ZoneFindings {
        unverified: [(Unverified::NotInRanges, 2)].into(),
        ..ZoneFindings::default()
    };
    assert_eq!(
        shown(
            &with_findings(findings.clone()),
            &table::UNVERIFIED_MAPPINGS
        ),
        [""; 0]
    );
    findings.checks = [Check::VendorRanges].into();
    assert_eq!(
        shown(&with_findings(findings), &table::UNVERIFIED_MAPPINGS),
        ["reason=not_in_ranges → 2", "reason=region_unknown → 0"]
    );
}

#[test]
fn tiered_cache_is_shown_where_it_is_known() {
    let mut zone = discovered("a", "a.example");
    zone.tiered_cache = TieredCache {
        enabled: Some(true),
        smart_enabled: None,
    };
    assert_eq!(shown(&zone, &table::TIERED_CACHE_ENABLED), ["→ 1"]);
    assert_eq!(shown(&zone, &table::SMART_TIERED_CACHE_ENABLED), [""; 0]);
    zone.tiered_cache = TieredCache {
        enabled: None,
        smart_enabled: Some(false),
    };
    assert_eq!(shown(&zone, &table::TIERED_CACHE_ENABLED), [""; 0]);
    assert_eq!(shown(&zone, &table::SMART_TIERED_CACHE_ENABLED), ["→ 0"]);
}

#[test]
fn accounts_are_shown_from_the_start_and_their_discovery_once_it_was_tried() {
    let account = |name: &str, up| AccountState {
        name: AccountName::parse(name).unwrap(),
        up,
        last_success: None,
        error: None,
        zones: ZoneCounts::default(),
    };
    let found = Directory {
        accounts: vec![account("z-first", None), account("a-second", Some(false))],
        ..Directory::default()
    };
    let found = parser::parse(&text(&exposition(SETTINGS, found)));
    let shown = |family: &Family| {
        let found = found.iter().find(|found| found.name == family.name);
        found.map(parser::Family::shown).unwrap_or_default()
    };
    let zones = shown(&table::EXPORTER_ZONES);
    assert_eq!(zones.len(), 8);
    assert_eq!(zones[0], "account=z-first state=polled → 0");
    assert_eq!(zones[7], "account=a-second state=duplicate → 0");
    assert_eq!(shown(&table::DISCOVERY_UP), ["account=a-second → 0"]);
    assert_eq!(shown(&table::DISCOVERY_LAST_SUCCESS), [""; 0]);
    assert_eq!(
        shown(&table::UNMATCHED_ZONES),
        [
            "kind=ids → 0",
            "kind=include → 0",
            "kind=expect → 0",
            "kind=zone_overrides → 0"
        ]
    );
    assert_eq!(shown(&table::ZONE_MAPPINGS_LIMIT), ["→ 3500"]);
    assert_eq!(
        shown(&table::BUILD_INFO),
        ["version=1.2.3 revision=abc rustc=1.95.0 → 1"]
    );
}
