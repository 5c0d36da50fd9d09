//! The mappings of a zone.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Invalid, Time, decode, encode, time};
use crate::domain::{Mapping, OriginIp, Region, Vendor, ZoneMappings};

/// More mappings than any zone can have. Bounds what a forged value can claim.
const MAX_MAPPINGS: usize = 100_000;

/// Each vendor and region once, then a row per mapping.
#[derive(Debug, Serialize, Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    places: Vec<(&'a str, &'a str)>,
    rows: Vec<(IpAddr, u32, Option<Time>)>,
}

pub(in super::super) fn encode_mappings(mappings: &ZoneMappings) -> Vec<u8> {
    let mut record = Record {
        places: Vec::new(),
        rows: Vec::with_capacity(mappings.len()),
    };
    let mut numbers = HashMap::new();
    for mapping in mappings.as_slice() {
        let place = (mapping.vendor.as_str(), mapping.region.as_str());
        let number = *numbers.entry(place).or_insert_with(|| {
            record.places.push(place);
            u32::try_from(record.places.len() - 1).unwrap_or(u32::MAX)
        });
        let modified_on = mapping.modified_on.map(Time::from);
        record
            .rows
            .push((mapping.origin_ip.addr(), number, modified_on));
    }
    encode(&record)
}

pub(in super::super) fn decode_mappings(bytes: &[u8]) -> Result<ZoneMappings, Invalid> {
    let record: Record<'_> = decode(bytes)?;
    if record.rows.len() > MAX_MAPPINGS {
        return Err(Invalid::Value("more mappings than a zone can have"));
    }
    let places = record
        .places
        .iter()
        .map(|(vendor, region)| Ok((Vendor::parse(vendor)?, Region::parse(region)?)))
        .collect::<Result<Vec<_>, Invalid>>()?;
    let mut rows = Vec::with_capacity(record.rows.len());
    for (ip, place, modified_on) in record.rows {
        let place = usize::try_from(place).ok().and_then(|at| places.get(at));
        let (vendor, region) = place.ok_or(Invalid::Value("a mapping has no place"))?;
        rows.push(Mapping {
            origin_ip: OriginIp::from(ip),
            vendor: vendor.clone(),
            region: region.clone(),
            modified_on: time(modified_on)?,
        });
    }
    ZoneMappings::from_rows(rows).map_err(|_| Invalid::Value("an address has two mappings"))
}
