use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::StoredZone;
use super::*;
use crate::cloudflare::Reason;
use crate::domain::{
    AccountName, HostName, Mapping, OriginIp, Region, Vendor, Zone, ZoneId, ZoneMappings, ZoneName,
};
use crate::findings::{Check, RotatingHost, Source, TieredCache};
use crate::history::{Actor, Change, ChangeKind, Details, FindingKind};
use crate::snapshot::{ChangeCounts, LastPoll, StaleAfter, ZoneState};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn mappings(count: u32) -> ZoneMappings {
    let rows = (0..count).map(|number| Mapping {
        origin_ip: OriginIp::from(std::net::IpAddr::from((0xc000_0200 + number).to_be_bytes())),
        vendor: Vendor::Aws,
        region: Region::parse(&format!("us-east-{}", number % 4)).unwrap(),
        modified_on: (number % 5 > 0).then(|| at("2026-03-01T12:00:00Z")),
    });
    ZoneMappings::from_rows(rows.collect()).unwrap()
}

fn zone() -> StoredZone {
    let ended = at("2026-03-01T12:00:00.123456789Z");
    let zone = Zone {
        id: ZoneId::parse("abc").unwrap(),
        name: ZoneName::parse("example.com").unwrap(),
        status: Arc::from("active"),
        plan: Arc::from("Enterprise Website"),
        owner: Some(Arc::from("account-1")),
    };
    let account = AccountName::parse("default").unwrap();
    StoredZone {
        state: ZoneState {
            last_poll: Some(LastPoll {
                ended,
                duration: Duration::from_millis(123),
                error: Some("list_mappings: cut".to_owned()),
            }),
            last_success: Some(at("2026-03-01T11:55:00Z")),
            failing_since: Some(ended),
            tiered_cache: TieredCache {
                enabled: Some(true),
                smart_enabled: None,
            },
            changes: Some(ChangeCounts {
                added: 1,
                removed: 2,
                changed: 3,
            }),
            polls: 1000,
            errors: BTreeMap::from([(Reason::Http, 7)]),
            rejected_rows: 5,
            ..ZoneState::new(zone, account, Duration::ZERO, StaleAfter::Never)
        },
        found: at("2026-02-01T12:00:00Z"),
        left: None,
    }
}

fn change() -> Change {
    let details = Details {
        origin_ip: Some(OriginIp::parse("192.0.2.1").unwrap()),
        vendor: Some(Vendor::Gcp),
        region: Some(Region::parse("europe-west1").unwrap()),
        modified_on: Some(at("2026-03-01T12:00:00Z")),
        finding: Some(FindingKind::Wrong),
        check: Some(Check::VendorRanges),
        host: HostName::parse("origin.example.com"),
        ..Details::new(ChangeKind::FindingAppeared)
    };
    Change {
        id: 9,
        time: at("2026-03-01T12:00:00.5Z"),
        zone: ZoneName::parse("example.com").unwrap(),
        zone_id: ZoneId::parse("abc").unwrap(),
        details,
        actor: Some(Actor {
            kind: "user".to_owned(),
            name: "ops@example.com".to_owned(),
            context: "dash".to_owned(),
            time: at("2026-03-01T11:59:00Z"),
        }),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut list = Vec::new();
    let (number, mut read) = decode_zone("abc", &encode_zone(3, &zone())).unwrap();
    encode_activity(3, &zone().state, &mut list);
    encode_activity(4, &zone().state, &mut list);
    let mut activities = decode_activities(&list).unwrap();
    assert_eq!(activities.len(), 2);
    assert_eq!((number, activities[1].number), (3, 4));
    activities.remove(0).apply(&mut read.state).unwrap();
    assert_eq!(read, zone());
    assert_eq!(
        decode_mappings(&encode_mappings(&mappings(500))),
        Ok(mappings(500))
    );
    assert_eq!(decode_change(9, &encode_change(&change())), Ok(change()));
}

#[test]
fn records_are_small() {
    let size = encode_mappings(&mappings(100)).len();
    assert!(size < 1500, "{size}");
    let failed = zone().state;
    let ended = failed.last_poll.as_ref().map(|poll| poll.ended);
    let good = ZoneState {
        last_poll: Some(LastPoll {
            error: None,
            ..failed.last_poll.clone().unwrap()
        }),
        last_success: ended,
        failing_since: None,
        errors: BTreeMap::new(),
        ..failed
    };
    let mut list = Vec::new();
    encode_activity(1000, &good, &mut list);
    assert!(list.len() < 40, "{}", list.len());
}

/// The layout is part of the file's format: if this fails, increase the format's version.
#[test]
fn the_layout_is_that_of_the_format() {
    let mut bytes = encode_zone(3, &zone());
    encode_activity(3, &zone().state, &mut bytes);
    bytes.extend(encode_mappings(&mappings(2)));
    bytes.extend(encode_change(&change()));
    let sum = bytes.iter().fold(0u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
    });
    assert_eq!(
        (super::super::tables::FORMAT, bytes.len(), sum),
        (1, 329, 1_345_990_477)
    );
}

#[test]
fn values_that_no_version_writes_are_refused() {
    let twice = encode(&(
        vec![("aws", "a"), ("aws", "b")],
        vec![([192u8, 0, 2, 1].map(u32::from), 0u32, None::<(i64, i32)>)],
    ));
    assert!(decode_mappings(&twice).is_err());
    let no_place = encode(&(
        Vec::<(&str, &str)>::new(),
        vec![(
            std::net::IpAddr::from([192, 0, 2, 1]),
            0u32,
            None::<(i64, i32)>,
        )],
    ));
    assert_eq!(
        decode_mappings(&no_place),
        Err(Invalid::Value("a mapping has no place"))
    );
    let mut longer = encode_mappings(&mappings(1));
    longer.push(0);
    assert_eq!(
        decode_mappings(&longer),
        Err(Invalid::Value("bytes follow the record"))
    );
    assert!(decode_change(1, &[]).is_err());
}

#[test]
fn findings_are_read_in_the_form_of_0_2_0_too() {
    let sources = [Source::Config, Source::Dns].into_iter().collect();
    let findings = ZoneFindings {
        rotating: vec![RotatingHost {
            host: HostName::parse("a.example").unwrap(),
            sources,
            addresses: 20,
        }],
        ..ZoneFindings::default()
    };
    let bytes = encode_findings(&findings);
    assert_eq!(decode_findings(&bytes), Ok(findings.clone()));
    let words = r#""sources":["config","dns"]"#;
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(words), "{text}");
    let old = text.replace(words, r#""sources":9"#);
    assert_eq!(decode_findings(old.as_bytes()), Ok(findings));
    assert!(decode_findings(b"{").is_err());
}

fn apply_all(bytes: &[u8]) {
    for activity in decode_activities(bytes).unwrap_or_default() {
        drop(activity.apply(&mut zone().state));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode_mappings(&bytes));
        drop(decode_change(1, &bytes));
        apply_all(&bytes);
        drop(decode_zone("abc", &bytes));
    }

    #[test]
    fn no_change_of_a_record_panics(at in 0usize..10_000, byte in any::<u8>()) {
        let mut activities = Vec::new();
        encode_activity(3, &zone().state, &mut activities);
        for mut bytes in [
            encode_zone(3, &zone()), activities, encode_mappings(&mappings(20)),
            encode_change(&change()),
        ] {
            let at = at % bytes.len();
            bytes[at] = byte;
            drop(decode_mappings(&bytes));
            drop(decode_change(1, &bytes));
            apply_all(&bytes);
            drop(decode_zone("abc", &bytes));
        }
    }
}
