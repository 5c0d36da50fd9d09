//! The regions that Cloudflare supports.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Region, Vendor, usual_region};

/// The regions that Cloudflare supports for each vendor, as the API lists them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SupportedRegions {
    /// Keyed by vendor and usual identifier, so that any spelling is found with one lookup.
    vendors: BTreeMap<Vendor, BTreeMap<Box<str>, SupportedRegion>>,
    /// Whether Cloudflare resolved all data centres; if not, some may be missing.
    pub colos_complete: bool,
}

/// A region that Cloudflare supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedRegion {
    /// Its name as Cloudflare spells it.
    pub region: Region,
    /// The codes of its upper tier data centres, sorted, without duplicates; may be incomplete.
    pub upper_tier_colos: Vec<Arc<str>>,
}

impl SupportedRegions {
    /// Whether the list is empty. No mapping is checked against an empty list.
    pub fn is_empty(&self) -> bool {
        self.vendors.is_empty()
    }

    /// Every region with its vendor, in a stable order.
    pub fn iter(&self) -> impl Iterator<Item = (&Vendor, &SupportedRegion)> {
        self.vendors
            .iter()
            .flat_map(|(vendor, regions)| regions.values().map(move |region| (vendor, region)))
    }

    /// Finds a region in any spelling.
    pub fn find(&self, vendor: &Vendor, region: &Region) -> Option<&SupportedRegion> {
        self.vendors
            .get(vendor)?
            .get(&*usual_region(vendor, region.as_str()))
    }
}

impl FromIterator<(Vendor, SupportedRegion)> for SupportedRegions {
    /// Merges the data centres of a region that is listed more than once.
    fn from_iter<I: IntoIterator<Item = (Vendor, SupportedRegion)>>(rows: I) -> Self {
        let mut supported = Self::default();
        for (vendor, row) in rows {
            let usual = usual_region(&vendor, row.region.as_str()).into();
            let regions = supported.vendors.entry(vendor).or_default();
            let region = regions.entry(usual).or_insert_with(|| SupportedRegion {
                region: row.region,
                upper_tier_colos: Vec::new(),
            });
            region.upper_tier_colos.extend(row.upper_tier_colos);
            region.upper_tier_colos.sort_unstable();
            region.upper_tier_colos.dedup();
        }
        supported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, colos: &[&str]) -> (Vendor, SupportedRegion) {
        let row = SupportedRegion {
            region: Region::parse(name).unwrap(),
            upper_tier_colos: colos.iter().map(|&colo| Arc::from(colo)).collect(),
        };
        (Vendor::Azure, row)
    }

    #[test]
    fn a_region_is_found_in_any_spelling_and_listed_with_its_vendor() {
        let list = SupportedRegions::from_iter([row("centralfrance", &["CDG"])]);
        let region = Region::parse("FranceCentral").unwrap();
        let found = list.find(&Vendor::Azure, &region).unwrap();
        assert_eq!(found.region.as_str(), "centralfrance");
        assert_eq!(list.find(&Vendor::Aws, &region), None);
        let rows: Vec<_> = list.iter().map(|(vendor, _)| vendor.as_str()).collect();
        assert_eq!(rows, ["azure"]);
        assert!(!list.is_empty() && SupportedRegions::default().is_empty());
    }

    #[test]
    fn the_data_centres_of_a_region_are_sorted_each_once() {
        let rows = [
            row("eastus", &["IAD", "EWR"]),
            row("EastUS", &["IAD", "ATL"]),
        ];
        let list = SupportedRegions::from_iter(rows);
        let colos: Vec<_> = list
            .iter()
            .flat_map(|(_, row)| &row.upper_tier_colos)
            .collect();
        assert_eq!(
            colos,
            ["ATL", "EWR", "IAD"]
                .map(Arc::from)
                .iter()
                .collect::<Vec<_>>()
        );
    }
}
