//! The settings of single zones: declared origins and overrides.

use std::collections::BTreeSet;

use super::file::{Declaration, ZoneOverride};
use super::settings::stale_after;
use super::values::{Address, OriginHost};
use crate::config_tree::{Entries, Located, Location, Reader};
use crate::domain::ZoneName;
use crate::findings::{DeclaredHost, DeclaredOrigin, DeclaredZone, ExpectedPlace};
use crate::poller;

/// The longest DNS name (RFC 1035, section 2.3.4).
const MAX_KEY_BYTES: usize = 255;

/// The declared origins (`expect.zones`).
pub(super) fn declared(
    zones: Entries<Vec<Located<Declaration>>>,
    reader: &mut Reader,
) -> Vec<DeclaredZone> {
    let zones = named(zones, reader).into_iter();
    let declared = zones.map(|(zone, origins)| {
        let mut declared = DeclaredZone {
            zone,
            origins: Vec::new(),
            hosts: Vec::new(),
        };
        for Located { at, value } in origins {
            declare(&at, value, &mut declared, reader);
        }
        declared
    });
    declared.collect()
}

fn declare(at: &Location, origin: Declaration, declared: &mut DeclaredZone, reader: &mut Reader) {
    let place = ExpectedPlace {
        vendor: origin.vendor.map(|vendor| vendor.0),
        region: origin.region.map(|region| region.0),
    };
    let twice = |at: &Location, what: &str, found: &str| {
        let once = format!("each {what} once in a zone, and {found} is there twice");
        at.expected(once, found)
    };
    match (origin.origin_ip, origin.host) {
        (Some(Located { at, value }), None) => {
            let Address(origin_ip) = value;
            if declared.origins.iter().any(|o| o.origin_ip == origin_ip) {
                reader.push(twice(&at, "address", &origin_ip.to_string()));
            }
            declared.origins.push(DeclaredOrigin { origin_ip, place });
        }
        (None, Some(Located { at, value })) => {
            let OriginHost(host) = value;
            if declared.hosts.iter().any(|declared| declared.host == host) {
                reader.push(twice(&at, "host", host.as_str()));
            }
            declared.hosts.push(DeclaredHost { host, place });
        }
        (Some(_), Some(_)) => {
            reader.push(at.error("origin_ip and host cannot be combined: remove one of them"));
        }
        (None, None) => {
            let is_wrong = |key| reader.is_wrong(&format!("{}.{key}", at.path));
            if !is_wrong("origin_ip") && !is_wrong("host") {
                let expected =
                    "expected an address (key \"origin_ip\") or a host name (key \"host\")";
                reader.push(at.error(expected));
            }
        }
    }
}

/// The overrides of single zones (`zone_overrides`).
pub(super) fn overrides(
    zones: Entries<ZoneOverride>,
    reader: &mut Reader,
) -> Vec<poller::ZoneOverride> {
    let overrides = named(zones, reader).into_iter();
    overrides
        .map(|(zone, keys)| poller::ZoneOverride {
            zone,
            interval: keys.interval.map(|interval| interval.0),
            stale_after: keys.stale_after.map(stale_after),
        })
        .collect()
}

/// The entries whose key can be the name or identifier of a zone, without duplicates.
fn named<T>(zones: Entries<T>, reader: &mut Reader) -> Vec<(String, T)> {
    let mut seen = BTreeSet::new();
    let mut named = Vec::new();
    for (key, Located { at, value }) in zones {
        let name = key.trim();
        if name.is_empty() || name.len() > MAX_KEY_BYTES {
            reader.push(at.error(format!(
                "expected a zone name or id of 1 to {MAX_KEY_BYTES} bytes"
            )));
        } else if !seen.insert(ZoneName::normal_of(name)) {
            reader.push(at.error("this zone is there twice (names are equal in any spelling)"));
        } else {
            named.push((name.to_owned(), value));
        }
    }
    named
}
