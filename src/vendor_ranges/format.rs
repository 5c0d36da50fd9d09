//! The four vendors' files, each in its published format.
//!
//! While a file is read, only the prefix and region of each row are kept.

use std::io::{BufReader, Read};
use std::marker::PhantomData;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use url::Url;

use super::rows::{Nets, Row, Rows, fold_rows};
use super::table::{Place, VendorTable};
use super::{RangeSource, RangesError};
use crate::domain::Vendor;

/// The most characters of a parser's message, which may quote the file.
const MAX_PROBLEM_CHARS: usize = 200;

/// A published format, one for each known vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// `ip-ranges.json`: rows of the service `AMAZON`, which cover all others, and rows of the edge
    /// services `GLOBALACCELERATOR` and `CLOUDFRONT`. The region `GLOBAL` means none.
    Aws,
    /// `ServiceTags_Public_….json`: the tags `AzureCloud.REGION`, `AzureCloud` for prefixes without
    /// a region, and those of the edge services, `AzureFrontDoor.Frontend` and
    /// `AzureTrafficManager`.
    Azure,
    /// `cloud.json`. The scope `global` means no region.
    Gcp,
    /// `public_ip_ranges.json`.
    Oci,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Aws, Self::Azure, Self::Gcp, Self::Oci];

    /// The vendor that publishes it.
    pub fn vendor(self) -> Vendor {
        match self {
            Self::Aws => Vendor::Aws,
            Self::Azure => Vendor::Azure,
            Self::Gcp => Vendor::Gcp,
            Self::Oci => Vendor::Oci,
        }
    }

    /// Where the vendor publishes it.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the addresses are constants, and a test parses each"
    )]
    pub fn default_source(self) -> RangeSource {
        let parse = |address| Url::parse(address).expect("a constant address");
        match self {
            Self::Aws => RangeSource::Url(parse("https://ip-ranges.amazonaws.com/ip-ranges.json")),
            Self::Azure => RangeSource::DownloadPage(parse(
                "https://www.microsoft.com/en-us/download/details.aspx?id=56519",
            )),
            Self::Gcp => RangeSource::Url(parse("https://www.gstatic.com/ipranges/cloud.json")),
            Self::Oci => RangeSource::Url(parse(
                "https://docs.oracle.com/iaas/tools/public_ip_ranges.json",
            )),
        }
    }

    /// Parses a whole file while reading it. Rows with an invalid prefix are rejected and counted.
    pub fn parse(self, file: impl Read) -> Result<VendorTable, RangesError> {
        let parsed = match self {
            Self::Aws => self.read::<AwsRow>(file),
            Self::Azure => self.read::<AzureTag>(file),
            Self::Gcp => self.read::<GcpRow>(file),
            Self::Oci => self.read::<OciRegion>(file),
        };
        parsed.map_err(|error| {
            if error.is_io() {
                return RangesError::File(error.into());
            }
            RangesError::Format {
                format: self,
                problem: error.to_string().chars().take(MAX_PROBLEM_CHARS).collect(),
            }
        })
    }

    fn read<R: Row<List = Rows>>(self, file: impl Read) -> serde_json::Result<VendorTable> {
        let file: RangeFile<R> = serde_json::from_reader(BufReader::new(file))?;
        let mut rows = file.rows;
        rows.append(file.ipv6_prefixes);
        let published = file.published.and_then(|text| self.published(&text));
        Ok(rows.into_table(published))
    }

    /// The time of publication, as the format writes it.
    fn published(self, text: &str) -> Option<Timestamp> {
        match self {
            Self::Aws => Timestamp::from_second(text.parse().ok()?).ok(),
            Self::Azure => None,
            Self::Gcp => Timestamp::from_millisecond(text.parse().ok()?).ok(),
            // The time has no time zone and is taken as UTC.
            Self::Oci => {
                let time: DateTime = text.parse().ok()?;
                Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
            }
        }
    }
}

/// A file of any format, whose rows differ.
#[derive(Deserialize)]
struct RangeFile<R: Row<List = Rows>> {
    #[serde(alias = "syncToken", alias = "last_updated_timestamp")]
    published: Option<String>,
    #[serde(alias = "prefixes", alias = "values", alias = "regions")]
    #[serde(deserialize_with = "fold_rows::<R, _>")]
    rows: Rows,
    #[serde(deserialize_with = "fold_rows::<R, _>", default)]
    ipv6_prefixes: Rows,
    #[serde(skip)]
    row: PhantomData<R>,
}

#[derive(Deserialize)]
struct AwsRow {
    #[serde(alias = "ipv6_prefix")]
    ip_prefix: Option<String>,
    region: Option<String>,
    service: Option<String>,
}

impl Row for AwsRow {
    type List = Rows;

    fn keep(self, rows: &mut Rows) {
        let place = match self.service.as_deref() {
            Some("AMAZON") => rows.place(&Vendor::Aws, self.region.as_deref().unwrap_or_default()),
            Some("GLOBALACCELERATOR" | "CLOUDFRONT") => Place::Edge,
            _ => return,
        };
        rows.add(self.ip_prefix.as_deref(), place);
    }
}

#[derive(Deserialize)]
struct GcpRow {
    #[serde(rename = "ipv4Prefix", alias = "ipv6Prefix")]
    prefix: Option<String>,
    scope: Option<String>,
}

impl Row for GcpRow {
    type List = Rows;

    fn keep(self, rows: &mut Rows) {
        let place = rows.place(&Vendor::Gcp, self.scope.as_deref().unwrap_or_default());
        rows.add(self.prefix.as_deref(), place);
    }
}

#[derive(Deserialize)]
struct AzureTag {
    name: String,
    properties: AzureProperties,
}

#[derive(Deserialize)]
struct AzureProperties {
    #[serde(rename = "addressPrefixes", default)]
    #[serde(deserialize_with = "fold_rows::<AzurePrefix, _>")]
    prefixes: Nets,
}

#[derive(Deserialize)]
struct AzurePrefix(String);

impl Row for AzurePrefix {
    type List = Nets;

    fn keep(self, nets: &mut Nets) {
        nets.add(Some(&self.0));
    }
}

impl Row for AzureTag {
    type List = Rows;

    fn keep(self, rows: &mut Rows) {
        let place = match self.name.as_str() {
            "AzureFrontDoor.Frontend" | "AzureTrafficManager" => Place::Edge,
            "AzureCloud" => Place::Nowhere,
            name => match name.strip_prefix("AzureCloud.") {
                Some(region) => rows.place(&Vendor::Azure, region),
                None => return,
            },
        };
        rows.append_at(self.properties.prefixes, place);
    }
}

#[derive(Deserialize)]
struct OciRegion {
    region: String,
    #[serde(deserialize_with = "fold_rows::<OciRow, _>", default)]
    cidrs: Nets,
}

#[derive(Deserialize)]
struct OciRow {
    cidr: Option<String>,
}

impl Row for OciRow {
    type List = Nets;

    fn keep(self, nets: &mut Nets) {
        nets.add(self.cidr.as_deref());
    }
}

impl Row for OciRegion {
    type List = Rows;

    fn keep(self, rows: &mut Rows) {
        let place = rows.place(&Vendor::Oci, &self.region);
        rows.append_at(self.cidrs, place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{OriginIp, RangeVerdict};
    use crate::vendor_ranges::RangeTable;
    use crate::vendor_ranges::rows::MAX_ROWS;

    /// The verdict on an address, as `VENDOR REGION`.
    fn judged(format: Format, file: &str, ip: &str) -> String {
        let table = Arc::new(format.parse(file.as_bytes()).unwrap());
        let ip = OriginIp::parse(ip).unwrap();
        match RangeTable::default().with(format, table).verdict(ip) {
            RangeVerdict::InRegion(vendor, region) => format!("{vendor} {region}"),
            RangeVerdict::InVendor(vendor) => vendor.to_string(),
            RangeVerdict::NotInRanges | RangeVerdict::Unknown => String::new(),
        }
    }

    const AWS: &str = include_str!("../../tests/data/ip-ranges/aws.json");
    const AZURE: &str = include_str!("../../tests/data/ip-ranges/azure.json");
    const GCP: &str = include_str!("../../tests/data/ip-ranges/gcp.json");
    const OCI: &str = include_str!("../../tests/data/ip-ranges/oci.json");

    #[test]
    fn each_format_names_vendor_and_region() {
        for (format, file, ip, expected) in [
            (Format::Aws, AWS, "3.80.2.1", "aws us-east-1"),
            (Format::Aws, AWS, "3.80.2.129", "aws eu-west-1"),
            (Format::Aws, AWS, "34.68.100.1", "aws"),
            (Format::Aws, AWS, "34.68.100.200", "aws sa-east-1"),
            (Format::Aws, AWS, "40.74.113.1", ""),
            (Format::Aws, AWS, "2600:1f18:a::1", "aws us-east-1"),
            (Format::Aws, AWS, "3.80.2.65", "aws"),
            (Format::Aws, AWS, "3.80.2.254", "aws"),
            (Format::Aws, AWS, "2600:1f18:a:f::1", "aws"),
            (Format::Azure, AZURE, "3.80.2.1", "azure westeurope"),
            (Format::Azure, AZURE, "2600:1f18:b:f::1", "azure"),
            (Format::Azure, AZURE, "34.68.100.66", "azure"),
            (Format::Azure, AZURE, "34.68.100.1", "azure francecentral"),
            (
                Format::Azure,
                AZURE,
                "2600:1f18:b::1",
                "azure francecentral",
            ),
            (Format::Azure, AZURE, "40.74.113.1", "azure"),
            (Format::Azure, AZURE, "40.74.113.129", ""),
            (Format::Gcp, GCP, "3.80.2.1", "gcp us-central1"),
            (Format::Gcp, GCP, "34.68.100.1", "gcp"),
            (Format::Gcp, GCP, "2600:1f18:c::1", "gcp europe-west1"),
            (Format::Oci, OCI, "3.80.2.1", "oci us-ashburn-1"),
            (Format::Oci, OCI, "34.68.100.1", "oci eu-frankfurt-1"),
        ] {
            assert_eq!(judged(format, file, ip), expected, "{format:?} {ip}");
        }
    }

    #[test]
    fn the_time_of_publication_is_read_where_the_file_has_one() {
        for (format, file, expected) in [
            (Format::Aws, AWS, Some("2026-08-22T15:17:05Z")),
            (Format::Azure, AZURE, None),
            (Format::Gcp, GCP, Some("2025-07-25T02:16:28.78Z")),
            (Format::Oci, OCI, Some("2025-07-21T07:13:25.457838Z")),
        ] {
            let published = format.parse(file.as_bytes()).unwrap().published;
            assert_eq!(
                published,
                expected.map(|t| t.parse().unwrap()),
                "{format:?}"
            );
        }
    }

    #[test]
    fn rows_that_cannot_be_read_are_counted_and_the_others_serve() {
        let file = r#"{"prefixes": [
            {"ipv4Prefix": "3.80.2.0/24", "scope": "us-central1"},
            {"ipv4Prefix": "3.80.2.0/33", "scope": "us-central1"},
            {"scope": "us-central1"}
        ]}"#;
        let table = Format::Gcp.parse(file.as_bytes()).unwrap();
        assert_eq!((table.len(), table.rejected), (1, 2));
        assert_eq!(judged(Format::Gcp, file, "3.80.2.1"), "gcp us-central1");
    }

    #[test]
    fn host_bits_of_a_prefix_do_not_matter_and_no_region_is_no_region() {
        let file = r#"{"syncToken": "x", "prefixes": [
            {"ipv4Prefix": "3.80.2.77/24", "scope": ""},
            {"ipv4Prefix": "34.68.100.0/24"}
        ]}"#;
        assert_eq!(judged(Format::Gcp, file, "3.80.2.1"), "gcp");
        assert_eq!(judged(Format::Gcp, file, "34.68.100.1"), "gcp");
        assert_eq!(Format::Gcp.parse(file.as_bytes()).unwrap().published, None);
    }

    #[test]
    fn what_is_not_the_format_is_an_error_that_says_so_briefly() {
        let long = format!("{{\"prefixes\": \"{}\"}}", "x".repeat(10_000));
        for format in Format::ALL {
            for file in [
                "",
                "<!doctype html><html></html>",
                "{}",
                "[]",
                "{\"values\": 1}",
                &long,
            ] {
                let error = format.parse(file.as_bytes()).unwrap_err().to_string();
                let vendor = format.vendor();
                assert!(
                    error.starts_with(&format!("the file is not in {vendor}'s")),
                    "{error}"
                );
                assert!(error.len() < 400, "{error}");
            }
        }
    }

    #[test]
    fn more_rows_than_any_vendor_publishes_are_refused() {
        let row = r#"{"ipv4Prefix":"3.80.2.0/24"}"#;
        let rows = vec![row; MAX_ROWS + 1].join(",");
        let error = Format::Gcp
            .parse(format!("{{\"prefixes\":[{rows}]}}").as_bytes())
            .unwrap_err();
        assert!(
            error.to_string().contains("more than 1000000 rows"),
            "{error}"
        );
    }

    #[test]
    fn every_vendors_own_address_is_https() {
        for format in Format::ALL {
            assert!(format.default_source().to_string().starts_with("https://"));
        }
    }
}
