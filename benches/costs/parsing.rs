//! One full page of mappings.

use cloudflare_origin_region_exporter::cloudflare::MappingList;
use criterion::{Criterion, Throughput};
use serde_json::json;

use crate::zones::{MAPPINGS, generated};

fn page() -> Vec<u8> {
    let zones = generated(1);
    let rows: Vec<_> = zones
        .iter()
        .flat_map(|(_, mappings)| mappings)
        .map(|mapping| {
            json!({
                "origin_ip": mapping.origin_ip.to_string(),
                "vendor": mapping.vendor.as_str(),
                "region": mapping.region.as_str(),
                "modified_on": mapping.modified_on.map(|time| time.to_string()),
            })
        })
        .collect();
    let body = json!({
        "success": true, "errors": [], "messages": [],
        "result_info": {
            "page": 1, "per_page": MAPPINGS, "count": MAPPINGS,
            "total_count": MAPPINGS, "total_pages": 1,
        },
        "result": rows,
    });
    body.to_string().into_bytes()
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let page = page();
    let read = || MappingList::from_page(&page).unwrap();
    assert_eq!(read().mappings.len(), MAPPINGS);
    let mut group = criterion.benchmark_group("parsing");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("a page of 100 mappings", |bencher| bencher.iter(read));
    group.finish();
}
