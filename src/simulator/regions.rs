//! The regions that the simulated Cloudflare supports.

use std::collections::BTreeMap;

use super::world::{SupportedRegion, SupportedRegions};
use crate::domain::Vendor;

/// Vendor, region and the codes of the nearby upper tiers. The names are the vendors' own. The
/// codes are those of plausible nearby locations, not Cloudflare's list.
const REGIONS: &[(&str, &str, &[&str])] = &[
    ("aws", "ap-northeast-1", &["NRT", "KIX"]),
    ("aws", "ap-south-1", &["BOM"]),
    ("aws", "ap-southeast-1", &["SIN"]),
    ("aws", "ap-southeast-2", &["SYD"]),
    ("aws", "ca-central-1", &["YUL"]),
    ("aws", "eu-central-1", &["FRA"]),
    ("aws", "eu-north-1", &["ARN"]),
    ("aws", "eu-west-1", &["DUB"]),
    ("aws", "eu-west-2", &["LHR"]),
    ("aws", "eu-west-3", &["CDG"]),
    ("aws", "sa-east-1", &["GRU"]),
    ("aws", "us-east-1", &["IAD", "EWR"]),
    ("aws", "us-east-2", &["ORD"]),
    ("aws", "us-west-1", &["SJC"]),
    ("aws", "us-west-2", &["SEA"]),
    ("azure", "australiaeast", &["SYD"]),
    ("azure", "brazilsouth", &["GRU"]),
    ("azure", "centralus", &["ORD"]),
    ("azure", "eastus", &["IAD"]),
    ("azure", "eastus2", &["IAD"]),
    ("azure", "francecentral", &["CDG"]),
    ("azure", "germanywestcentral", &["FRA"]),
    ("azure", "japaneast", &["NRT"]),
    ("azure", "northeurope", &["DUB"]),
    ("azure", "southeastasia", &["SIN"]),
    ("azure", "uksouth", &["LHR"]),
    ("azure", "westeurope", &["AMS"]),
    ("azure", "westus2", &["SEA"]),
    ("gcp", "asia-east1", &["TPE"]),
    ("gcp", "asia-northeast1", &["NRT"]),
    ("gcp", "asia-southeast1", &["SIN"]),
    ("gcp", "australia-southeast1", &["SYD"]),
    ("gcp", "europe-west1", &["AMS"]),
    ("gcp", "europe-west2", &["LHR"]),
    ("gcp", "europe-west3", &["FRA"]),
    ("gcp", "europe-west4", &["AMS"]),
    ("gcp", "southamerica-east1", &["GRU"]),
    ("gcp", "us-central1", &["ORD"]),
    ("gcp", "us-east1", &["ATL"]),
    ("gcp", "us-east4", &["IAD"]),
    ("gcp", "us-west1", &["SEA"]),
    ("oci", "ap-tokyo-1", &["NRT"]),
    ("oci", "eu-amsterdam-1", &["AMS"]),
    ("oci", "eu-frankfurt-1", &["FRA"]),
    ("oci", "sa-saopaulo-1", &["GRU"]),
    ("oci", "uk-london-1", &["LHR"]),
    ("oci", "us-ashburn-1", &["IAD"]),
    ("oci", "us-phoenix-1", &["PHX"]),
];

/// The table, as a world holds it.
pub(super) fn supported() -> SupportedRegions {
    let mut vendors: BTreeMap<Vendor, Vec<SupportedRegion>> = BTreeMap::new();
    for (vendor, region, colos) in REGIONS {
        let vendor = Vendor::parse(vendor).expect("a vendor of the table");
        vendors.entry(vendor).or_default().push(SupportedRegion {
            name: (*region).to_owned(),
            upper_tier_colos: colos.iter().map(|&colo| colo.to_owned()).collect(),
        });
    }
    SupportedRegions {
        vendors,
        obtained_codes: true,
    }
}

/// Vendors and regions in the order of the table.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    REGIONS.iter().map(|&(vendor, region, _)| (vendor, region))
}
