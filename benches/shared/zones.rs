//! Generated zones, as the poller would publish them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::{AccountName, Mapping, Zone, ZoneMappings};
use cloudflare_origin_region_exporter::findings::{Check, Source, TieredCache, ZoneFindings};
use cloudflare_origin_region_exporter::simulator::World;
use cloudflare_origin_region_exporter::snapshot::{
    ChangeCounts, LastPoll, StaleAfter, ZoneData, ZoneState,
};
use jiff::Timestamp;
use serde_json::json;

/// The number of mappings on one page of the API.
pub(crate) const MAPPINGS: usize = 100;

/// The time of the measurement, after the last change of every generated mapping.
pub(crate) fn now() -> Timestamp {
    "2026-10-01T12:00:00.25Z".parse().unwrap()
}

/// Zones with [`MAPPINGS`] mappings each.
pub(crate) fn generated(zones: usize) -> Vec<(Zone, Vec<Mapping>)> {
    World::generate("token", zones, MAPPINGS, 1)
        .zones
        .into_values()
        .map(|zone| (zone.zone, zone.mappings.into_values().collect()))
        .collect()
}

/// A zone after its first successful poll.
pub(crate) fn polled(zone: Zone, mappings: Vec<Mapping>) -> ZoneState {
    let findings = ZoneFindings {
        expected: [(Source::Config, mappings.len())].into(),
        checks: Check::ALL.into(),
        ..ZoneFindings::default()
    };
    ZoneState {
        zone,
        account: AccountName::parse("production").unwrap(),
        interval: Duration::from_mins(5),
        stale_after: StaleAfter::Age(Duration::from_hours(180 * 24)),
        last_poll: Some(LastPoll {
            ended: now(),
            duration: Duration::from_micros(123_456),
            error: None,
        }),
        last_success: Some(now()),
        failing_since: None,
        data: Some(ZoneData {
            mappings: Arc::new(ZoneMappings::from_rows(mappings).unwrap()),
            findings: Arc::new(findings),
        }),
        tiered_cache: TieredCache {
            enabled: Some(true),
            smart_enabled: Some(true),
        },
        changes: Some(ChangeCounts::default()),
        polls: 1,
        errors: BTreeMap::new(),
        rejected_rows: 0,
    }
}

/// One full page of the API.
pub(crate) fn page() -> Vec<u8> {
    let zones = generated(1);
    let rows: Vec<_> = zones
        .iter()
        .flat_map(|(_, mappings)| mappings)
        .map(|mapping| {
            json!({
                "origin_ip": mapping.origin_ip.to_string(),
                "vendor": mapping.vendor.as_str(),
                "region": mapping.region.as_str(),
                "modified_on": mapping.modified_on.map(|time| time.to_string()),
            })
        })
        .collect();
    let body = json!({
        "success": true, "errors": [], "messages": [],
        "result_info": {
            "page": 1, "per_page": MAPPINGS, "count": MAPPINGS,
            "total_count": MAPPINGS, "total_pages": 1,
        },
        "result": rows,
    });
    body.to_string().into_bytes()
}
