//! The keys of the configuration file with their bounds and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::values::{
    Address, BaseUrl, DAY, Email, FilePath, Glob, HOUR, Id, Interval, KnownVendor, MINUTE, Name,
    NameServer, OrNever, OriginHost, Period, Prefix, RegionName, SECOND, Secret, Share, Source,
    Within,
};
use crate::config_tree::{Entries, Located, Number};

/// Defines sections: maps with known keys, each with a type and a default.
macro_rules! sections {
    ($($(#[$meta:meta])* $visible:vis $name:ident { $($key:ident: $kind:ty = $default:expr,)* })*) => {$(
        $(#[$meta])*
        #[derive(Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $visible struct $name { $(pub(super) $key: $kind,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    )*};
}

pub(super) use sections;

/// The longest window that the rate limiter supports.
const RATE_WINDOW: u64 = 24 * HOUR;
const _: () = assert!(RATE_WINDOW / SECOND == crate::cloudflare::LONGEST_RATE_WINDOW.as_secs());

/// At most a century.
pub(super) type StaleAfter = OrNever<0, { 36_500 * DAY }>;

sections! {
    /// The whole file.
    pub(super) File {
        poll: Poll = Poll::default(),
        cloudflare: Cloudflare = Cloudflare::default(),
        accounts: Vec<Located<Account>> = Vec::new(),
        mappings: Mappings = Mappings::default(),
        expect: Expect = Expect::default(),
        hosts: Hosts = Hosts::default(),
        audit_log: AuditLog = AuditLog::default(),
        history: History = History::default(),
        verify: Verify = Verify::default(),
        zone_overrides: Entries<ZoneOverride> = Entries::default(),
    }

    pub(super) Poll {
        interval: Interval = Within(Duration::from_mins(5)),
        discovery_interval: Option<Interval> = None,
        // With more, an account uses up its own rate limit in seconds.
        concurrency: Number<1, 256> = Number(8),
        timeout: Within<1, { 10 * MINUTE }> = Within(Duration::from_secs(30)),
        // With backoff that doubles up to 10 s, more retries do not fit into a poll.
        retries: Number<0, 10> = Number(3),
        retain: Within<0, { 365 * DAY }> = Within(Duration::from_hours(1)),
    }

    pub(super) Cloudflare {
        base_url: BaseUrl = BaseUrl::default(),
        ca_file: Option<Located<FilePath>> = None,
        rate_limit: RateLimit = RateLimit::default(),
    }

    pub(super) RateLimit {
        requests: Number<1, 1_000_000_000> = Number(1200),
        window: Within<100, RATE_WINDOW> = Within(Duration::from_mins(5)),
        share: Share = Share(0.5),
    }

    pub(super) Account {
        name: Option<Located<Name>> = None,
        api_token: Option<Secret> = None,
        api_token_file: Option<Located<FilePath>> = None,
        email: Option<Email> = None,
        api_key: Option<Secret> = None,
        api_key_file: Option<Located<FilePath>> = None,
        zones: Option<Located<Zones>> = None,
    }

    pub(super) Zones {
        ids: Vec<Located<Id>> = Vec::new(),
        include: Vec<Glob> = Vec::new(),
        exclude: Vec<Glob> = Vec::new(),
    }

    pub(super) Mappings {
        detail: bool = true,
        stale_after: StaleAfter = OrNever(Some(Duration::from_hours(180 * 24))),
    }

    pub(super) Expect {
        zones: Entries<Vec<Located<Declaration>>> = Entries::default(),
        from_dns: bool = false,
        from_load_balancers: bool = false,
        from_rules: bool = false,
        ignore: Vec<Prefix> = Vec::new(),
        unused_after: OrNever<SECOND, { 3650 * DAY }> =
            OrNever(Some(Duration::from_hours(7 * 24))),
    }

    pub(super) Declaration {
        origin_ip: Option<Located<Address>> = None,
        host: Option<Located<OriginHost>> = None,
        vendor: Option<KnownVendor> = None,
        region: Option<RegionName> = None,
    }

    pub(super) Hosts {
        nameservers: Vec<NameServer> = Vec::new(),
        window: Period = Within(Duration::from_hours(24)),
        rotating_above: Number<1, 10_000> = Number(16),
    }

    pub(super) AuditLog {
        enabled: bool = false,
        interval: Within<SECOND, { 7 * DAY }> = Within(Duration::from_secs(30)),
        actors: bool = true,
    }

    pub(super) History {
        retain: Period = Within(Duration::from_hours(90 * 24)),
    }

    pub(super) Verify {
        supported_regions: bool = true,
        tiered_cache: bool = true,
        vendor_ranges: VendorRanges = VendorRanges::default(),
    }

    pub(super) VendorRanges {
        enabled: bool = false,
        // The vendors publish new ranges daily to weekly.
        refresh: Within<100, { 30 * DAY }> = Within(Duration::from_hours(24)),
        sources: Sources = Sources::default(),
    }

    pub(super) Sources {
        aws: Option<Located<Source>> = None,
        azure: Option<Located<Source>> = None,
        gcp: Option<Located<Source>> = None,
        oci: Option<Located<Source>> = None,
    }

    pub(super) ZoneOverride {
        interval: Option<Interval> = None,
        stale_after: Option<StaleAfter> = None,
    }
}
