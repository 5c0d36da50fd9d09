//! Parses one full page of mappings.

use cloudflare_origin_region_exporter::cloudflare::MappingList;
use criterion::{Criterion, Throughput};

use crate::zones::{MAPPINGS, page};

pub(crate) fn bench(criterion: &mut Criterion) {
    let page = page();
    let read = || MappingList::from_page(&page).unwrap();
    assert_eq!(read().rows.len(), MAPPINGS);
    let mut group = criterion.benchmark_group("parsing");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("a page of 100 mappings", |bencher| bencher.iter(read));
    group.finish();
}
