//! The mappings of a zone.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Invalid, decode, encode};
use crate::domain::{Mapping, OriginIp, Region, Vendor, ZoneMappings, timestamp};

/// More mappings than any zone can have. Bounds what a forged value can claim.
const MAX_MAPPINGS: usize = 100_000;

/// Each vendor and region once, then a row per mapping.
#[derive(Serialize, Deserialize)]
struct Record {
    places: Vec<(Vendor, Region)>,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    origin_ip: OriginIp,
    /// The index of the vendor and region.
    place: u32,
    #[serde(with = "timestamp::option")]
    modified_on: Option<Timestamp>,
}

pub(in super::super) fn encode_mappings(mappings: &ZoneMappings) -> Vec<u8> {
    let mut numbers = HashMap::new();
    let mut places = Vec::new();
    let rows = mappings.as_slice().iter().map(|mapping| Row {
        origin_ip: mapping.origin_ip,
        place: *numbers
            .entry((&mapping.vendor, &mapping.region))
            .or_insert_with(|| {
                places.push((mapping.vendor.clone(), mapping.region.clone()));
                u32::try_from(places.len() - 1).unwrap_or(u32::MAX)
            }),
        modified_on: mapping.modified_on,
    });
    let rows = rows.collect();
    encode(&Record { places, rows })
}

pub(in super::super) fn decode_mappings(bytes: &[u8]) -> Result<ZoneMappings, Invalid> {
    let Record { places, rows } = decode(bytes)?;
    if rows.len() > MAX_MAPPINGS {
        return Err(Invalid::Value("more mappings than a zone can have"));
    }
    let mappings = rows.into_iter().map(|row| {
        let place = usize::try_from(row.place).ok();
        let (vendor, region) = place.and_then(|place| places.get(place))?.clone();
        Some(Mapping {
            origin_ip: row.origin_ip,
            vendor,
            region,
            modified_on: row.modified_on,
        })
    });
    let mappings: Option<Vec<_>> = mappings.collect();
    let mappings = mappings.ok_or(Invalid::Value("a mapping has no place"))?;
    ZoneMappings::from_rows(mappings).map_err(|_| Invalid::Value("an address has two mappings"))
}
