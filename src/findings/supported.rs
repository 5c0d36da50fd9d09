//! The regions that Cloudflare supports.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ExpectedPlace;
use crate::domain::{Mapping, Region, Vendor, usual_region};

/// The regions of each vendor that Cloudflare knows, as the API lists them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SupportedRegions {
    /// By vendor and usual identifier, so that one look-up finds any spelling.
    vendors: BTreeMap<Vendor, BTreeMap<Box<str>, SupportedRegion>>,
}

/// One of the regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedRegion {
    /// Its name as Cloudflare spells it.
    pub region: Region,
    /// The data centres that serve as its upper tier; may be incomplete.
    pub upper_tier_colos: Vec<Arc<str>>,
}

impl SupportedRegions {
    /// Whether there are none; such a list judges nothing.
    pub fn is_empty(&self) -> bool {
        self.vendors.is_empty()
    }

    /// Every region with its vendor, in a stable order.
    pub fn iter(&self) -> impl Iterator<Item = (&Vendor, &SupportedRegion)> {
        self.vendors
            .iter()
            .flat_map(|(vendor, regions)| regions.values().map(move |region| (vendor, region)))
    }

    /// Whether the mapping's vendor and region, in any spelling, are among them.
    pub(super) fn supports(&self, mapping: &Mapping) -> bool {
        self.find(&mapping.vendor, &mapping.region).is_some()
    }

    fn find(&self, vendor: &Vendor, region: &Region) -> Option<&SupportedRegion> {
        self.vendors
            .get(vendor)?
            .get(&*usual_region(vendor, region.as_str()))
    }
}

impl FromIterator<(Vendor, SupportedRegion)> for SupportedRegions {
    fn from_iter<I: IntoIterator<Item = (Vendor, SupportedRegion)>>(rows: I) -> Self {
        let mut supported = Self::default();
        for (vendor, row) in rows {
            let usual = usual_region(&vendor, row.region.as_str()).into();
            supported
                .vendors
                .entry(vendor)
                .or_default()
                .insert(usual, row);
        }
        supported
    }
}

/// The place in Cloudflare's spelling; where Cloudflare does not list the region, the vendor's
/// usual identifier. Without a vendor nothing is known of the spelling.
pub(super) fn spell(place: ExpectedPlace, supported: Option<&SupportedRegions>) -> ExpectedPlace {
    let (Some(vendor), Some(region)) = (&place.vendor, &place.region) else {
        return place;
    };
    let listed = supported.and_then(|supported| supported.find(vendor, region));
    let region = match listed {
        Some(listed) => Some(listed.region.clone()),
        None => Region::parse(&usual_region(vendor, region.as_str())).ok(),
    };
    ExpectedPlace { region, ..place }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    fn supported(vendor: Vendor, name: &str) -> SupportedRegions {
        let row = SupportedRegion {
            region: region(name),
            upper_tier_colos: vec![Arc::from("CDG")],
        };
        SupportedRegions::from_iter([(vendor, row)])
    }

    fn spelt(vendor: Option<Vendor>, name: &str, supported: Option<&SupportedRegions>) -> String {
        let place = ExpectedPlace {
            vendor,
            region: Some(region(name)),
        };
        spell(place, supported).region.unwrap().to_string()
    }

    #[test]
    fn a_region_is_spelt_as_cloudflare_spells_it() {
        let list = supported(Vendor::Azure, "centralfrance");
        let azure = || Some(Vendor::Azure);
        assert_eq!(
            spelt(azure(), "FranceCentral", Some(&list)),
            "centralfrance"
        );
        assert_eq!(spelt(azure(), "centralfrance", None), "francecentral");
        assert_eq!(spelt(azure(), "norwaye", Some(&list)), "norwayeast");
        assert_eq!(
            spelt(Some(Vendor::Aws), "US-EAST-1", Some(&list)),
            "us-east-1"
        );
        assert_eq!(spelt(None, "US-EAST-1", Some(&list)), "US-EAST-1");
    }

    #[test]
    fn every_region_is_listed_with_its_vendor() {
        let list = supported(Vendor::Azure, "francecentral");
        let rows: Vec<_> = list
            .iter()
            .map(|(vendor, row)| {
                (
                    vendor.as_str(),
                    row.region.as_str(),
                    row.upper_tier_colos.len(),
                )
            })
            .collect();
        assert_eq!(rows, [("azure", "francecentral", 1)]);
        assert!(!list.is_empty());
        assert!(SupportedRegions::default().is_empty());
    }
}
