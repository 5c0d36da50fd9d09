//! Wrong, stale and unverified mappings.

use std::fmt::Write as _;

use cloudflare_origin_region_exporter::simulator::demo;
use jiff::{Timestamp, ToSpan as _};

use crate::support::{Exporter, simulate, world};

const WRONG: [&str; 6] = [
    "origin_ip",
    "vendor",
    "region",
    "expected_vendor",
    "expected_region",
    "check",
];

#[tokio::test]
async fn a_mapping_that_contradicts_its_declaration_is_wrong() {
    let mappings = [
        ("3.80.2.1", "aws", "us-east-1"),
        ("3.80.2.2", "aws", "us-east-1"),
        ("3.80.2.3", "azure", "westeurope"),
    ];
    let (api, _guard) = simulate(world().zone("a.test", mappings).zone("b.test", [])).await;
    let more = "expect:\n\
                \x20 zones:\n\
                \x20   a.test:\n\
                \x20     - { origin_ip: 3.80.2.1, vendor: aws, region: eu-west-1 }\n\
                \x20     - { origin_ip: 3.80.2.2, vendor: gcp }\n\
                \x20     - { origin_ip: 3.80.2.3, vendor: azure, region: WestEurope }\n";
    let exporter = Exporter::start(&api, more).await;
    let seen = exporter
        .until("wrong mappings by both checks", |seen| {
            seen.rows("wrong_mappings", &["zone", "check"]).len() == 3
        })
        .await;
    assert_eq!(
        seen.rows("wrong_mapping", &WRONG),
        [
            "3.80.2.1 aws us-east-1 aws eu-west-1 declared",
            "3.80.2.2 aws us-east-1 gcp  declared",
        ]
    );
    let declared = [("zone", "a.test"), ("check", "declared")];
    assert_eq!(seen.value("wrong_mappings", &declared), Some(2.0));
    let supported = [("zone", "a.test"), ("check", "supported_regions")];
    assert_eq!(seen.value("wrong_mappings", &supported), Some(0.0));
    // Nothing is declared for the other zone, so this check does not apply to it.
    let declared = [("zone", "b.test"), ("check", "declared")];
    assert_eq!(seen.value("wrong_mappings", &declared), None);
    assert_eq!(seen.rows("unverified_mappings", &["zone"]), [""; 0]);
}

#[tokio::test]
async fn a_region_that_cloudflare_does_not_support_is_wrong() {
    let mappings = [
        ("3.80.2.1", "aws", "us-retired-1"),
        ("3.80.2.2", "othercloud", "here"),
        ("3.80.2.3", "aws", "us-east-1"),
    ];
    let (api, _guard) = simulate(world().zone("a.test", mappings)).await;
    let exporter = Exporter::start(&api, "").await;
    let seen = exporter
        .until("wrong mappings", |seen| {
            seen.of("a.test", "wrong_mappings") == Some(2.0)
        })
        .await;
    assert_eq!(
        seen.rows("wrong_mapping", &WRONG),
        [
            "3.80.2.1 aws us-retired-1   supported_regions",
            "3.80.2.2 othercloud here   supported_regions",
        ]
    );
    let tiers = seen.rows("upper_tier_info", &["vendor", "region"]);
    assert!(tiers.contains(&"aws us-east-1".to_owned()), "{tiers:?}");

    let off = Exporter::start(&api, "verify: { supported_regions: false }\n").await;
    off.polls(2).await;
    let seen = off.scrape().await;
    assert_eq!(seen.rows("wrong_mappings", &["check"]), [""; 0]);
    assert_eq!(seen.rows("upper_tier_info", &["vendor"]), [""; 0]);
}

#[tokio::test]
async fn the_published_ranges_judge_mappings_and_what_dns_names() {
    let mut world = world().zone(
        "a.test",
        [
            ("3.80.2.1", "aws", "us-east-1"),
            ("3.80.2.130", "aws", "us-east-1"),
            ("3.80.2.250", "aws", "us-east-1"),
            ("34.68.100.1", "aws", "us-east-1"),
            ("9.9.9.9", "aws", "us-east-1"),
        ],
    );
    let zone = world.zone_mut("a.test");
    for ip in ["3.80.2.131", "3.80.2.251", "9.9.9.10"] {
        zone.record("A", "www.a.test", ip, true);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut more = "expect: { from_dns: true }\n\
                    verify:\n\
                    \x20 vendor_ranges:\n\
                    \x20   enabled: true\n\
                    \x20   sources:\n"
        .to_owned();
    for file in demo::range_files() {
        let path = folder.path().join(format!("{}.json", file.vendor));
        std::fs::write(&path, file.json).unwrap();
        writeln!(more, "      {}: {}", file.vendor, path.display()).unwrap();
    }
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &more).await;
    let seen = exporter
        .until("the missing origins", |seen| {
            seen.of("a.test", "missing_mappings") == Some(2.0)
        })
        .await;
    assert_eq!(
        seen.rows("wrong_mapping", &WRONG),
        [
            "3.80.2.130 aws us-east-1 aws eu-west-1 vendor_ranges",
            "34.68.100.1 aws us-east-1 gcp us-central1 vendor_ranges",
        ]
    );
    let missing = ["origin_ip", "expected_vendor", "expected_region"];
    assert_eq!(
        seen.rows("missing_mapping", &missing),
        ["3.80.2.131 aws eu-west-1", "3.80.2.251 aws "]
    );
    for reason in ["not_in_ranges", "region_unknown"] {
        let labels = [("reason", reason)];
        assert_eq!(
            seen.value("unverified_mappings", &labels),
            Some(1.0),
            "{reason}"
        );
    }
    exporter.logs(&["a.test", "outside_vendor_ranges: 1"]).await;
}

#[tokio::test]
async fn old_mappings_are_stale_by_their_zones_own_threshold() {
    let mut world = world();
    for name in ["usual.test", "own.test", "byid.test", "never.test"] {
        world = world.zone(name, []);
        let zone = world.zone_mut(name);
        for (ip, days) in [("3.80.2.1", 10), ("3.80.2.2", 40), ("3.80.2.3", 400)] {
            let written = Timestamp::now() - (days * 24).hours();
            zone.map(ip, "aws", "us-east-1", Some(written));
        }
        let ahead = Timestamp::now() + 24.hours();
        zone.map("3.80.2.4", "aws", "us-east-1", Some(ahead));
        zone.map("3.80.2.5", "aws", "us-east-1", None);
    }
    let (api, _guard) = simulate(world).await;
    let id = cloudflare_origin_region_exporter::simulator::zone_id_of("byid.test");
    let more = format!(
        "mappings: {{ stale_after: 180d }}\n\
         zone_overrides:\n\
         \x20 OWN.test: {{ stale_after: 30d }}\n\
         \x20 {id}: {{ stale_after: 7d }}\n\
         \x20 byid.test: {{ interval: 1h }}\n\
         \x20 never.test: {{ stale_after: never }}\n"
    );
    let exporter = Exporter::start(&api, &more).await;
    let seen = exporter
        .until("all zones", |seen| {
            seen.rows("zone_up", &["zone"]).len() == 4
        })
        .await;
    for (zone, stale, days) in [
        ("usual.test", 1.0, 180.0),
        ("own.test", 2.0, 30.0),
        ("byid.test", 3.0, 7.0),
    ] {
        assert_eq!(seen.of(zone, "stale_mappings"), Some(stale), "{zone}");
        assert_eq!(seen.of(zone, "stale_after_seconds"), Some(days * 86400.0));
    }
    assert_eq!(
        seen.of("byid.test", "zone_poll_interval_seconds"),
        Some(3600.0)
    );
    assert_eq!(seen.of("never.test", "stale_mappings"), None);
    assert_eq!(seen.of("never.test", "stale_after_seconds"), None);
}
