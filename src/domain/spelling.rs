//! Equivalent spellings of a vendor or region.
//!
//! Cloudflare, a vendor's range file and an operator may each spell a region differently.
//! Comparison ignores case and resolves Azure's short names.

use std::borrow::Cow;

use super::{Region, Vendor};

/// The short names in Azure's service tags, and the usual identifiers.
///
/// Source: the `AzureCloud.REGION` tags of the published service tags file, compared with the
/// region names of Azure Resource Manager.
const AZURE_SHORT_NAMES: [(&str, &str); 10] = [
    ("brazilse", "brazilsoutheast"),
    ("centralfrance", "francecentral"),
    ("chilec", "chilecentral"),
    ("germanyn", "germanynorth"),
    ("germanywc", "germanywestcentral"),
    ("norwaye", "norwayeast"),
    ("norwayw", "norwaywest"),
    ("southfrance", "francesouth"),
    ("switzerlandn", "switzerlandnorth"),
    ("switzerlandw", "switzerlandwest"),
];

/// A vendor's usual identifier of a region: lower case, and for Azure not the short name.
pub fn usual_region<'a>(vendor: &Vendor, region: &'a str) -> Cow<'a, str> {
    if *vendor == Vendor::Azure
        && let Some((_, usual)) = AZURE_SHORT_NAMES
            .iter()
            .find(|(short, _)| short.eq_ignore_ascii_case(region))
    {
        Cow::Borrowed(usual)
    } else if region.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(region.to_ascii_lowercase())
    } else {
        Cow::Borrowed(region)
    }
}

/// Whether two names mean the same vendor. Unknown vendors may differ in case.
pub fn same_vendor(a: &Vendor, b: &Vendor) -> bool {
    a == b || a.as_str().eq_ignore_ascii_case(b.as_str())
}

/// Whether two names mean the same region of a vendor.
pub fn same_region(vendor: &Vendor, a: &Region, b: &Region) -> bool {
    a == b || usual_region(vendor, a.as_str()) == usual_region(vendor, b.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_region_are_equal() {
        for (vendor, a, b, same) in [
            (Vendor::Aws, "us-east-1", "us-east-1", true),
            (Vendor::Aws, "US-East-1", "us-east-1", true),
            (Vendor::Aws, "us-east-1", "us-east-2", false),
            (Vendor::Azure, "centralfrance", "francecentral", true),
            (Vendor::Azure, "FranceCentral", "centralfrance", true),
            (Vendor::Azure, "GERMANYWC", "germanywestcentral", true),
            (Vendor::Azure, "germanyn", "germanywestcentral", false),
            (Vendor::Azure, "norwaye", "norwayw", false),
            (Vendor::Azure, "eastus", "eastus2", false),
            (Vendor::Gcp, "centralfrance", "francecentral", false),
        ] {
            let parse = |text| Region::parse(text).unwrap();
            assert_eq!(same_region(&vendor, &parse(a), &parse(b)), same, "{a} {b}");
            assert_eq!(same_region(&vendor, &parse(b), &parse(a)), same, "{b} {a}");
        }
    }

    #[test]
    fn an_unknown_vendor_is_the_same_in_any_case() {
        let parse = |text| Vendor::parse(text).unwrap();
        assert!(same_vendor(&parse("Hetzner"), &parse("hetzner")));
        assert!(!same_vendor(&parse("hetzner"), &parse("aws")));
    }

    #[test]
    fn a_usual_identifier_is_its_own_usual_identifier() {
        for (short, usual) in AZURE_SHORT_NAMES {
            assert_eq!(usual_region(&Vendor::Azure, short), usual);
            assert_eq!(usual_region(&Vendor::Azure, usual), usual);
        }
    }
}
