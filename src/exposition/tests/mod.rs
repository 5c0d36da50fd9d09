//! Tests with expositions of hand-made snapshots.

mod bodies;
mod encoder;
mod golden;
mod incremental;
mod parser;
mod presence;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use flate2::bufread::{GzDecoder, MultiGzDecoder};
use jiff::Timestamp;
use prometheus::Registry;

use self::parser::Family;
use super::{BuildInfo, Exposition, Form, Settings, WHOLE_AT_MOST};
use crate::domain::{
    AccountName, Mapping, OriginIp, Region, Vendor, Zone, ZoneId, ZoneMappings, ZoneName,
};
use crate::findings::ZoneFindings;
use crate::snapshot::{
    ChangeCounts, Directory, LastPoll, Snapshot, StaleAfter, ZoneData, ZoneSlot, ZoneState,
};

pub(super) const SETTINGS: Settings = Settings {
    detail: true,
    whole_at_most: WHOLE_AT_MOST,
    build: BuildInfo {
        version: "1.2.3",
        revision: "abc",
        rustc: "1.95.0",
    },
};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn now() -> Timestamp {
    time("2026-03-01T12:00:00Z")
}

pub(super) fn mapping(ip: &str, vendor: &str, region: &str, modified_on: Option<&str>) -> Mapping {
    Mapping {
        origin_ip: OriginIp::parse(ip).unwrap(),
        vendor: Vendor::parse(vendor).unwrap(),
        region: Region::parse(region).unwrap(),
        modified_on: modified_on.map(time),
    }
}

pub(super) fn data(mappings: Vec<Mapping>, findings: ZoneFindings) -> ZoneData {
    ZoneData {
        mappings: Arc::new(ZoneMappings::from_rows(mappings).unwrap()),
        findings: Arc::new(findings),
    }
}

/// A zone that was discovered but not yet polled.
pub(super) fn discovered(id: &str, name: &str) -> ZoneState {
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
        StaleAfter::Age(Duration::from_hours(24)),
    )
}

/// A zone after its first, successful poll.
pub(super) fn polled(id: &str, name: &str, data: ZoneData) -> ZoneState {
    ZoneState {
        last_poll: Some(LastPoll {
            ended: time("2026-03-01T11:59:00Z"),
            duration: Duration::from_millis(250),
            error: None,
        }),
        last_success: Some(time("2026-03-01T11:59:00Z")),
        data: Some(data),
        changes: Some(ChangeCounts::default()),
        polls: 1,
        ..discovered(id, name)
    }
}

pub(super) fn slot(state: ZoneState) -> Arc<ZoneSlot> {
    Arc::new(ZoneSlot::new(state.zone.id.clone(), state))
}

fn directory(zones: Vec<ZoneState>) -> Directory {
    Directory {
        zones: zones.into_iter().map(slot).collect(),
        ..Directory::default()
    }
}

fn exposition(settings: Settings, directory: Directory) -> Exposition {
    let snapshot = Snapshot::default();
    snapshot.publish(directory);
    Exposition::new(settings, snapshot, Registry::new())
}

/// The text as of [`now`], after checking that the gzip form is equal.
fn text(exposition: &Exposition) -> String {
    let identity = exposition.render_now(now(), Form::TEXT);
    let text = String::from_utf8(identity.to_vec()).unwrap();
    assert_eq!(gunzip(&exposition.render_now(now(), Form::TEXT_GZIP)), text);
    text
}

/// The text of a gzip body, after checking that the body is a single member.
fn gunzip(gzip: &[u8]) -> String {
    let mut first = String::new();
    let mut rest = gzip;
    // The decoder checks the trailer's checksum and length.
    GzDecoder::new(&mut rest)
        .read_to_string(&mut first)
        .unwrap();
    assert!(rest.is_empty(), "nothing follows the first member");
    let mut all = String::new();
    MultiGzDecoder::new(gzip).read_to_string(&mut all).unwrap();
    assert_eq!(first, all);
    first
}

/// The exposition of one zone, parsed.
fn families(zone: ZoneState) -> Vec<Family> {
    parser::parse(&text(&exposition(SETTINGS, directory(vec![zone]))))
}
