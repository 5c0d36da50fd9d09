//! The spelling of regions that Cloudflare supports.

use super::Effect;
use crate::domain::{ExpectedPlace, Mapping, Region, SupportedRegions, Vendor, usual_region};

/// The place in Cloudflare's spelling, or with the vendor's usual identifier if Cloudflare does not
/// list the region. Without a vendor the place is unchanged.
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

/// The place, without its region if Cloudflare does not support it.
pub(super) fn supported_part(
    place: ExpectedPlace,
    supported: Option<&SupportedRegions>,
) -> ExpectedPlace {
    let (Some(supported), Some(vendor), Some(region)) = (supported, &place.vendor, &place.region)
    else {
        return place;
    };
    if supported.find(vendor, region).is_some() {
        place
    } else {
        ExpectedPlace {
            region: None,
            ..place
        }
    }
}

/// Whether Tiered Cache chooses other upper tiers for the mapping than for the expected region.
pub(super) fn effect(
    mapping: &Mapping,
    expected: &ExpectedPlace,
    supported: Option<&SupportedRegions>,
) -> Effect {
    let colos = |vendor: &Vendor, region: &Region| {
        let listed = supported.filter(|supported| supported.colos_complete)?;
        let colos = &listed.find(vendor, region)?.upper_tier_colos;
        (!colos.is_empty()).then_some(colos)
    };
    let (Some(vendor), Some(region)) = (&expected.vendor, &expected.region) else {
        return Effect::Unknown;
    };
    match (
        colos(&mapping.vendor, &mapping.region),
        colos(vendor, region),
    ) {
        (Some(mapped), Some(right)) if mapped == right => Effect::SameTiers,
        (Some(_), Some(_)) => Effect::OtherTiers,
        _ => Effect::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SupportedRegion, Vendor};

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    fn supported(vendor: Vendor, name: &str) -> SupportedRegions {
        let row = SupportedRegion {
            region: region(name),
            upper_tier_colos: Vec::new(),
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
}
