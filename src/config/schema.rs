//! The keys of the file, their defaults, and what excludes what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::cli::ProcessFlags;
use super::environment::Environment;
use super::value::{self, DAY, Folder, HOUR};
use super::{Settings, accounts};
use crate::cloudflare::{self, AuditLogSettings, RateLimit};
use crate::config_tree::{Collector, Field, Section};
use crate::domain::{HostName, OriginIp, Region, Vendor};
use crate::findings::{
    DeclaredHost, DeclaredOrigin, DeclaredZone, ExpectSettings, ExpectedPlace, UnusedAfter,
    VerifySettings,
};
use crate::poller::{self, Shard, ZoneOverride};
use crate::snapshot::StaleAfter;
use crate::{history, origin_hosts, vendor_ranges};

const BASE_URL: &str = "https://api.cloudflare.com/client/v4";

/// Reads the whole file. `None` only where something was reported.
pub(super) fn read(
    root: &Field<'_>,
    folder: &Path,
    flags: &ProcessFlags,
    environment: &Environment,
    errors: &Collector,
) -> Option<Settings> {
    let folder = Folder(folder);
    let shard = flags.shard(environment, errors).unwrap_or(Shard::SINGLE);
    let mut warnings = Vec::new();
    root.section(|root| {
        let poll = root.section("poll", read_poll);
        let api = root.section("cloudflare", |section| read_api(section, folder));
        let accounts = match root.get("accounts") {
            Some(list) if !list.is_empty_list() => accounts::read(&list, folder),
            _ => accounts::from_environment(environment, errors),
        };
        let (detail, stale_after) = root.section("mappings", read_mappings);
        let expect = root.section("expect", read_expect);
        let (verify, vendor_ranges) =
            root.section("verify", |section| read_verify(section, folder));
        let hosts = root.section("hosts", read_hosts);
        let audit_log = root.section("audit_log", read_audit_log);
        let history = root.section("history", read_history);
        let overrides = root
            .get("zone_overrides")
            .map(|map| read_overrides(&map))
            .unwrap_or_default();

        let base_url = match api.base_url {
            Some((url, in_the_clear)) => {
                if in_the_clear {
                    warnings.push(format!(
                        "cloudflare.base_url: the credentials of every account travel unencrypted \
                         to {}",
                        url.host_str().unwrap_or_default()
                    ));
                }
                url
            }
            None => Url::parse(BASE_URL).ok()?,
        };
        let discovered = expect.from_dns || expect.from_load_balancers || expect.from_rules;
        if discovered && !vendor_ranges.enabled {
            warnings.push(
                "expect.from_dns, from_load_balancers and from_rules without \
                 verify.vendor_ranges.enabled: every public origin is expected to have a mapping, \
                 also one that is in no cloud"
                    .to_owned(),
            );
        }
        Some(Settings {
            cloudflare: cloudflare::Settings {
                base_url,
                ca_file: api.ca_file,
                rate_limit: RateLimit {
                    share: api.rate_limit.share / f64::from(shard.total),
                    ..api.rate_limit
                },
                concurrency: poll.concurrency,
                timeout: poll.timeout,
                retries: poll.retries,
            },
            poller: poller::Settings {
                interval: poll.interval,
                discovery_interval: poll.discovery_interval.unwrap_or(poll.interval),
                retain: poll.retain,
                stale_after,
                overrides,
                shard,
            },
            accounts,
            expect,
            hosts,
            audit_log,
            history,
            storage: flags.storage(),
            verify,
            vendor_ranges,
            detail,
            web: flags.web(),
            log: flags.log(),
            warnings,
        })
    })
    .flatten()
}

struct Poll {
    interval: Duration,
    discovery_interval: Option<Duration>,
    concurrency: usize,
    timeout: Duration,
    retries: u32,
    retain: Duration,
}

fn read_poll(section: &mut Section<'_>) -> Poll {
    let mut duration = |key, bounds| {
        section
            .get(key)
            .and_then(|field| value::duration(&field, bounds))
    };
    let interval = duration("interval", &value::INTERVAL);
    let discovery_interval = duration("discovery_interval", &value::INTERVAL);
    let timeout = duration("timeout", &value::TIMEOUT);
    let retain = duration("retain", &value::RETAIN);
    let mut integer = |key, bounds| {
        section
            .get(key)
            .and_then(|field: Field<'_>| field.integer(bounds))
    };
    Poll {
        interval: interval.unwrap_or(Duration::from_mins(5)),
        discovery_interval,
        // Beyond this an account's own limit is used up in seconds.
        concurrency: integer("concurrency", &(1..=256)).map_or(8, |number| number as usize),
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
        // With pauses that double up to 10 s, more tries do not fit into a poll.
        retries: integer("retries", &(0..=10)).unwrap_or(3),
        retain: retain.unwrap_or(HOUR),
    }
}

struct Api {
    base_url: Option<(Url, bool)>,
    ca_file: Option<PathBuf>,
    rate_limit: RateLimit,
}

fn read_api(section: &mut Section<'_>, folder: Folder<'_>) -> Api {
    Api {
        base_url: section
            .get("base_url")
            .and_then(|field| value::base_url(&field)),
        ca_file: section.get("ca_file").and_then(|field| folder.path(&field)),
        rate_limit: section.section("rate_limit", |limit| RateLimit {
            requests: limit
                .get("requests")
                .and_then(|field| field.integer(&(1..=1_000_000_000)))
                .unwrap_or(1200),
            window: limit
                .get("window")
                .and_then(|field| value::duration(&field, &value::WINDOW))
                .unwrap_or(Duration::from_mins(5)),
            share: limit
                .get("share")
                .and_then(|field| field.fraction())
                .unwrap_or(0.5),
        }),
    }
}

fn read_mappings(section: &mut Section<'_>) -> (bool, StaleAfter) {
    let detail = flag(section, "detail", true);
    let stale_after = section
        .get("stale_after")
        .and_then(|field| value::stale_after(&field))
        .unwrap_or(StaleAfter::Age(180 * DAY));
    (detail, stale_after)
}

fn flag(section: &mut Section<'_>, key: &'static str, default: bool) -> bool {
    section
        .get(key)
        .and_then(|field| field.boolean())
        .unwrap_or(default)
}

fn read_expect(section: &mut Section<'_>) -> ExpectSettings {
    ExpectSettings {
        zones: section
            .get("zones")
            .map(|zones| {
                let zones = zones.zones().into_iter();
                zones
                    .map(|(zone, list)| read_declared(zone, &list))
                    .collect()
            })
            .unwrap_or_default(),
        from_dns: flag(section, "from_dns", false),
        from_load_balancers: flag(section, "from_load_balancers", false),
        from_rules: flag(section, "from_rules", false),
        ignore: section
            .get("ignore")
            .map(|list| list.items().iter().filter_map(value::prefix).collect())
            .unwrap_or_default(),
        unused_after: section
            .get("unused_after")
            .and_then(|field| {
                let (never, age) = (UnusedAfter::Never, UnusedAfter::Age);
                value::never_or(&field, &value::SECONDS, never, age)
            })
            .unwrap_or_default(),
    }
}

fn read_declared(zone: &str, list: &Field<'_>) -> DeclaredZone {
    let mut declared = DeclaredZone {
        zone: zone.to_owned(),
        origins: Vec::new(),
        hosts: Vec::new(),
    };
    for item in list.items() {
        item.section(|section| read_origin(section, &item, &mut declared));
    }
    declared
}

fn read_origin(section: &mut Section<'_>, origin: &Field<'_>, declared: &mut DeclaredZone) {
    let address = section.get("origin_ip");
    let host = section.get("host");
    let vendor = section
        .get("vendor")
        .and_then(|field| field.parse(known_vendor));
    let region = section.get("region").and_then(|field| {
        field.parse(|text| {
            Region::parse(text).map_err(|error| format!("a region; this one {error}"))
        })
    });
    let place = ExpectedPlace { vendor, region };
    match (address, host) {
        (Some(field), None) => {
            let parse = |text: &str| OriginIp::parse(text).map_err(|_| "an IPv4 or IPv6 address");
            let Some(origin_ip) = field.parse(parse) else {
                return;
            };
            if declared.origins.iter().any(|o| o.origin_ip == origin_ip) {
                field.expected(format!(
                    "each address once in a zone, and {origin_ip} is there twice"
                ));
            }
            declared.origins.push(DeclaredOrigin { origin_ip, place });
        }
        (None, Some(field)) => {
            let parse = |text: &str| HostName::parse(text.trim()).ok_or("a host name");
            let Some(host) = field.parse(parse) else {
                return;
            };
            if declared.hosts.iter().any(|declared| declared.host == host) {
                field.expected(format!(
                    "each host once in a zone, and {host} is there twice"
                ));
            }
            declared.hosts.push(DeclaredHost { host, place });
        }
        (Some(_), Some(_)) => {
            origin.reject("origin_ip and host exclude each other: remove one of them");
        }
        (None, None) => {
            origin.reject("expected an address (key \"origin_ip\") or a host name (key \"host\")");
        }
    }
}

fn read_hosts(section: &mut Section<'_>) -> origin_hosts::Settings {
    let default = origin_hosts::Settings::default();
    origin_hosts::Settings {
        nameservers: section
            .get("nameservers")
            .map(|list| list.items().iter().filter_map(value::nameserver).collect())
            .unwrap_or_default(),
        window: section
            .get("window")
            .and_then(|field| value::duration(&field, &value::SECONDS))
            .unwrap_or(default.window),
        rotating_above: section
            .get("rotating_above")
            .and_then(|field| field.integer(&(1..=10_000)))
            .map_or(default.rotating_above, |number| number as usize),
    }
}

fn read_audit_log(section: &mut Section<'_>) -> AuditLogSettings {
    let default = AuditLogSettings::default();
    AuditLogSettings {
        enabled: flag(section, "enabled", default.enabled),
        interval: section
            .get("interval")
            .and_then(|field| value::duration(&field, &value::AUDIT_LOG_INTERVAL))
            .unwrap_or(default.interval),
        actors: flag(section, "actors", default.actors),
    }
}

fn read_history(section: &mut Section<'_>) -> history::Settings {
    history::Settings {
        retain: section
            .get("retain")
            .and_then(|field| value::duration(&field, &value::SECONDS))
            .unwrap_or(history::Settings::default().retain),
    }
}

/// A vendor whose mappings Cloudflare documents; any other is a slip of the pen.
fn known_vendor(text: &str) -> Result<Vendor, &'static str> {
    Vendor::parse(text)
        .ok()
        .filter(|vendor| Vendor::KNOWN.contains(vendor))
        .ok_or("one of aws, azure, gcp and oci")
}

fn read_verify(
    section: &mut Section<'_>,
    folder: Folder<'_>,
) -> (VerifySettings, vendor_ranges::Settings) {
    let verify = VerifySettings {
        supported_regions: flag(section, "supported_regions", true),
        tiered_cache: flag(section, "tiered_cache", true),
    };
    let ranges = section.section("vendor_ranges", |ranges| vendor_ranges::Settings {
        enabled: flag(ranges, "enabled", false),
        refresh: ranges
            .get("refresh")
            .and_then(|field| value::duration(&field, &value::REFRESH))
            .unwrap_or(DAY),
        sources: ranges.section("sources", |sources| {
            let mut source = |key, vendor| {
                let source = folder.range_source(&sources.get(key)?)?;
                Some((vendor, source))
            };
            [
                source("aws", Vendor::Aws),
                source("azure", Vendor::Azure),
                source("gcp", Vendor::Gcp),
                source("oci", Vendor::Oci),
            ]
            .into_iter()
            .flatten()
            .collect::<BTreeMap<_, _>>()
        }),
    });
    (verify, ranges)
}

fn read_overrides(map: &Field<'_>) -> Vec<ZoneOverride> {
    map.zones()
        .into_iter()
        .filter_map(|(zone, field)| {
            field.section(|section| ZoneOverride {
                zone: zone.to_owned(),
                interval: section
                    .get("interval")
                    .and_then(|field| value::duration(&field, &value::INTERVAL)),
                stale_after: section
                    .get("stale_after")
                    .and_then(|field| value::stale_after(&field)),
            })
        })
        .collect()
}
