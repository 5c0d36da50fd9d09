//! Lookups in the table of all vendors' ranges. Uses the excerpts of the tests, or the published
//! files if `EXPORTER_RANGE_FILES` is set to their directory.

use std::path::PathBuf;
use std::sync::Arc;

use cloudflare_origin_region_exporter::domain::OriginIp;
use cloudflare_origin_region_exporter::vendor_ranges::{Format, RangeTable};
use criterion::Criterion;

const EXCERPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges");

/// The format, the file name of the excerpt, and the name of the published file.
const FILES: [(Format, &str, &str); 4] = [
    (Format::Aws, "aws.json", "aws-ip-ranges.json"),
    (Format::Azure, "azure.json", "azure-service-tags.json"),
    (Format::Gcp, "gcp.json", "gcp-cloud.json"),
    (Format::Oci, "oci.json", "oci-public-ip-ranges.json"),
];

fn table() -> (RangeTable, &'static str) {
    let published = std::env::var_os("EXPORTER_RANGE_FILES").map(PathBuf::from);
    let mut table = RangeTable::default();
    for (format, excerpt, file) in FILES {
        let path = match &published {
            Some(directory) => directory.join(file),
            None => PathBuf::from(EXCERPTS).join(excerpt),
        };
        let bytes = std::fs::read(path).unwrap();
        table = table.with(format, Arc::new(format.parse(bytes.as_slice()).unwrap()));
    }
    let name = match published {
        Some(_) => "the published files",
        None => "the excerpts",
    };
    (table, name)
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let (table, name) = table();
    let mut group = criterion.benchmark_group("ranges");
    for ip in ["3.5.140.1", "20.33.0.1", "2600:1f14::1", "192.0.2.1"] {
        let address = OriginIp::parse(ip).unwrap();
        group.bench_function(format!("{ip} in {name}"), |bencher| {
            bencher.iter(|| table.verdict(address));
        });
    }
    group.finish();
}
