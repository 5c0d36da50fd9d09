//! Tests with the published files, which are too large for this repository.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cloudflare_origin_region_exporter::domain::OriginIp;
use cloudflare_origin_region_exporter::vendor_ranges::{Format, RangeTable};

use crate::support::shown;

#[test]
#[ignore = "needs EXPORTER_RANGE_FILES, the directory of the published files; run by scripts/test"]
fn the_published_files_are_read_whole() {
    let directory = std::env::var_os("EXPORTER_RANGE_FILES").expect(
        "EXPORTER_RANGE_FILES is a directory with aws-ip-ranges.json, azure-service-tags.json, \
         gcp-cloud.json and oci-public-ip-ranges.json",
    );
    let mut table = RangeTable::default();
    let mut memory = 0;
    for (format, file, at_least) in [
        (Format::Aws, "aws-ip-ranges.json", 8_000),
        (Format::Azure, "azure-service-tags.json", 12_000),
        (Format::Gcp, "gcp-cloud.json", 700),
        (Format::Oci, "oci-public-ip-ranges.json", 800),
    ] {
        let bytes = std::fs::read(Path::new(&directory).join(file)).unwrap();
        let start = Instant::now();
        let loaded = Arc::new(format.parse(bytes.as_slice()).unwrap());
        println!(
            "{file}: {} prefixes, {} bytes, published {:?}, parsed in {:?}",
            loaded.len(),
            loaded.memory(),
            loaded.published,
            start.elapsed()
        );
        assert!(loaded.len() >= at_least, "{file}");
        assert_eq!(loaded.rejected, 0, "{file}");
        memory += loaded.memory();
        table = table.with(format, loaded);
    }
    println!("the table of all four takes {memory} bytes");
    assert!(memory < 10 << 20);
    assert!(table.is_complete());
    let edges = edge_prefixes(Path::new(&directory));
    let total = edges.len();
    let regional = edges.into_iter().filter(|(vendor, prefix)| {
        let address = prefix.split('/').next().unwrap();
        shown(table.verdict(OriginIp::parse(address).unwrap())) != *vendor
    });
    // A few CloudFront blocks start with addresses that EC2 uses in a region.
    let regional: Vec<_> = regional.collect();
    assert!(regional.len() * 20 < total, "{regional:?} of {total}");
    for (ip, expected) in KNOWN_ADDRESSES {
        let verdict = table.verdict(OriginIp::parse(ip).unwrap());
        assert_eq!(shown(verdict), expected, "{ip}");
    }
}

/// The prefixes of edge services in the published files of AWS and Azure.
fn edge_prefixes(directory: &Path) -> Vec<(&'static str, String)> {
    let read = |file| -> serde_json::Value {
        let text = std::fs::read_to_string(directory.join(file)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let (aws, azure) = (read("aws-ip-ranges.json"), read("azure-service-tags.json"));
    let mut prefixes = Vec::new();
    for (list, key) in [("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")] {
        let rows = aws[list].as_array().unwrap().iter();
        let is_edge = |row: &&serde_json::Value| {
            row["service"] == "GLOBALACCELERATOR" || row["service"] == "CLOUDFRONT"
        };
        prefixes.extend(rows.filter(is_edge).map(|row| ("aws", text(&row[key]))));
    }
    assert!(prefixes.len() > 300, "{}", prefixes.len());
    for name in ["AzureFrontDoor.Frontend", "AzureTrafficManager"] {
        let mut tags = azure["values"].as_array().unwrap().iter();
        let tag = tags.find(|tag| tag["name"] == name).expect(name);
        let list = tag["properties"]["addressPrefixes"].as_array().unwrap();
        prefixes.extend(list.iter().map(|prefix| ("azure", text(prefix))));
    }
    prefixes
}

/// Addresses from the files of summer 2025 and 2026. They include nested prefixes, and regions with
/// names that are specific to Azure.
const KNOWN_ADDRESSES: [(&str, &str); 20] = [
    ("3.5.140.1", "aws ap-northeast-2"),
    ("::ffff:3.5.140.1", "aws ap-northeast-2"),
    ("52.94.76.1", "aws us-west-2"),
    ("64.252.81.1", "aws sa-east-1"),
    ("13.32.0.1", "aws"),
    ("2600:f0f0:2::1", "aws us-east-1"),
    ("4.175.0.1", "azure westeurope"),
    ("2603:1020:200::1", "azure westeurope"),
    ("4.176.0.1", "azure francecentral"),
    ("2603:1020:c00::1", "azure germanywestcentral"),
    ("4.238.0.1", "azure brazilsoutheast"),
    ("9.205.0.1", "azure"),
    ("8.34.210.1", "gcp us-central1"),
    ("2600:1900:4010::1", "gcp europe-west1"),
    ("34.8.0.1", "gcp"),
    ("129.80.0.1", "oci us-ashburn-1"),
    ("79.76.96.1", "oci eu-frankfurt-1"),
    ("192.0.2.1", "not in ranges"),
    ("1.1.1.1", "not in ranges"),
    ("2001:db8::1", "not in ranges"),
];
