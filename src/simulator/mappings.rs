//! Lists, gets and writes mappings.

use std::collections::BTreeMap;

use hyper::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::answer::{Failure, Outcome, success};
use super::listing::{PageBounds, PageRequest, Query};
use super::world::{SimulatedZone, SupportedRegion, SupportedRegions};
use crate::domain::{MAPPINGS_PER_ZONE_LIMIT, Mapping, OriginIp, Region, Vendor};

const PAGES: PageBounds = PageBounds {
    least: 1,
    most: 100,
    default: 20,
};

/// A mapping as the API writes it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "micros")]
    modified_on: Option<Timestamp>,
    #[serde(serialize_with = "shown")]
    origin_ip: OriginIp,
    region: &'a str,
    vendor: &'a str,
}

impl<'a> From<&'a Mapping> for Row<'a> {
    fn from(mapping: &'a Mapping) -> Self {
        Self {
            modified_on: mapping.modified_on,
            origin_ip: mapping.origin_ip,
            region: mapping.region.as_str(),
            vendor: mapping.vendor.as_str(),
        }
    }
}

#[expect(clippy::ref_option, reason = "serde requires this signature")]
fn micros<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&format_args!("{time:.6}")),
        None => serializer.serialize_none(),
    }
}

fn shown<S: Serializer>(ip: &OriginIp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(ip)
}

/// A mapping as a client writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Wish {
    pub(super) origin_ip: String,
    pub(super) vendor: String,
    pub(super) region: String,
}

/// `GET …/cloud_regions`
pub(super) fn list(zone: &SimulatedZone, query: &Query<'_>) -> Outcome {
    let page = PageRequest::parse(query, &PAGES)?;
    let mappings = &zone.mappings;
    Ok(page.render(mappings.values(), mappings.len(), Row::from))
}

/// `GET …/cloud_regions/{origin_ip}`
pub(super) fn get(zone: &SimulatedZone, ip: &str) -> Outcome {
    let ip = address(ip)?;
    let mapping = zone.mappings.get(&ip).ok_or_else(not_mapped)?;
    Ok(success(Row::from(mapping)))
}

/// `PUT …/cloud_regions/{origin_ip}`
pub(super) fn put(
    zone: &mut SimulatedZone,
    supported: &SupportedRegions,
    ip: &str,
    body: &[u8],
    now: Timestamp,
) -> Outcome {
    let wish: Wish = Failure::parse(body)?;
    if address(&wish.origin_ip)? != address(ip)? {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            1146,
            "origin_ip in the body does not match the one in the path",
        ));
    }
    let mapping = store(zone, supported, &wish, now)?;
    Ok(success(Row::from(mapping)))
}

/// `DELETE …/cloud_regions/{origin_ip}`
pub(super) fn delete(zone: &mut SimulatedZone, ip: &str) -> Outcome {
    #[derive(Serialize)]
    struct Deleted {
        origin_ip: String,
    }
    let origin_ip = address(ip)?;
    zone.mappings.remove(&origin_ip).ok_or_else(not_mapped)?;
    Ok(success(Deleted {
        origin_ip: origin_ip.to_string(),
    }))
}

/// Creates or replaces a mapping as requested.
pub(super) fn store<'a>(
    zone: &'a mut SimulatedZone,
    supported: &SupportedRegions,
    wish: &Wish,
    now: Timestamp,
) -> Result<&'a Mapping, Failure> {
    let origin_ip = address(&wish.origin_ip)?;
    let (vendor, region) = place(supported, wish)?;
    let full = zone.mappings.len() >= MAPPINGS_PER_ZONE_LIMIT as usize;
    if full && !zone.mappings.contains_key(&origin_ip) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            1164,
            format!("The zone has reached the limit of {MAPPINGS_PER_ZONE_LIMIT} IP mappings."),
        ));
    }
    let mapping = Mapping {
        origin_ip,
        vendor,
        region,
        modified_on: Some(now),
    };
    Ok(zone
        .mappings
        .entry(origin_ip)
        .insert_entry(mapping)
        .into_mut())
}

fn place(supported: &SupportedRegions, wish: &Wish) -> Result<(Vendor, Region), Failure> {
    let refused = |what: &str, name: &str| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            1157,
            format!("{what} {name:?} is not supported"),
        )
    };
    let (vendor, regions) = supported
        .vendors
        .iter()
        .find(|(vendor, _)| vendor.as_str() == wish.vendor)
        .ok_or_else(|| refused("vendor", &wish.vendor))?;
    let region = regions
        .iter()
        .find(|region| region.name == wish.region)
        .and_then(|region| Region::parse(&region.name).ok())
        .ok_or_else(|| refused("region", &wish.region))?;
    Ok((vendor.clone(), region))
}

/// Parses an address in any spelling.
pub(super) fn address(text: &str) -> Result<OriginIp, Failure> {
    OriginIp::parse(text).map_err(|_| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            1157,
            format!("origin_ip {text:?} is not an IP address"),
        )
    })
}

/// The response for an address without a mapping.
pub(super) fn not_mapped() -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        1142,
        "Unable to retrieve origin_public_cloud_region setting value. \
         The zone setting does not exist.",
    )
}

/// `GET …/cloud_regions/supported_regions`
pub(super) fn supported_regions<'a>(
    zone: &SimulatedZone,
    supported: &'a SupportedRegions,
) -> Outcome {
    #[derive(Serialize)]
    struct Supported<'a> {
        obtained_codes: bool,
        vendors: BTreeMap<&'a str, Vec<Entry<'a>>>,
    }
    #[derive(Serialize)]
    struct Entry<'a> {
        name: &'a str,
        upper_tier_colos: &'a [String],
    }
    if !zone.tiered_cache {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            1158,
            "Tiered Cache must be enabled on the zone",
        ));
    }
    let colos_of = |region: &'a SupportedRegion| {
        if supported.obtained_codes {
            region.upper_tier_colos.as_slice()
        } else {
            &[]
        }
    };
    let entry = |region: &'a SupportedRegion| Entry {
        name: &region.name,
        upper_tier_colos: colos_of(region),
    };
    let vendors = supported
        .vendors
        .iter()
        .map(|(vendor, regions)| (vendor.as_str(), regions.iter().map(entry).collect()))
        .collect();
    Ok(success(Supported {
        obtained_codes: supported.obtained_codes,
        vendors,
    }))
}
