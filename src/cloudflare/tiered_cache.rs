//! Tiered Cache: whether it is enabled, and its supported regions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, BodyProblem, Lenient};
use super::{ApiError, CallBudget, Operation, Reason};
use crate::domain::{Region, SupportedRegion, SupportedRegions, Vendor, ZoneId};

/// The longest code of a data centre; real ones have three letters.
const COLO_LIMIT: usize = 16;

impl Client {
    /// The regions that Cloudflare supports; `None` if it does not return them, because the zone's
    /// Tiered Cache is off.
    pub async fn supported_regions(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<Option<SupportedRegions>, ApiError> {
        let url = self.zone_url(zone, "origin/cloud_regions/supported_regions");
        let request = Request::new(Operation::SupportedRegions, &url);
        let request = request.expecting(says_tiered_cache_is_off);
        let read = |body: &[u8]| envelope::result(body).map(RegionsRow::into_regions);
        self.get_optional(request, call, read).await
    }

    /// Whether the zone's Tiered Cache is on.
    pub async fn tiered_cache(&self, zone: &ZoneId, call: &CallBudget) -> Result<bool, ApiError> {
        let url = self.zone_url(zone, "argo/tiered_caching");
        let request = Request::new(Operation::TieredCache, &url);
        self.get(request, call, read_setting).await
    }

    /// Whether the zone's Smart Tiered Cache is on; it is off if it was never set.
    pub async fn smart_tiered_cache(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<bool, ApiError> {
        let url = self.zone_url(zone, "cache/tiered_cache_smart_topology_enable");
        let request = Request::new(Operation::SmartTieredCache, &url);
        let request = request.expecting(ApiError::is_not_found);
        let setting = self.get_optional(request, call, read_setting).await?;
        Ok(setting.unwrap_or(false))
    }
}

/// The API documents only that the call fails. So this accepts any refusal that does not concern
/// credentials, permissions or the path.
fn says_tiered_cache_is_off(error: &ApiError) -> bool {
    matches!(error.reason, Reason::ClientError | Reason::NotFound)
}

#[derive(Deserialize)]
struct Setting {
    value: Switch,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
    On,
    Off,
}

pub(super) fn read_setting(body: &[u8]) -> Result<bool, BodyProblem> {
    let setting: Setting = envelope::result(body)?;
    Ok(matches!(setting.value, Switch::On))
}

#[derive(Deserialize)]
pub(super) struct RegionsRow {
    obtained_codes: Lenient<bool>,
    vendors: BTreeMap<String, Vec<RegionRow>>,
}

#[derive(Deserialize)]
struct RegionRow {
    name: String,
    upper_tier_colos: Lenient<Vec<String>>,
}

impl RegionsRow {
    /// Leaves out vendors, regions and data centres whose names are not valid labels.
    pub(super) fn into_regions(self) -> SupportedRegions {
        let is_colo = |colo: &String| !colo.is_empty() && colo.len() <= COLO_LIMIT;
        let rows = self.vendors.into_iter().flat_map(|(vendor, regions)| {
            let vendor = Vendor::parse(&vendor).ok();
            regions.into_iter().filter_map(move |row| {
                let colos = row.upper_tier_colos.0.into_iter().flatten().filter(is_colo);
                let region = SupportedRegion {
                    region: Region::parse(&row.name).ok()?,
                    upper_tier_colos: colos.map(Arc::from).collect(),
                };
                Some((vendor.clone()?, region))
            })
        });
        let mut regions: SupportedRegions = rows.collect();
        regions.colos_complete = self.obtained_codes.0.unwrap_or(false);
        regions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_answer() {
        let body = include_bytes!("../../tests/data/cloudflare/supported-regions.json");
        let regions = envelope::result::<RegionsRow>(body).unwrap().into_regions();
        assert!(regions.colos_complete);
        let us_east_1 = Region::parse("us-east-1").unwrap();
        let found = regions.find(&Vendor::Aws, &us_east_1).unwrap();
        assert_eq!(found.upper_tier_colos, ["EWR", "IAD"].map(Arc::from));
        let vendors = regions.iter().map(|(vendor, _)| vendor);
        assert_eq!(vendors.filter(|vendor| **vendor == Vendor::Gcp).count(), 1);
    }

    #[test]
    fn colos_may_be_missing() {
        let body = br#"{"success":true,"result":{"obtained_codes":false,
            "vendors":{"azure":[{"name":"eastus"},{"name":"westus","upper_tier_colos":null}]}}}"#;
        let regions = envelope::result::<RegionsRow>(body).unwrap().into_regions();
        assert!(!regions.colos_complete);
        assert!(
            regions
                .iter()
                .all(|(_, row)| row.upper_tier_colos.is_empty())
        );
    }

    #[test]
    fn a_setting_is_on_or_off() {
        let read = |value: &str| {
            let body = format!(r#"{{"success":true,"result":{{"id":"x","value":{value}}}}}"#);
            read_setting(body.as_bytes()).ok()
        };
        assert_eq!(read(r#""on""#), Some(true));
        assert_eq!(read(r#""off""#), Some(false));
        assert_eq!(read(r#""maybe""#), None);
        assert_eq!(read("null"), None);
    }
}
