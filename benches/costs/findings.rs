//! The judgement on one zone of 100 mappings that are all expected.

use cloudflare_origin_region_exporter::domain::{OriginIp, RangeVerdict, ZoneMappings};
use cloudflare_origin_region_exporter::findings::{
    DeclaredOrigin, Discovered, ExpectedPlace, RangesUse, SupportedRegion, SupportedRegions,
    expected, judge,
};
use criterion::Criterion;

use crate::zones::generated;

pub(crate) fn bench(criterion: &mut Criterion) {
    let Some((_, mappings)) = generated(1).pop() else {
        return;
    };
    let declared: Vec<_> = mappings
        .iter()
        .map(|mapping| DeclaredOrigin {
            origin_ip: mapping.origin_ip,
            place: ExpectedPlace {
                vendor: Some(mapping.vendor.clone()),
                region: Some(mapping.region.clone()),
            },
        })
        .collect();
    let supported: SupportedRegions = mappings
        .iter()
        .map(|mapping| {
            let region = SupportedRegion {
                region: mapping.region.clone(),
                upper_tier_colos: Vec::new(),
            };
            (mapping.vendor.clone(), region)
        })
        .collect();
    let mappings = ZoneMappings::from_rows(mappings).unwrap();
    // Look-ups are measured by themselves.
    let verdict = |_: OriginIp| RangeVerdict::NotInRanges;
    let ranges = RangesUse::Loaded(&verdict);
    let discovered = Discovered::default();
    let expectations = expected(&declared, &discovered, ranges);

    let mut group = criterion.benchmark_group("findings");
    group.bench_function("what is expected of a zone", |bencher| {
        bencher.iter(|| expected(&declared, &discovered, ranges));
    });
    group.bench_function("a zone is judged", |bencher| {
        bencher.iter(|| judge(&mappings, &expectations, Some(&supported), ranges));
    });
    group.finish();
}
