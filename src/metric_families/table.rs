//! The families, in the order of the documentation.

use super::{Family, Kind, Section};

/// Defines a constant for each family, and the sections that list them. Each section has a title and
/// the prefix of its names.
macro_rules! families {
    ($($title:literal $prefix:literal {
        $($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*
    })*) => {
        $($(
            #[doc = $help]
            pub const $id: Family = Family {
                name: concat!($prefix, $name),
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*)*

        /// Every family, by topic.
        pub const SECTIONS: &[Section] = &[$(
            Section { title: $title, families: &[$($id),*] }
        ),*];
    };
}

families! {
    "Mappings" "cloudflare_origin_region_" {
        MAPPINGS = Gauge "mappings" ["zone", "zone_id", "vendor", "region"]
            "Number of mappings of the zone to this region.";
        ZONE_MAPPINGS = Gauge "zone_mappings" ["zone", "zone_id"]
            "Number of mappings in the zone.";
        ZONE_MAPPINGS_LIMIT = Gauge "zone_mappings_limit" []
            "Cloudflare's limit on mappings per zone.";
        MAPPING_INFO = Gauge "mapping_info" ["zone", "zone_id", "origin_ip", "vendor", "region"]
            "1 for each mapping.";
        MAPPING_LAST_MODIFIED = Gauge "mapping_last_modified_timestamp_seconds"
            ["zone", "zone_id", "origin_ip", "vendor", "region"]
            "Time the mapping was last modified, if the API reports one.";
        OLDEST_MAPPING_AGE = Gauge "oldest_mapping_age_seconds"
            ["zone", "zone_id", "vendor", "region"]
            "Age of the least recently modified mapping.";
        NEWEST_MAPPING_AGE = Gauge "newest_mapping_age_seconds"
            ["zone", "zone_id", "vendor", "region"]
            "Age of the most recently modified mapping.";
        MAPPING_CHANGES = Counter "mapping_changes_total" ["zone", "zone_id", "change"]
            "Mappings added, removed or changed between successive good polls.";
    }
    "Findings" "cloudflare_origin_region_" {
        EXPECTED_ORIGINS = Gauge "expected_origins" ["zone", "zone_id", "source"]
            "Number of origins that should have a mapping, each counted under one source.";
        MISSING_MAPPINGS = Gauge "missing_mappings" ["zone", "zone_id"]
            "Number of expected origins without a mapping.";
        MISSING_MAPPING = Gauge "missing_mapping"
            ["zone", "zone_id", "origin_ip", "source", "host", "expected_vendor", "expected_region"]
            "1 for each expected origin without a mapping, at most 500 per zone.";
        WRONG_MAPPINGS = Gauge "wrong_mappings" ["zone", "zone_id", "check"]
            "Number of mappings that disagree with the check.";
        WRONG_MAPPING = Gauge "wrong_mapping"
            ["zone", "zone_id", "origin_ip", "vendor", "region", "expected_vendor", "expected_region", "check", "effect"]
            "1 for each mapping that disagrees with the check, at most 500 per zone.";
        UNUSED_MAPPINGS = Gauge "unused_mappings" ["zone", "zone_id"]
            "Number of mappings whose address no source of origins has named for the configured time.";
        UNUSED_MAPPING = Gauge "unused_mapping" ["zone", "zone_id", "origin_ip", "vendor", "region"]
            "1 for each unused mapping, at most 500 per zone.";
        ORIGIN_HOSTS = Gauge "origin_hosts" ["zone", "zone_id", "state"]
            "Number of host names that stand for origins of the zone, by the state of their resolution.";
        STALE_MAPPINGS = Gauge "stale_mappings" ["zone", "zone_id"]
            "Number of mappings older than the zone's threshold.";
        STALE_AFTER = Gauge "stale_after_seconds" ["zone", "zone_id"]
            "Age above which a mapping of the zone is stale.";
        UNVERIFIED_MAPPINGS = Gauge "unverified_mappings" ["zone", "zone_id", "reason"]
            "Number of mappings that the vendors' published ranges could not verify.";
        TIERED_CACHE_ENABLED = Gauge "tiered_cache_enabled" ["zone", "zone_id"]
            "Whether tiered cache is on for the zone. Mappings have no effect without it.";
        SMART_TIERED_CACHE_ENABLED = Gauge "smart_tiered_cache_enabled" ["zone", "zone_id"]
            "Whether smart tiered cache is on for the zone. Mappings have no effect without it.";
        UPPER_TIER_INFO = Gauge "upper_tier_info" ["vendor", "region", "colo"]
            "1 for each upper tier data center of a supported region.";
        VENDOR_RANGES_UP = Gauge "vendor_ranges_up" ["vendor"]
            "Whether the last refresh of the vendor's published ranges succeeded. 0 before the first one.";
        VENDOR_RANGES_PREFIXES = Gauge "vendor_ranges_prefixes" ["vendor"]
            "Number of prefixes of the vendor in use.";
        VENDOR_RANGES_PUBLISHED = Gauge "vendor_ranges_published_timestamp_seconds" ["vendor"]
            "Time the vendor published the ranges in use. Azure does not report one.";
        VENDOR_RANGES_LAST_SUCCESS = Gauge "vendor_ranges_last_success_timestamp_seconds" ["vendor"]
            "Time of the last successful refresh of the vendor's ranges.";
    }
    "Zones" "cloudflare_origin_region_" {
        ZONE_INFO = Gauge "zone_info" ["zone", "zone_id", "account", "status", "plan"]
            "1 for each known zone, whether it could be read or not.";
        ZONE_UP = Gauge "zone_up" ["zone", "zone_id"]
            "Whether the last poll of the zone succeeded.";
        ZONE_LAST_SUCCESS = Gauge "zone_last_success_timestamp_seconds" ["zone", "zone_id"]
            "Time of the last successful poll of the zone.";
        ZONE_POLL_DURATION = Gauge "zone_poll_duration_seconds" ["zone", "zone_id"]
            "Duration of the last poll of the zone, successful or not.";
        ZONE_POLL_INTERVAL = Gauge "zone_poll_interval_seconds" ["zone", "zone_id"]
            "Poll interval of the zone.";
        ZONE_POLLS = Counter "zone_polls_total" ["zone", "zone_id"]
            "Completed polls of the zone, successful or not.";
        ZONE_POLL_ERRORS = Counter "zone_poll_errors_total" ["zone", "zone_id", "reason"]
            "Failed polls of the zone.";
        ZONE_REJECTED_ROWS = Counter "zone_rejected_rows_total" ["zone", "zone_id"]
            "API rows that could not be parsed as a mapping.";
    }
    "Exporter" "cloudflare_origin_region_exporter_" {
        BUILD_INFO = Gauge "build_info" ["version", "revision", "rustc"]
            "1, with the version, revision and compiler of this build.";
        EXPORTER_ZONES = Gauge "zones" ["account", "state"]
            "Number of zones of the account, by state.";
        UNMATCHED_ZONES = Gauge "unmatched_zones" ["kind"]
            "Number of zone names, ids and globs in the configuration that match no zone.";
        SHARD_ORDINAL = Gauge "shard_ordinal" ["shard_ordinal"]
            "Ordinal of this shard, from 0.";
        TOTAL_SHARDS = Gauge "total_shards" []
            "Number of shards.";
        DNS_QUERIES = Counter "dns_queries_total" ["result"]
            "DNS queries for the addresses of origin hosts.";
        DNS_QUERY_DURATION = Histogram "dns_query_duration_seconds" []
            "Duration of DNS queries for the addresses of origin hosts, including retries.";
        STORAGE_UP = Gauge "storage_up" []
            "Whether the last write to the storage succeeded.";
        STORAGE_LAST_WRITE = Gauge "storage_last_write_timestamp_seconds" []
            "Time of the last successful write to the storage.";
        STORAGE_SIZE = Gauge "storage_size_bytes" []
            "Size of the storage file.";
        STORAGE_ERRORS = Counter "storage_errors_total" ["operation"]
            "Failed storage operations: open, read or write.";
        AUDIT_LOG_UP = Gauge "audit_log_up" ["account"]
            "Whether the last reading of every audit log of the account succeeded. Only if audit logs are read.";
        AUDIT_LOG_LAST_SUCCESS = Gauge "audit_log_last_success_timestamp_seconds" ["account"]
            "Time of the last successful reading of the audit log, of several logs the earliest.";
        AUDIT_LOG_ENTRIES = Counter "audit_log_entries_total" ["account", "relevant"]
            "Entries read from audit logs. Relevant ones wrote to something that the exporter reads.";
        PROMPTED_POLLS = Counter "prompted_polls_total" ["account"]
            "Polls brought forward because the audit log has a write to the zone.";
        API_REQUESTS = Counter "api_requests_total" ["account", "operation", "code"]
            "Requests to the Cloudflare API, retries included. The code is none if there was no response.";
        API_ERRORS = Counter "api_errors_total" ["account", "operation", "reason"]
            "Failed requests to the Cloudflare API.";
        API_RETRIES = Counter "api_retries_total" ["account", "operation"]
            "Retried requests to the Cloudflare API.";
        API_REQUEST_DURATION = Histogram "api_request_duration_seconds" ["account", "operation"]
            "Duration of requests to the Cloudflare API, including the response body.";
        API_RATE_LIMIT_REMAINING = Gauge "api_rate_limit_remaining" ["account"]
            "Remaining requests, from the last Ratelimit header.";
        API_BUDGET_REQUESTS = Gauge "api_budget_requests" ["account"]
            "Requests that this process may send per rate limit window.";
        API_BLOCKED_UNTIL = Gauge "api_blocked_until_timestamp_seconds" ["account"]
            "End of the pause after a 429 response, or 0 if there is none.";
        API_THROTTLED = Counter "api_throttled_seconds_total" ["account"]
            "Time that requests waited for the rate limit, including pauses after a 429 response.";
        DISCOVERY_UP = Gauge "discovery_up" ["account"]
            "Whether the last listing of the account's zones succeeded.";
        DISCOVERY_LAST_SUCCESS = Gauge "discovery_last_success_timestamp_seconds" ["account"]
            "Time of the last successful listing of the account's zones.";
        TOKEN_VALID = Gauge "token_valid" ["account"]
            "Whether Cloudflare accepts the API token.";
        TOKEN_EXPIRY = Gauge "token_expiry_timestamp_seconds" ["account"]
            "Time the API token expires, if it does.";
        POLL_INTERVAL = Gauge "poll_interval_seconds" []
            "Configured poll interval.";
        POLL_LAG = Gauge "poll_lag_seconds" ["account"]
            "How late the most overdue zone is, including waits for the rate limit and concurrency but not backoff.";
        CONFIG_LAST_RELOAD_SUCCESSFUL = Gauge "config_last_reload_successful" []
            "Whether the last configuration reload succeeded.";
        CONFIG_LAST_RELOAD_SUCCESS = Gauge "config_last_reload_success_timestamp_seconds" []
            "Time of the last successful configuration reload.";
        LOG_LINES_DROPPED = Counter "log_lines_dropped_total" []
            "Log lines dropped because standard error was not read fast enough.";
        WEB_CERTIFICATE_NOT_AFTER = Gauge "web_certificate_not_after_timestamp_seconds" []
            "Unix time at which the certificate of the web server expires.";
        HTTP_REQUESTS = Counter "http_requests_total" ["handler", "code"]
            "HTTP requests served.";
    }
    "Process" "process_" {
        PROCESS_CPU = Counter "cpu_seconds_total" []
            "Total user and system CPU time spent in seconds.";
        PROCESS_OPEN_FDS = Gauge "open_fds" []
            "Number of open file descriptors.";
        PROCESS_MAX_FDS = Gauge "max_fds" []
            "Maximum number of open file descriptors.";
        PROCESS_VIRTUAL_MEMORY = Gauge "virtual_memory_bytes" []
            "Virtual memory size in bytes.";
        PROCESS_RESIDENT_MEMORY = Gauge "resident_memory_bytes" []
            "Resident memory size in bytes.";
        PROCESS_START_TIME = Gauge "start_time_seconds" []
            "Start time of the process since the Unix epoch in seconds.";
        PROCESS_THREADS = Gauge "threads" []
            "Number of OS threads in the process.";
    }
}
