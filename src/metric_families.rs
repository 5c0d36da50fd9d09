//! The one table of all metric families that the program exposes.
//!
//! What this module renders takes names, types and help from here. Counters that other modules
//! own carry their own help text; a test on a real scrape holds both equal, and another holds
//! `docs/metrics.md` against this table.

/// The type of a family, as the text format names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, but for a restart.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

impl Kind {
    /// The word of the `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric family: one name, one type, one set of label names.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// The whole name.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// The label names, in the order in which they are written. A histogram's `le` is not among
    /// them.
    pub labels: &'static [&'static str],
    /// What the value means; the text of the `# HELP` line.
    pub help: &'static str,
}

/// Families that belong together.
#[derive(Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// The families, in the order of the documentation.
    pub families: &'static [Family],
}

/// Every family.
pub fn all() -> impl Iterator<Item = &'static Family> {
    SECTIONS.iter().flat_map(|section| section.families)
}

/// Defines a constant for each family, and the sections that list them all.
macro_rules! families {
    ($($title:literal { $($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)* })*) => {
        $($(
            #[doc = $help]
            pub const $id: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*)*

        /// Every family, by what it is about.
        pub const SECTIONS: &[Section] = &[$(
            Section { title: $title, families: &[$($id),*] }
        ),*];
    };
}

families! {
    "Mappings" {
        MAPPINGS = Gauge "cloudflare_origin_region_mappings"
            ["zone", "zone_id", "vendor", "region"]
            "Number of mappings of the zone to a cloud region.";
        ZONE_MAPPINGS = Gauge "cloudflare_origin_region_zone_mappings"
            ["zone", "zone_id"]
            "Number of mappings in the zone.";
        ZONE_MAPPINGS_LIMIT = Gauge "cloudflare_origin_region_zone_mappings_limit"
            []
            "Cloudflare's limit of mappings in one zone.";
        MAPPING_INFO = Gauge "cloudflare_origin_region_mapping_info"
            ["zone", "zone_id", "origin_ip", "vendor", "region"]
            "1 for each mapping of an origin to a cloud region.";
        MAPPING_LAST_MODIFIED = Gauge "cloudflare_origin_region_mapping_last_modified_timestamp_seconds"
            ["zone", "zone_id", "origin_ip", "vendor", "region"]
            "When the mapping was last written, where the API says so.";
        OLDEST_MAPPING_AGE = Gauge "cloudflare_origin_region_oldest_mapping_age_seconds"
            ["zone", "zone_id", "vendor", "region"]
            "Time since the mapping that was left alone the longest was last written.";
        NEWEST_MAPPING_AGE = Gauge "cloudflare_origin_region_newest_mapping_age_seconds"
            ["zone", "zone_id", "vendor", "region"]
            "Time since a mapping was last written.";
        MAPPING_CHANGES = Counter "cloudflare_origin_region_mapping_changes_total"
            ["zone", "zone_id", "change"]
            "Changes of mappings seen between successive good polls of the zone.";
    }
    "Findings" {
        EXPECTED_ORIGINS = Gauge "cloudflare_origin_region_expected_origins"
            ["zone", "zone_id", "source"]
            "Number of origins that should have a mapping, each under the first source that names it.";
        MISSING_MAPPINGS = Gauge "cloudflare_origin_region_missing_mappings"
            ["zone", "zone_id"]
            "Number of expected origins that have no mapping.";
        MISSING_MAPPING = Gauge "cloudflare_origin_region_missing_mapping"
            ["zone", "zone_id", "origin_ip", "source", "expected_vendor", "expected_region"]
            "1 for each expected origin that has no mapping, at most 500 a zone.";
        WRONG_MAPPINGS = Gauge "cloudflare_origin_region_wrong_mappings"
            ["zone", "zone_id", "check"]
            "Number of mappings that disagree with the check.";
        WRONG_MAPPING = Gauge "cloudflare_origin_region_wrong_mapping"
            ["zone", "zone_id", "origin_ip", "vendor", "region", "expected_vendor", "expected_region", "check"]
            "1 for each mapping that disagrees with the check, at most 500 a zone.";
        STALE_MAPPINGS = Gauge "cloudflare_origin_region_stale_mappings"
            ["zone", "zone_id"]
            "Number of mappings that were last written longer ago than the zone's threshold.";
        STALE_AFTER = Gauge "cloudflare_origin_region_stale_after_seconds"
            ["zone", "zone_id"]
            "The age from which a mapping of the zone counts as stale.";
        UNVERIFIED_MAPPINGS = Gauge "cloudflare_origin_region_unverified_mappings"
            ["zone", "zone_id", "reason"]
            "Number of mappings that the vendors' published ranges could not judge.";
        TIERED_CACHE_ENABLED = Gauge "cloudflare_origin_region_tiered_cache_enabled"
            ["zone", "zone_id"]
            "1 if tiered cache is on for the zone; without it mappings have no effect.";
        SMART_TIERED_CACHE_ENABLED = Gauge "cloudflare_origin_region_smart_tiered_cache_enabled"
            ["zone", "zone_id"]
            "1 if the smart topology of tiered cache is on for the zone; without it mappings have no effect.";
        UPPER_TIER_INFO = Gauge "cloudflare_origin_region_upper_tier_info"
            ["vendor", "region", "colo"]
            "An upper tier data centre of a region that Cloudflare supports; always 1.";
        VENDOR_RANGES_UP = Gauge "cloudflare_origin_region_vendor_ranges_up"
            ["vendor"]
            "1 if the last refresh of the vendor's published address ranges succeeded, 0 if it failed or none has ended yet.";
        VENDOR_RANGES_PREFIXES = Gauge "cloudflare_origin_region_vendor_ranges_prefixes"
            ["vendor"]
            "Address prefixes of the vendor in the range table in use.";
        VENDOR_RANGES_PUBLISHED = Gauge "cloudflare_origin_region_vendor_ranges_published_timestamp_seconds"
            ["vendor"]
            "When the vendor published the ranges in use; Azure does not say.";
        VENDOR_RANGES_LAST_SUCCESS = Gauge "cloudflare_origin_region_vendor_ranges_last_success_timestamp_seconds"
            ["vendor"]
            "When the vendor's ranges were last read, or found to be unchanged.";
    }
    "Zones" {
        ZONE_INFO = Gauge "cloudflare_origin_region_zone_info"
            ["zone", "zone_id", "account", "status", "plan"]
            "1 for every known zone, read or not.";
        ZONE_UP = Gauge "cloudflare_origin_region_zone_up"
            ["zone", "zone_id"]
            "1 if the last poll of the zone succeeded.";
        ZONE_LAST_SUCCESS = Gauge "cloudflare_origin_region_zone_last_success_timestamp_seconds"
            ["zone", "zone_id"]
            "When a poll of the zone last succeeded.";
        ZONE_POLL_DURATION = Gauge "cloudflare_origin_region_zone_poll_duration_seconds"
            ["zone", "zone_id"]
            "How long the last poll of the zone took, good or bad.";
        ZONE_POLL_INTERVAL = Gauge "cloudflare_origin_region_zone_poll_interval_seconds"
            ["zone", "zone_id"]
            "The poll interval in force for the zone.";
        ZONE_POLLS = Counter "cloudflare_origin_region_zone_polls_total"
            ["zone", "zone_id"]
            "Polls of the zone that ended, good or bad.";
        ZONE_POLL_ERRORS = Counter "cloudflare_origin_region_zone_poll_errors_total"
            ["zone", "zone_id", "reason"]
            "Polls of the zone that failed.";
        ZONE_REJECTED_ROWS = Counter "cloudflare_origin_region_zone_rejected_rows_total"
            ["zone", "zone_id"]
            "Rows of the API that could not be read as a mapping.";
    }
    "Exporter" {
        BUILD_INFO = Gauge "cloudflare_origin_region_exporter_build_info"
            ["version", "revision", "rustc"]
            "1, with what this program was built from.";
        EXPORTER_ZONES = Gauge "cloudflare_origin_region_exporter_zones"
            ["account", "state"]
            "Number of zones that the account lists, by what becomes of them.";
        UNMATCHED_ZONES = Gauge "cloudflare_origin_region_exporter_unmatched_zones"
            ["kind"]
            "Number of names, ids and globs of the configuration that no zone answers to.";
        SHARD_ORDINAL = Gauge "cloudflare_origin_region_exporter_shard_ordinal"
            ["shard_ordinal"]
            "The number of this process among those that share the zones, from 0.";
        TOTAL_SHARDS = Gauge "cloudflare_origin_region_exporter_total_shards"
            []
            "How many processes share the zones.";
        API_REQUESTS = Counter "cloudflare_origin_region_exporter_api_requests_total"
            ["account", "operation", "code"]
            "Attempts to call the Cloudflare API, by HTTP status; code \"none\" where no response came.";
        API_ERRORS = Counter "cloudflare_origin_region_exporter_api_errors_total"
            ["account", "operation", "reason"]
            "Attempts to call the Cloudflare API that failed; an expected \"no\" is not counted.";
        API_RETRIES = Counter "cloudflare_origin_region_exporter_api_retries_total"
            ["account", "operation"]
            "Attempts to call the Cloudflare API that repeated a failed one.";
        API_REQUEST_DURATION = Histogram "cloudflare_origin_region_exporter_api_request_duration_seconds"
            ["account", "operation"]
            "Duration of attempts to call the Cloudflare API, the response body included.";
        API_RATE_LIMIT_REMAINING = Gauge "cloudflare_origin_region_exporter_api_rate_limit_remaining"
            ["account"]
            "Requests left in Cloudflare's rate limit, as the last Ratelimit header said.";
        API_BUDGET_REQUESTS = Gauge "cloudflare_origin_region_exporter_api_budget_requests"
            ["account"]
            "Requests that this process allows itself in one window of the rate limit.";
        API_BLOCKED_UNTIL = Gauge "cloudflare_origin_region_exporter_api_blocked_until_timestamp_seconds"
            ["account"]
            "End of the pause after a 429, in Unix time; 0 when there is none.";
        API_THROTTLED = Counter "cloudflare_origin_region_exporter_api_throttled_seconds_total"
            ["account"]
            "Time that requests waited for the rate limit, pauses after a 429 included.";
        DISCOVERY_UP = Gauge "cloudflare_origin_region_exporter_discovery_up"
            ["account"]
            "1 if the account's zones were last listed with success.";
        DISCOVERY_LAST_SUCCESS = Gauge "cloudflare_origin_region_exporter_discovery_last_success_timestamp_seconds"
            ["account"]
            "When the account's zones were last listed with success.";
        TOKEN_VALID = Gauge "cloudflare_origin_region_exporter_token_valid"
            ["account"]
            "Whether Cloudflare accepts the API token (1) or not (0).";
        TOKEN_EXPIRY = Gauge "cloudflare_origin_region_exporter_token_expiry_timestamp_seconds"
            ["account"]
            "When the API token expires, in Unix time; absent where it does not.";
        POLL_INTERVAL = Gauge "cloudflare_origin_region_exporter_poll_interval_seconds"
            []
            "The configured interval in which each zone is polled.";
        POLL_LAG = Gauge "cloudflare_origin_region_exporter_poll_lag_seconds"
            ["account"]
            "How late the most overdue zone is, waits for rate limit, pause and concurrency included and backoff excluded; 0 when none is.";
        CONFIG_LAST_RELOAD_SUCCESSFUL = Gauge "cloudflare_origin_region_exporter_config_last_reload_successful"
            []
            "Whether the last reading of the configuration succeeded: 1 or 0.";
        CONFIG_LAST_RELOAD_SUCCESS = Gauge "cloudflare_origin_region_exporter_config_last_reload_success_timestamp_seconds"
            []
            "When the configuration was last read successfully, in Unix seconds.";
        HTTP_REQUESTS = Counter "cloudflare_origin_region_exporter_http_requests_total"
            ["handler", "code"]
            "Requests that this exporter answered, by the part that answered and the status code.";
    }
    "Process" {
        PROCESS_CPU = Counter "process_cpu_seconds_total"
            []
            "Total user and system CPU time spent in seconds.";
        PROCESS_OPEN_FDS = Gauge "process_open_fds"
            []
            "Number of open file descriptors.";
        PROCESS_MAX_FDS = Gauge "process_max_fds"
            []
            "Maximum number of open file descriptors.";
        PROCESS_VIRTUAL_MEMORY = Gauge "process_virtual_memory_bytes"
            []
            "Virtual memory size in bytes.";
        PROCESS_RESIDENT_MEMORY = Gauge "process_resident_memory_bytes"
            []
            "Resident memory size in bytes.";
        PROCESS_START_TIME = Gauge "process_start_time_seconds"
            []
            "Start time of the process since the Unix epoch in seconds.";
        PROCESS_THREADS = Gauge "process_threads"
            []
            "Number of threads of the process.";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_is_used_once_and_says_its_type() {
        let mut names = HashSet::new();
        for family in all() {
            assert!(names.insert(family.name), "{} is listed twice", family.name);
            assert_eq!(
                family.name.ends_with("_total"),
                family.kind == Kind::Counter,
                "{}",
                family.name
            );
            assert!(family.help.ends_with('.'), "{}", family.name);
            let distinct: HashSet<_> = family.labels.iter().collect();
            assert_eq!(distinct.len(), family.labels.len(), "{}", family.name);
        }
    }

    #[test]
    fn what_names_a_zone_names_its_identifier_too() {
        for family in all().filter(|family| family.labels.contains(&"zone")) {
            assert_eq!(family.labels.get(..2), Some(&["zone", "zone_id"][..]));
        }
    }
}
