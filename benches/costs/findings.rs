//! The judgement on one zone of 100 mappings that are all expected.

use std::collections::BTreeMap;

use cloudflare_origin_region_exporter::domain::{OriginIp, RangeVerdict, ZoneMappings};
use cloudflare_origin_region_exporter::findings::{
    DeclaredOrigin, Discovered, Evidence, ExpectedPlace, RangesUse, SupportedRegion,
    SupportedRegions, evaluate,
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
    let evidence = Evidence {
        declared: &declared,
        declared_hosts: &[],
        ignore: &[],
        discovered: &discovered,
        hosts: &BTreeMap::new(),
        cloudflare: &[],
        supported: Some(&supported),
        ranges,
    };

    criterion.bench_function("findings/a zone is judged", |bencher| {
        bencher.iter(|| evaluate(&mappings, &evidence));
    });
}
