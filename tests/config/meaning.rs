//! The settings that result from a configuration.

use std::path::PathBuf;
use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::AuditLogSettings;
use cloudflare_origin_region_exporter::config::{self, Environment, ProcessFlags};
use cloudflare_origin_region_exporter::domain::Vendor;
use cloudflare_origin_region_exporter::poller::ZoneSelection;
use cloudflare_origin_region_exporter::snapshot::StaleAfter;
use cloudflare_origin_region_exporter::{history, origin_hosts, storage};

use crate::support::{TOKEN, inline, load};

#[test]
fn a_token_in_the_environment_is_a_whole_configuration() {
    let settings =
        config::load(&ProcessFlags::default(), &Environment::new([TOKEN], None)).unwrap();
    let [account] = settings.accounts.as_slice() else {
        panic!("one account");
    };
    assert_eq!(account.name.as_str(), "default");
    assert_eq!(inline(&account.credentials), "environment-token");
    assert!(matches!(
        &account.zones,
        ZoneSelection::Filter { include, exclude } if include.is_empty() && exclude.is_empty()
    ));
    assert_eq!(settings.poller.interval, Duration::from_mins(5));
    assert_eq!(settings.poller.discovery_interval, Duration::from_mins(5));
    assert_eq!(settings.poller.retain, Duration::from_hours(1));
    assert_eq!(
        settings.poller.stale_after,
        StaleAfter::Age(Duration::from_hours(180 * 24))
    );
    assert_eq!(
        settings.cloudflare.base_url.as_str(),
        "https://api.cloudflare.com/client/v4"
    );
    assert_eq!(settings.cloudflare.rate_limit.budget(), 600);
    assert_eq!(settings.cloudflare.concurrency, 8);
    assert_eq!(settings.cloudflare.timeout, Duration::from_secs(30));
    assert_eq!(settings.cloudflare.retries, 3);
    assert!(settings.detail);
    assert!(settings.verify.supported_regions && settings.verify.tiered_cache);
    assert!(!settings.vendor_ranges.enabled);
    assert_eq!(settings.vendor_ranges.refresh, Duration::from_hours(24));
    assert!(settings.warnings.is_empty());
}

#[test]
fn hosts_audit_log_history_and_storage_have_defaults_and_take_values() {
    let settings = load("").unwrap();
    assert_eq!(settings.hosts, origin_hosts::Settings::default());
    let audit_log = AuditLogSettings {
        enabled: false,
        interval: Duration::from_secs(30),
        actors: true,
    };
    assert_eq!(settings.audit_log, audit_log);
    assert_eq!(settings.history, history::Settings::default());
    assert_eq!(settings.storage, None);
    assert_eq!(
        settings.expect.unused_after,
        Some(Duration::from_hours(7 * 24))
    );
    let settings = load(
        "expect: {from_rules: true, unused_after: 1s, ignore: [198.51.100.7, \"2001:db8::/32\", \
         \"::ffff:192.0.2.0/120\"]}\n\
         hosts: {nameservers: [192.0.2.53, \"[2001:db8::53]:5353\", \"2001:db8::54\"], \
         window: 1s, rotating_above: 1}\n\
         audit_log: {enabled: true, interval: 1s, actors: false}\n\
         history: {retain: 30d}",
    )
    .unwrap();
    assert!(settings.expect.from_rules);
    assert_eq!(settings.expect.unused_after, Some(Duration::from_secs(1)));
    let ignored: Vec<_> = settings
        .expect
        .ignore
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        ignored,
        ["198.51.100.7/32", "2001:db8::/32", "192.0.2.0/24"]
    );
    let servers: Vec<_> = settings
        .hosts
        .nameservers
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        servers,
        ["192.0.2.53:53", "[2001:db8::53]:5353", "[2001:db8::54]:53"]
    );
    assert_eq!(settings.hosts.window, Duration::from_secs(1));
    assert_eq!(settings.hosts.rotating_above, 1);
    assert!(settings.audit_log.enabled && !settings.audit_log.actors);
    assert_eq!(settings.audit_log.interval, Duration::from_secs(1));
    assert_eq!(settings.history.retain, Duration::from_hours(30 * 24));
    let never = load("expect: {unused_after: never}").unwrap();
    assert_eq!(never.expect.unused_after, None);
    let cli = config::cli::parse(
        ["x", "--storage.path=/var/lib/exporter"].map(Into::into),
        &Environment::default(),
    );
    let settings = config::load(&cli.unwrap().flags, &Environment::new([TOKEN], None)).unwrap();
    let path = PathBuf::from("/var/lib/exporter");
    assert_eq!(settings.storage, Some(storage::Settings { path }));
}

#[test]
fn a_declared_origin_is_an_address_or_a_host() {
    let settings = load(
        "expect: {zones: {a.org: [{host: Origin.Example.NET., vendor: aws, region: us-east-1}, \
         {origin_ip: 192.0.2.1}]}}",
    )
    .unwrap();
    let zone = &settings.expect.zones[0];
    assert_eq!(zone.origins.len(), 1);
    assert_eq!(zone.hosts[0].host.as_str(), "origin.example.net");
    assert_eq!(zone.hosts[0].place.vendor, Some(Vendor::Aws));
}

#[test]
fn an_anchor_saves_repeating_oneself() {
    let settings =
        load("expect: {zones: {a.org: &o [{origin_ip: 192.0.2.1}], b.org: *o}}").unwrap();
    assert_eq!(
        settings.expect.zones[0].origins,
        settings.expect.zones[1].origins
    );
}

#[test]
fn what_looks_like_a_number_stays_as_it_was_written() {
    let settings = load("zone_overrides: {0123: {}, 1e3: {}}").unwrap();
    let zones: Vec<_> = settings.poller.overrides.iter().map(|o| &o.zone).collect();
    assert_eq!(zones, ["0123", "1e3"]);
}

#[test]
fn an_empty_key_and_an_empty_file_are_as_if_they_were_not_there() {
    for yaml in [
        "",
        "# nothing\n",
        "poll:\naccounts:\nexpect: {zones: }\n",
        "accounts: []",
    ] {
        assert_eq!(load(yaml).unwrap().accounts.len(), 1, "{yaml}");
    }
}

#[test]
fn an_address_in_the_clear_is_warned_of_unless_it_is_this_host() {
    for (address, kept, warnings) in [
        (
            "http://127.0.0.1:8080/client/v4/",
            "http://127.0.0.1:8080/client/v4",
            0,
        ),
        ("http://[::1]/v4", "http://[::1]/v4", 0),
        ("http://localhost:1", "http://localhost:1/", 0),
        (
            "https://proxy.example.com/x//",
            "https://proxy.example.com/x",
            0,
        ),
        ("http://proxy.example.com/", "http://proxy.example.com/", 1),
    ] {
        let settings = load(&format!("cloudflare: {{base_url: \"{address}\"}}")).unwrap();
        assert_eq!(settings.cloudflare.base_url.as_str(), kept);
        assert_eq!(settings.warnings.len(), warnings, "{address}");
    }
}

#[test]
fn expectations_from_the_api_without_ranges_are_warned_of() {
    let warned = |yaml: &str| !load(yaml).unwrap().warnings.is_empty();
    assert!(warned("expect: {from_dns: true}"));
    assert!(warned("expect: {from_load_balancers: true}"));
    assert!(!warned(
        "expect: {from_dns: true}\nverify: {vendor_ranges: {enabled: true}}"
    ));
}

#[test]
fn shards_divide_the_share() {
    let cli = config::cli::parse(
        ["x", "--shard=1", "--total-shards=4"].map(Into::into),
        &Environment::default(),
    )
    .unwrap();
    let settings = config::load(&cli.flags, &Environment::new([TOKEN], None)).unwrap();
    assert_eq!(settings.poller.shard.ordinal, 1);
    assert_eq!(settings.poller.shard.total, 4);
    assert_eq!(settings.cloudflare.rate_limit.budget(), 150);
}
