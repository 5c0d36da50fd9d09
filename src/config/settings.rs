//! Converts the keys of the file to the settings of each module.

use super::environment::Environment;
use super::file::{File, VendorRanges};
use super::values::{Folder, is_this_host};
use super::{ProcessFlags, Settings, accounts, zones};
use crate::cloudflare::{self, AuditLogSettings, RateLimit};
use crate::config_tree::Reader;
use crate::domain::Vendor;
use crate::findings::{ExpectSettings, VerifySettings};
use crate::poller::{self, Shard};
use crate::snapshot::StaleAfter;
use crate::{history, origin_hosts, vendor_ranges};

/// The settings from a file. Reports values that contradict each other.
pub(super) fn settings(
    file: File,
    folder: Folder<'_>,
    flags: &ProcessFlags,
    environment: &Environment,
    reader: &mut Reader,
) -> Settings {
    let warnings = warnings(&file);
    let shard = flags.shard(environment).unwrap_or_else(|mistake| {
        reader.push(mistake);
        Shard::SINGLE
    });
    let (poll, api, expect) = (file.poll, file.cloudflare, file.expect);
    Settings {
        cloudflare: cloudflare::Settings {
            base_url: api.base_url.0,
            ca_file: api.ca_file.map(|path| folder.path(path)),
            rate_limit: RateLimit {
                requests: api.rate_limit.requests.0,
                window: api.rate_limit.window.0,
                share: api.rate_limit.share.0 / f64::from(shard.total),
            },
            concurrency: poll.concurrency.0 as usize,
            timeout: poll.timeout.0,
            retries: poll.retries.0,
        },
        accounts: accounts::read(file.accounts, folder, reader),
        poller: poller::Settings {
            interval: poll.interval.0,
            discovery_interval: poll.discovery_interval.unwrap_or(poll.interval).0,
            retain: poll.retain.0,
            stale_after: stale_after(file.mappings.stale_after),
            overrides: zones::overrides(file.zone_overrides, reader),
            shard,
        },
        expect: ExpectSettings {
            zones: zones::declared(expect.zones, reader),
            from_dns: expect.from_dns,
            from_load_balancers: expect.from_load_balancers,
            from_rules: expect.from_rules,
            ignore: expect.ignore.into_iter().map(|prefix| prefix.0).collect(),
            unused_after: expect.unused_after.0,
        },
        hosts: origin_hosts::Settings {
            nameservers: file.hosts.nameservers.into_iter().map(|s| s.0).collect(),
            window: file.hosts.window.0,
            rotating_above: file.hosts.rotating_above.0 as usize,
        },
        audit_log: AuditLogSettings {
            enabled: file.audit_log.enabled,
            interval: file.audit_log.interval.0,
            actors: file.audit_log.actors,
        },
        history: history::Settings {
            retain: file.history.retain.0,
        },
        storage: flags.storage(),
        verify: VerifySettings {
            supported_regions: file.verify.supported_regions,
            tiered_cache: file.verify.tiered_cache,
        },
        vendor_ranges: ranges(file.verify.vendor_ranges, folder),
        detail: file.mappings.detail,
        web: flags.web(),
        log: flags.log(),
        warnings,
    }
}

fn warnings(file: &File) -> Vec<String> {
    let mut warnings = Vec::new();
    let url = &file.cloudflare.base_url.0;
    if url.scheme() == "http" && !is_this_host(url) {
        warnings.push(format!(
            "cloudflare.base_url: the credentials of every account travel unencrypted to {}",
            url.host_str().unwrap_or_default()
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if host.ends_with("cloudflare.com") && url.path() != "/client/v4" {
        warnings.push(format!(
            "cloudflare.base_url: Cloudflare's API is at https://{host}/client/v4; this path is \
             probably wrong: {}",
            url.path()
        ));
    }
    let expect = &file.expect;
    let discovers = expect.from_dns || expect.from_load_balancers || expect.from_rules;
    if discovers && !file.verify.vendor_ranges.enabled {
        warnings.push(
            "expect.from_dns, from_load_balancers and from_rules without \
             verify.vendor_ranges.enabled: every public origin is expected to have a mapping, \
             even one outside every cloud"
                .to_owned(),
        );
    }
    warnings
}

pub(super) fn stale_after(age: super::file::StaleAfter) -> StaleAfter {
    age.0.map_or(StaleAfter::Never, StaleAfter::Age)
}

fn ranges(keys: VendorRanges, folder: Folder<'_>) -> vendor_ranges::Settings {
    let sources = keys.sources;
    let sources = [
        (Vendor::Aws, sources.aws),
        (Vendor::Azure, sources.azure),
        (Vendor::Gcp, sources.gcp),
        (Vendor::Oci, sources.oci),
    ];
    let sources = sources.into_iter();
    vendor_ranges::Settings {
        enabled: keys.enabled,
        refresh: keys.refresh.0,
        sources: sources
            .filter_map(|(vendor, source)| Some((vendor, folder.source(source?))))
            .collect(),
    }
}
