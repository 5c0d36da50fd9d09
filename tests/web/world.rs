//! Sample snapshots.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::{
    AccountName, HostName, HostState, Mapping, OriginIp, Region, Vendor, Zone, ZoneId,
    ZoneMappings, ZoneName,
};
use cloudflare_origin_region_exporter::findings::{
    Check, Effect, ExpectedOrigin, ExpectedPlace, FindingKind, LeftOut, LeftOutReason, Source,
    TieredCache, UnresolvedHost, UnsupportedDeclaration, WrongMapping, ZoneFindings,
};
use cloudflare_origin_region_exporter::history::{ChangeKind, Details, History};
use cloudflare_origin_region_exporter::snapshot::{
    AccountState, Directory, LastPoll, StaleAfter, ZoneCounts, ZoneData, ZoneSlot, ZoneState,
};
use jiff::Timestamp;

pub(crate) fn zone(id: &str, name: &str) -> ZoneState {
    let zone = Zone {
        name: ZoneName::parse(name).unwrap(),
        status: "active".into(),
        plan: "Enterprise Website".into(),
        ..Zone::unknown(ZoneId::parse(id).unwrap())
    };
    ZoneState::new(
        zone,
        AccountName::parse("production").unwrap(),
        Duration::from_mins(5),
        StaleAfter::Age(Duration::from_hours(24 * 180)),
    )
}

pub(crate) fn mapping(ip: &str, vendor: &str, region: &str, modified_on: &str) -> Mapping {
    Mapping {
        origin_ip: OriginIp::parse(ip).unwrap(),
        vendor: Vendor::parse(vendor).unwrap(),
        region: Region::parse(region).unwrap(),
        modified_on: modified_on.parse().ok(),
    }
}

/// The zone after a good poll.
pub(crate) fn read(zone: ZoneState, mappings: Vec<Mapping>, findings: ZoneFindings) -> ZoneState {
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    ZoneState {
        last_poll: Some(LastPoll {
            ended: at,
            duration: Duration::from_millis(250),
            error: None,
        }),
        last_success: Some(at),
        data: Some(ZoneData {
            mappings: Arc::new(ZoneMappings::from_rows(mappings).unwrap()),
            findings: Arc::new(findings),
        }),
        tiered_cache: TieredCache {
            enabled: Some(true),
            smart_enabled: Some(true),
        },
        polls: 1,
        ..zone
    }
}

/// The zone after a failed poll.
pub(crate) fn failed(zone: ZoneState, error: &str) -> ZoneState {
    ZoneState {
        last_poll: Some(LastPoll {
            ended: Timestamp::now(),
            duration: Duration::from_secs(30),
            error: Some(error.to_owned()),
        }),
        polls: zone.polls + 1,
        ..zone
    }
}

fn wrong() -> WrongMapping {
    WrongMapping {
        origin_ip: OriginIp::parse("192.0.2.2").unwrap(),
        vendor: Vendor::Gcp,
        region: Region::parse("us-east1").unwrap(),
        expected: ExpectedPlace {
            vendor: Some(Vendor::Aws),
            region: Region::parse("us-east-1").ok(),
        },
        check: Check::Declared,
        effect: Effect::OtherTiers,
    }
}

/// Zones with a finding of each kind, one that fails, and one that was not read yet.
pub(crate) fn small() -> Directory {
    let recently = Timestamp::now().to_string();
    let wrong = wrong();
    let missing = ExpectedOrigin {
        origin_ip: OriginIp::parse("2001:db8::99").unwrap(),
        sources: [Source::Dns].into_iter().collect(),
        hosts: Vec::new(),
        named_itself: true,
        check: Some(Check::VendorRanges),
        place: ExpectedPlace {
            vendor: Some(Vendor::Aws),
            region: None,
        },
    };
    let expected = ExpectedOrigin {
        origin_ip: OriginIp::parse("192.0.2.1").unwrap(),
        sources: [Source::Dns, Source::Config].into_iter().collect(),
        hosts: vec![HostName::parse("origin.example.net").unwrap()],
        named_itself: false,
        check: Some(Check::Declared),
        place: ExpectedPlace {
            vendor: Some(Vendor::Aws),
            region: Region::parse("us-east-1").ok(),
        },
    };
    let left_out = LeftOut {
        origin_ip: OriginIp::parse("10.0.0.1").ok(),
        hosts: BTreeSet::new(),
        sources: [Source::Dns].into_iter().collect(),
        reason: LeftOutReason::SpecialPurpose,
    };
    let one = read(
        zone("a1", "example.com"),
        vec![
            mapping("192.0.2.1", "aws", "us-east-1", &recently),
            mapping("192.0.2.2", "gcp", "us-east1", &recently),
            mapping("2001:db8::1", "aws", "us-east-1", "2020-03-01T12:30:00Z"),
        ],
        ZoneFindings {
            expected: [(Source::Dns, 2)].into(),
            origins: vec![expected],
            left_out: vec![left_out],
            missing: vec![missing],
            wrong: vec![wrong],
            checks: [Check::Declared].into(),
            remedies: [
                (
                    OriginIp::parse("192.0.2.2").unwrap(),
                    ExpectedPlace {
                        vendor: Some(Vendor::Aws),
                        region: Region::parse("us-east-1").ok(),
                    },
                ),
                (
                    OriginIp::parse("2001:db8::99").unwrap(),
                    ExpectedPlace::default(),
                ),
            ]
            .into(),
            hosts: Some(
                [
                    (HostState::Resolved, 1),
                    (HostState::Failing, 3),
                    (HostState::NoAddress, 1),
                    (HostState::Rotating, 0),
                ]
                .into(),
            ),
            unresolved_hosts: unresolved_hosts(),
            unsupported_declarations: vec![UnsupportedDeclaration {
                origin: "192.0.2.7".to_owned(),
                place: ExpectedPlace {
                    vendor: Some(Vendor::Aws),
                    region: Region::parse("us-esat-1").ok(),
                },
            }],
            ..ZoneFindings::default()
        },
    );
    let two = read(
        zone("b2", "example.org"),
        vec![mapping("192.0.2.1", "aws", "eu-west-1", "")],
        ZoneFindings::default(),
    );
    let error = "list_mappings: the API answered 403";
    let bad = failed(zone("c3", "failing.example"), error);
    directory(vec![one, two, bad, zone("d4", "new.example")])
}

fn unresolved_hosts() -> Vec<UnresolvedHost> {
    let hosts = [
        (HostState::Failing, "failing.example.net"),
        (HostState::NoAddress, "gone.example.net"),
    ];
    let hosts = hosts.map(|(state, name)| UnresolvedHost {
        state,
        host: HostName::parse(name).unwrap(),
        sources: [Source::Dns].into_iter().collect(),
    });
    hosts.into()
}

/// Records that a mapping was removed from the first zone of [`small`] and is missing since.
pub(crate) fn record_changes(history: &History) {
    let origin_ip = OriginIp::parse("192.0.2.1").ok();
    let mut removed = Details::new(ChangeKind::MappingRemoved);
    removed.origin_ip = origin_ip;
    removed.previous_vendor = Some(Vendor::Aws);
    removed.previous_region = Region::parse("us-east-1").ok();
    let mut missing = Details::new(ChangeKind::FindingAppeared);
    missing.origin_ip = origin_ip;
    missing.finding = Some(FindingKind::Missing);
    let zone = zone("a1", "example.com").zone;
    history.record(&zone, Timestamp::now(), vec![removed, missing], |_| None);
}

pub(crate) fn directory(zones: Vec<ZoneState>) -> Directory {
    let slot = |state: ZoneState| Arc::new(ZoneSlot::new(state.zone.id.clone(), state));
    Directory {
        zones: zones.into_iter().map(slot).collect(),
        accounts: vec![AccountState {
            name: AccountName::parse("production").unwrap(),
            up: Some(true),
            last_success: Some(Timestamp::now()),
            error: None,
            zones: ZoneCounts {
                polled: 4,
                filtered: 3,
                ..ZoneCounts::default()
            },
        }],
        ..Directory::default()
    }
}
