//! The keys of the file, their defaults, and what excludes what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::cli::ProcessFlags;
use super::environment::Environment;
use super::value::{self, DAY, Folder, HOUR};
use super::{Settings, accounts};
use crate::cloudflare::{self, RateLimit};
use crate::config_tree::{Collector, Field, Section};
use crate::domain::{OriginIp, Region, Vendor};
use crate::findings::{
    DeclaredOrigin, DeclaredZone, ExpectSettings, ExpectedPlace, VerifySettings,
};
use crate::poller::{self, Shard, ZoneOverride};
use crate::snapshot::StaleAfter;
use crate::vendor_ranges;

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
        if (expect.from_dns || expect.from_load_balancers) && !vendor_ranges.enabled {
            warnings.push(
                "expect.from_dns and expect.from_load_balancers without \
                 verify.vendor_ranges.enabled: every public origin is expected to have a mapping, \
                 also one that is in no cloud"
                    .to_owned(),
            );
        }
        let (accounts, selections) = accounts.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
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
                selections,
                overrides,
                shard,
            },
            accounts,
            expect,
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
                zones
                    .zones()
                    .into_iter()
                    .map(|(zone, list)| DeclaredZone {
                        zone: zone.to_owned(),
                        origins: read_origins(&list),
                        hosts: Vec::new(),
                    })
                    .collect()
            })
            .unwrap_or_default(),
        from_dns: flag(section, "from_dns", false),
        from_load_balancers: flag(section, "from_load_balancers", false),
        ..ExpectSettings::default()
    }
}

fn read_origins(list: &Field<'_>) -> Vec<DeclaredOrigin> {
    let mut seen = BTreeSet::new();
    list.items()
        .iter()
        .filter_map(|item| item.section(|section| read_origin(section, item, &mut seen)))
        .flatten()
        .collect()
}

fn read_origin(
    section: &mut Section<'_>,
    origin: &Field<'_>,
    seen: &mut BTreeSet<OriginIp>,
) -> Option<DeclaredOrigin> {
    let address = section.get("origin_ip");
    let vendor = section
        .get("vendor")
        .and_then(|field| field.parse(known_vendor));
    let region = section.get("region").and_then(|field| {
        field.parse(|text| {
            Region::parse(text).map_err(|error| format!("a region; this one {error}"))
        })
    });
    let Some(address) = address else {
        origin.reject("expected an address (key \"origin_ip\")");
        return None;
    };
    let origin_ip =
        address.parse(|text| OriginIp::parse(text).map_err(|_| "an IPv4 or IPv6 address"))?;
    if !seen.insert(origin_ip) {
        address.expected(format!(
            "each address once in a zone, and {origin_ip} is there twice"
        ));
    }
    Some(DeclaredOrigin {
        origin_ip,
        place: ExpectedPlace { vendor, region },
    })
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
