//! A whole exposition, as served.

use super::{SETTINGS, data, directory, discovered, exposition, mapping, polled, text, time};
use crate::cloudflare::Reason;
use crate::domain::{AccountName, HostState, OriginIp, Region, Vendor};
use crate::findings::{
    Check, Effect, ExpectedOrigin, ExpectedPlace, Source, TieredCache, Unverified, WrongMapping,
    ZoneFindings,
};
use crate::snapshot::{AccountState, Directory, UnmatchedZones, ZoneCounts};

/// One zone with findings of every kind, and one that was never read successfully.
pub(super) fn small_installation() -> Directory {
    let mappings = vec![
        mapping(
            "192.0.2.1",
            "aws",
            "us-east-1",
            Some("2026-03-01T00:00:00Z"),
        ),
        mapping(
            "192.0.2.2",
            "aws",
            "us-east-1",
            Some("2026-01-01T00:00:00.25Z"),
        ),
        mapping("2001:db8::1", "gcp", "europe-west1", None),
    ];
    let findings = ZoneFindings {
        expected: [(Source::Config, 1), (Source::Dns, 2)].into(),
        missing: vec![ExpectedOrigin {
            origin_ip: OriginIp::parse("192.0.2.3").unwrap(),
            sources: [Source::Config].into_iter().collect(),
            hosts: Vec::new(),
            named_itself: true,
            check: None,
            place: ExpectedPlace {
                vendor: Some(Vendor::Azure),
                region: None,
            },
        }],
        wrong: vec![WrongMapping {
            origin_ip: OriginIp::parse("192.0.2.2").unwrap(),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            expected: ExpectedPlace {
                vendor: Some(Vendor::Aws),
                region: Some(Region::parse("eu-west-1").unwrap()),
            },
            check: Check::VendorRanges,
            effect: Effect::OtherTiers,
        }],
        checks: [Check::Declared, Check::VendorRanges].into(),
        unverified: [(Unverified::RegionUnknown, 1)].into(),
        unused: Some(vec![mapping("2001:db8::1", "gcp", "europe-west1", None)]),
        hosts: Some([(HostState::Resolved, 2), (HostState::Failing, 0)].into()),
        ..ZoneFindings::default()
    };
    let mut example = polled("023e105f", "example.com", data(mappings, findings));
    example.tiered_cache = TieredCache {
        enabled: Some(true),
        smart_enabled: Some(false),
    };
    let mut silent = discovered("f00d", "quote\"d.example");
    silent.polls = 2;
    silent.errors = [(Reason::Timeout, 2)].into();
    Directory {
        accounts: vec![AccountState {
            name: AccountName::parse("production").unwrap(),
            up: Some(true),
            last_success: Some(time("2026-03-01T11:58:00Z")),
            error: None,
            zones: ZoneCounts {
                polled: 2,
                filtered: 1,
                ..ZoneCounts::default()
            },
        }],
        unmatched: UnmatchedZones {
            include: vec!["*.nowhere".to_owned()],
            ..UnmatchedZones::default()
        },
        ..directory(vec![example, silent])
    }
}

#[test]
fn a_small_installation_looks_like_this() {
    let text = text(&exposition(SETTINGS, small_installation()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write("src/exposition/tests/golden.prom", &text).unwrap();
    }
    assert_eq!(text, include_str!("golden.prom"));
}
