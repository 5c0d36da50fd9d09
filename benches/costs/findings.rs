//! Evaluates one zone of 100 mappings that are all expected, because they are declared or found
//! behind hosts.

use std::collections::BTreeMap;

use cloudflare_origin_region_exporter::domain::{HostName, OriginIp, RangeVerdict, ZoneMappings};
use cloudflare_origin_region_exporter::findings::{
    Candidates, DeclaredOrigin, Discovered, Evidence, ExpectedPlace, HostAnswer, RangesUse,
    SourceState, SupportedRegion, SupportedRegions, evaluate,
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
    // Lookups in the ranges have a benchmark of their own.
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

    let (discovered, hosts) = behind_hosts(&mappings);
    let evidence = Evidence {
        declared: &[],
        discovered: &discovered,
        hosts: &hosts,
        ranges: RangesUse::Off,
        ..evidence
    };
    criterion.bench_function(
        "findings/a zone whose origins are hosts is judged",
        |bencher| {
            bencher.iter(|| evaluate(&mappings, &evidence));
        },
    );
}

/// The addresses of the mappings, four behind each host. The hosts are named by DNS records.
fn behind_hosts(mappings: &ZoneMappings) -> (Discovered, BTreeMap<HostName, HostAnswer>) {
    let mut candidates = Candidates::default();
    let mut hosts = BTreeMap::new();
    for (number, part) in mappings.as_slice().chunks(4).enumerate() {
        let name = format!("shop-{number}.us-east-1.elb.amazonaws.com");
        let host = HostName::parse(&name).unwrap();
        candidates.add_host(host.clone());
        let answer = HostAnswer {
            addresses: part.iter().map(|mapping| mapping.origin_ip).collect(),
            is_known: true,
            ..HostAnswer::default()
        };
        hosts.insert(host, answer);
    }
    let read = |candidates: Candidates| SourceState::Read {
        candidates: candidates.into(),
        is_current: true,
    };
    let discovered = Discovered {
        dns: read(candidates),
        load_balancers: read(Candidates::default()),
        rules: read(Candidates::default()),
    };
    (discovered, hosts)
}
