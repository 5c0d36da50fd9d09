//! The cloud vendor and region that a host name contains.

use self::Spelling::{After, Always, Found, Last};
use crate::domain::Vendor::{self, Aws, Azure, Gcp, Oci};
use crate::domain::{ExpectedPlace, HostName, Region, usual_region};

/// The vendor and region that a host name contains; `None` if it contains none.
pub fn named_place(host: &HostName) -> Option<ExpectedPlace> {
    let name = host.as_str();
    ROWS.iter().find_map(|(suffix, vendor, spelling)| {
        let rest = below(name, suffix)?;
        let region = match spelling {
            Spelling::None => None,
            Always(region) => Some(*region),
            Last(is_like) => Some(Some(last_label(rest)).filter(|label| is_like(label))?),
            After(service) => Some(after(rest, service).filter(|label| like_aws(label))?),
            Found(find) => Some(find(rest)?),
        };
        Some(ExpectedPlace {
            vendor: Some(vendor.clone()),
            region: region.and_then(|region| Region::parse(&usual_region(vendor, region)).ok()),
        })
    })
}

/// The vendor and region that the names of a CNAME chain contain, from the first name to the one
/// that has the addresses. A name with a region wins over one without, and a later name over an
/// earlier one.
pub fn chain_place<'a>(chain: impl IntoIterator<Item = &'a HostName>) -> ExpectedPlace {
    let mut best = ExpectedPlace::default();
    for place in chain.into_iter().filter_map(named_place) {
        if place.region.is_some() || best.region.is_none() {
            best = place;
        }
    }
    best
}

/// Where names with a suffix have their region. The functions check that a label looks like one.
enum Spelling {
    /// Not at all: only the vendor is known, or there is no region.
    None,
    /// All names with the suffix are in this region.
    Always(&'static str),
    /// In the last label before the suffix. If it is missing, the row does not match; the same holds
    /// for the following ones.
    Last(fn(&str) -> bool),
    /// In the last label before the suffix, after a label with this name.
    After(&'static str),
    /// In a part of the name, which the function gets without the suffix and its dot.
    Found(for<'a> fn(&'a str) -> Option<&'a str>),
}

/// Suffixes of names. The first row that matches a name decides.
///
/// Sources: the vendors' documentation of endpoints and default host names.
const ROWS: &[(&str, Vendor, Spelling)] = &[
    // Application and Classic Load Balancers, then Network Load Balancers, which have the region
    // and `elb` the other way round.
    ("elb.amazonaws.com", Aws, Last(like_aws)),
    ("amazonaws.com", Aws, After("elb")),
    ("compute.amazonaws.com", Aws, Last(like_aws)),
    ("compute-1.amazonaws.com", Aws, Always("us-east-1")),
    ("amazonaws.com", Aws, Found(s3)),
    ("s3.amazonaws.com", Aws, Spelling::None),
    ("amazonaws.com", Aws, After("execute-api")),
    ("on.aws", Aws, After("lambda-url")),
    ("elasticbeanstalk.com", Aws, Last(like_aws)),
    ("awsapprunner.com", Aws, Last(like_aws)),
    ("cloudapp.azure.com", Azure, Last(like_azure)),
    ("azurecontainer.io", Azure, Last(like_azure)),
    ("azurecontainerapps.io", Azure, Last(like_azure)),
    ("azurewebsites.net", Azure, Found(numbered_azure)),
    ("azurewebsites.net", Azure, Spelling::None),
    ("core.windows.net", Azure, Spelling::None),
    ("run.app", Gcp, Last(like_gcp)),
    ("a.run.app", Gcp, Spelling::None),
    ("cloudfunctions.net", Gcp, Found(before_project)),
    ("storage.googleapis.com", Gcp, Spelling::None),
    ("appspot.com", Gcp, Spelling::None),
    ("oraclecloud.com", Oci, After("objectstorage")),
    // Edge and anycast services: their addresses are not in any region.
    ("cloudfront.net", Aws, Spelling::None),
    ("awsglobalaccelerator.com", Aws, Spelling::None),
    ("azurefd.net", Azure, Spelling::None),
    ("azureedge.net", Azure, Spelling::None),
    ("trafficmanager.net", Azure, Spelling::None),
    ("ghs.googlehosted.com", Gcp, Spelling::None),
];

/// The part of a name before a suffix of whole labels, without the dot between them; empty if the
/// name is the suffix itself.
fn below<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let rest = name.strip_suffix(suffix)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_suffix('.')
    }
}

fn last_label(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The last label, if the one before it is `service`.
fn after<'a>(rest: &'a str, service: &str) -> Option<&'a str> {
    let (before, region) = rest.rsplit_once('.')?;
    (last_label(before) == service).then_some(region)
}

/// `s3.REGION`, `s3.dualstack.REGION`, `s3-website.REGION`, `s3-website-REGION` and `s3-REGION`.
fn s3(rest: &str) -> Option<&str> {
    let (before, last) = rest.rsplit_once('.').unwrap_or(("", rest));
    let service = last_label(before);
    let dualstack = || before == "s3.dualstack" || before.ends_with(".s3.dualstack");
    let region = if service == "s3" || service == "s3-website" || dualstack() {
        last
    } else {
        last.strip_prefix("s3-website-")
            .or_else(|| last.strip_prefix("s3-"))?
    };
    like_aws(region).then_some(region)
}

/// `REGION-NN`.
fn numbered_azure(rest: &str) -> Option<&str> {
    let (_, label) = rest.rsplit_once('.')?;
    let (region, number) = label.rsplit_once('-')?;
    let numbered = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    (numbered && like_azure(region)).then_some(region)
}

/// `REGION-PROJECT`: the region is the first two words.
fn before_project(rest: &str) -> Option<&str> {
    let label = last_label(rest);
    let (end, _) = label.match_indices('-').nth(1)?;
    label.get(..end).filter(|region| like_gcp(region))
}

/// `us-east-1`, `us-gov-west-1`; Oracle's regions (`us-ashburn-1`) have the same form.
fn like_aws(label: &str) -> bool {
    let words: Vec<_> = label.split('-').collect();
    let [area, place @ .., number] = &*words else {
        return false;
    };
    let is_number =
        (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_place = !place.is_empty() && place.iter().all(|word| is_word(word));
    area.len() == 2 && is_word(area) && is_place && is_number
}

/// `westeurope`, `eastus2`, `eastus2euap`.
fn like_azure(label: &str) -> bool {
    label.len() >= 5
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && label.bytes().take(4).all(|byte| byte.is_ascii_alphabetic())
}

/// `us-central1`, `europe-west12`.
fn like_gcp(label: &str) -> bool {
    label.split_once('-').is_some_and(|(area, place)| {
        let letters = place.trim_end_matches(|c: char| c.is_ascii_digit());
        is_word(area) && is_word(letters) && letters.len() < place.len()
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostName {
        HostName::parse(name).unwrap()
    }

    fn spelled(name: &str) -> Option<(String, Option<String>)> {
        named_place(&host(name)).map(|place| {
            let region = place.region.map(|region| region.to_string());
            (place.vendor.unwrap().to_string(), region)
        })
    }

    /// A name, and the vendor and region that it contains.
    const IN_A_REGION: &[(&str, &str, &str)] = &[
        (
            "web-1234567890.us-east-1.elb.amazonaws.com",
            "aws",
            "us-east-1",
        ),
        (
            "dualstack.web-1.eu-west-1.elb.amazonaws.com",
            "aws",
            "eu-west-1",
        ),
        (
            "internal-a.us-gov-west-1.elb.amazonaws.com",
            "aws",
            "us-gov-west-1",
        ),
        (
            "net-0123456789abcdef.elb.ap-southeast-2.amazonaws.com",
            "aws",
            "ap-southeast-2",
        ),
        (
            "ec2-192-0-2-1.eu-central-1.compute.amazonaws.com",
            "aws",
            "eu-central-1",
        ),
        ("ec2-192-0-2-1.compute-1.amazonaws.com", "aws", "us-east-1"),
        ("bucket.s3.us-west-2.amazonaws.com", "aws", "us-west-2"),
        (
            "a.dotted.bucket.s3.us-west-2.amazonaws.com",
            "aws",
            "us-west-2",
        ),
        (
            "bucket.s3.dualstack.eu-north-1.amazonaws.com",
            "aws",
            "eu-north-1",
        ),
        (
            "bucket.s3-website.eu-central-1.amazonaws.com",
            "aws",
            "eu-central-1",
        ),
        (
            "bucket.s3-website-us-east-1.amazonaws.com",
            "aws",
            "us-east-1",
        ),
        ("s3-eu-west-1.amazonaws.com", "aws", "eu-west-1"),
        ("bucket.s3-eu-west-1.amazonaws.com", "aws", "eu-west-1"),
        (
            "a1b2c3.execute-api.sa-east-1.amazonaws.com",
            "aws",
            "sa-east-1",
        ),
        ("abcdef.lambda-url.eu-west-3.on.aws", "aws", "eu-west-3"),
        (
            "env.eba-x1.eu-west-2.elasticbeanstalk.com",
            "aws",
            "eu-west-2",
        ),
        (
            "abc.ap-northeast-1.awsapprunner.com",
            "aws",
            "ap-northeast-1",
        ),
        ("vm.westeurope.cloudapp.azure.com", "azure", "westeurope"),
        ("app.eastus2.azurecontainer.io", "azure", "eastus2"),
        (
            "app.nicesea-1a2b3c.swedencentral.azurecontainerapps.io",
            "azure",
            "swedencentral",
        ),
        (
            "shop-a1b2c3d4.northeurope-01.azurewebsites.net",
            "azure",
            "northeurope",
        ),
        (
            "shop-a1b2c3d4.scm.canadacentral-01.azurewebsites.net",
            "azure",
            "canadacentral",
        ),
        (
            "api-123456789012.europe-west1.run.app",
            "gcp",
            "europe-west1",
        ),
        (
            "us-central1-my-project.cloudfunctions.net",
            "gcp",
            "us-central1",
        ),
        (
            "northamerica-northeast1-p1.cloudfunctions.net",
            "gcp",
            "northamerica-northeast1",
        ),
        (
            "objectstorage.us-ashburn-1.oraclecloud.com",
            "oci",
            "us-ashburn-1",
        ),
        (
            "ns.compat.objectstorage.eu-frankfurt-1.oraclecloud.com",
            "oci",
            "eu-frankfurt-1",
        ),
    ];

    #[test]
    fn names_that_spell_a_region() {
        for &(name, vendor, region) in IN_A_REGION {
            let expected = Some((vendor.to_owned(), Some(region.to_owned())));
            assert_eq!(spelled(name), expected, "{name}");
            assert_eq!(spelled(&name.to_ascii_uppercase()), expected, "{name}");
            assert_eq!(spelled(&format!("{name}.")), expected, "{name}.");
            assert_eq!(spelled(&format!("{name}.example")), None, "{name}.example");
            assert!(!host(name).has_no_origin_address(), "{name}");
        }
    }

    #[test]
    fn names_that_spell_only_a_vendor() {
        for (name, vendor) in [
            ("bucket.s3.amazonaws.com", "aws"),
            ("shop.azurewebsites.net", "azure"),
            ("shop.scm.azurewebsites.net", "azure"),
            ("account.blob.core.windows.net", "azure"),
            ("account.z6.web.core.windows.net", "azure"),
            ("storage.googleapis.com", "gcp"),
            ("c.storage.googleapis.com", "gcp"),
            ("my-project.appspot.com", "gcp"),
            ("my-project.uc.r.appspot.com", "gcp"),
            ("api-abcdefghij-uc.a.run.app", "gcp"),
            ("d111111abcdef8.cloudfront.net", "aws"),
            ("a0123456789.awsglobalaccelerator.com", "aws"),
            ("shop-a1b2.z01.azurefd.net", "azure"),
            ("shop.azureedge.net", "azure"),
            ("shop.trafficmanager.net", "azure"),
            ("ghs.googlehosted.com", "gcp"),
        ] {
            assert_eq!(spelled(name), Some((vendor.to_owned(), None)), "{name}");
        }
    }

    #[test]
    fn names_that_spell_nothing() {
        for name in [
            "origin.example.com",
            "us-east-1.example.com",
            "amazonaws.com",
            "elb.amazonaws.com",
            "xelb.amazonaws.com",
            "web.somewhere.elb.amazonaws.com",
            "web.elb.somewhere.amazonaws.com",
            "bucket.s3-accelerate.amazonaws.com",
            "env.elasticbeanstalk.com",
            "vm.cloudapp.azure.com",
            "run.app",
            "us-central1.cloudfunctions.net",
            "notcloudfront.net",
            "console.oraclecloud.com",
        ] {
            assert_eq!(spelled(name), None, "{name}");
        }
    }

    #[test]
    fn a_region_on_the_chain_wins_and_then_the_name_nearest_to_the_addresses() {
        for (chain, expected) in [
            (vec![], None),
            (vec!["www.example.com"], None),
            (
                vec!["a.trafficmanager.net", "vm.westeurope.cloudapp.azure.com"],
                Some(("azure", Some("westeurope"))),
            ),
            (
                vec!["a.us-east-1.elb.amazonaws.com", "b.cloudfront.net"],
                Some(("aws", Some("us-east-1"))),
            ),
            (
                vec![
                    "a.us-east-1.elb.amazonaws.com",
                    "b.europe-west1.run.app",
                    "c.example.com",
                ],
                Some(("gcp", Some("europe-west1"))),
            ),
            (
                vec!["a.trafficmanager.net", "b.cloudfront.net", "c.example.com"],
                Some(("aws", None)),
            ),
        ] {
            let names: Vec<_> = chain.iter().map(|name| host(name)).collect();
            let found = chain_place(&names);
            let vendor = found.vendor.as_ref().map(Vendor::as_str);
            let region = found.region.as_ref().map(Region::as_str);
            assert_eq!(vendor.map(|vendor| (vendor, region)), expected, "{chain:?}");
        }
    }
}
