"""A synthetic installation for promtool, whose series can be changed minute by minute."""

import copy
import re

JOB = "origin-region-exporter"
PREFIX = "cloudflare_origin_region_"
EXPORTER = PREFIX + "exporter_"

DEFAULT_ZONES = [("example.com", "c1"), ("example.org", "c2")] + [
    (f"zone{n}.example", f"c{n}") for n in range(3, 7)
]
LEGACY_ZONES = [("old.example", "d1"), ("older.example", "d2")]


class World:
    """All series of some exporters, with one value per minute; None means no sample."""

    def __init__(self, minutes=240):
        self.minutes = minutes
        self.series = {}

    def put(self, name, value, **labels):
        """Adds a series; the value is a number, or a function of the minute."""
        key = (name, tuple(sorted(labels.items())))
        self.series[key] = [self._at(value, minute) for minute in range(self.minutes + 1)]

    def change(self, name, value, begin, end=None, **labels):
        """Changes the series with these labels from `begin` until before `end`. Adds the series if
        there is none."""
        found = self.matching(name, **labels)
        if not found:
            self.put(PREFIX + name, None, **labels)
            found = self.matching(name, **labels)
        for values in found:
            for minute in range(begin, self.minutes + 1 if end is None else end):
                values[minute] = self._at(value, minute)

    def remove(self, begin, end=None, name=".*", **labels):
        """Removes the samples of the series with these labels."""
        for values in self.matching(name, **labels):
            for minute in range(begin, self.minutes + 1 if end is None else end):
                values[minute] = None

    def down(self, begin, end=None, **labels):
        """Makes scrapes of an exporter fail."""
        self.remove(begin, end, "(?!up$).*", **labels)
        self.change("up", 0, begin, end, **labels)

    def matching(self, name, **labels):
        pattern = re.compile(name if name == "up" or name.startswith(("(", ".", "process")) else PREFIX + name)
        return [
            values
            for (found, pairs), values in self.series.items()
            if pattern.fullmatch(found) and labels.items() <= dict(pairs).items()
        ]

    def copy(self):
        return copy.deepcopy(self)

    @staticmethod
    def _at(value, minute):
        return value(minute) if callable(value) else value

    def exporter(self, instance="a:10955", shard=0, shards=1, zones=None, job=JOB, names=("default", "legacy")):
        """Adds a healthy exporter with its accounts and zones."""
        target = {"job": job, "instance": instance}
        default, legacy = names
        zones = zones or {default: DEFAULT_ZONES, legacy: LEGACY_ZONES}

        def put(name, value, **labels):
            self.put(PREFIX + name, value, **target, **labels)

        self.put("up", 1, **target)
        self.put("process_start_time_seconds", 0, **target)
        put("exporter_build_info", 1, version="1.0.0", revision="r", rustc="1.95.0")
        put("exporter_shard_ordinal", shard, shard_ordinal=str(shard))
        put("exporter_total_shards", shards)
        put("exporter_config_last_reload_successful", 1)
        put("exporter_poll_interval_seconds", 300)
        put("exporter_storage_up", 1)
        for operation in ("open", "read", "write"):
            put("exporter_storage_errors_total", 0, operation=operation)
        put("exporter_log_lines_dropped_total", 0)
        put("exporter_web_certificate_not_after_timestamp_seconds", 30000000)
        put("exporter_dns_queries_total", lambda minute: 10 * minute, result="ok")
        put("exporter_dns_queries_total", 1, result="failed")
        put("zone_mappings_limit", 3500)
        for kind in ("ids", "include", "expect", "zone_overrides"):
            put("exporter_unmatched_zones", 0, kind=kind)
        for vendor in ("aws", "gcp"):
            put("vendor_ranges_up", 1, vendor=vendor)
        for account in zones:
            put("exporter_zones", len(zones[account]), account=account, state="polled")
            for state in ("filtered", "other_shard", "duplicate"):
                put("exporter_zones", 0, account=account, state=state)
            put("exporter_discovery_up", 1, account=account)
            put("exporter_token_valid", 1, account=account)
            put("exporter_token_expiry_timestamp_seconds", 30000000, account=account)
            put("exporter_poll_lag_seconds", 0, account=account)
            put("exporter_audit_log_up", 1, account=account)
            requests = {"account": account, "operation": "list_mappings"}
            put("exporter_api_requests_total", lambda minute: 2 * minute, code="200", **requests)
            put("exporter_api_errors_total", 0, reason="rate_limited", **requests)
            for zone, zone_id in zones[account]:
                self.zone(put, account, {"zone": zone, "zone_id": zone_id})

    @staticmethod
    def zone(put, account, names):
        put("zone_info", 1, account=account, status="active", plan="pro", **names)
        put("zone_up", 1, **names)
        put("zone_last_success_timestamp_seconds", lambda minute: 60 * minute, **names)
        put("zone_poll_interval_seconds", 300, **names)
        put("zone_polls_total", lambda minute: minute // 5, **names)
        put("zone_rejected_rows_total", 0, **names)
        put("zone_mappings", 3, **names)
        put("mappings", 3, vendor="aws", region="us-east-1", **names)
        for change in ("added", "removed", "changed"):
            put("mapping_changes_total", 0, change=change, **names)
        put("expected_origins", 2, source="config", **names)
        put("missing_mappings", 0, **names)
        for check in ("declared", "vendor_ranges"):
            put("wrong_mappings", 0, check=check, **names)
        put("stale_mappings", 0, **names)
        put("stale_after_seconds", 86400 * 180, **names)
        put("unused_mappings", 0, **names)
        for state in ("resolved", "rotating", "failing", "no_address"):
            put("origin_hosts", int(state == "resolved"), state=state, **names)
        put("tiered_cache_enabled", 1, **names)
        put("smart_tiered_cache_enabled", 1, **names)

    def relabeled(self, relabel):
        """A copy in which the function replaces the labels of each series. It may return several
        sets of labels, each of which becomes a series."""
        result = World(self.minutes)
        for (name, pairs), values in self.series.items():
            for labels in relabel(name, dict(pairs)):
                result.series[(name, tuple(sorted(labels.items())))] = list(values)
        return result

    def merged(self, other):
        result = World(self.minutes)
        result.series = {**other.series, **self.series}
        return result

    def input_series(self):
        """The series in promtool's format."""
        return [
            {"series": f"{name}{{{','.join(f'{k}={quoted(v)}' for k, v in pairs)}}}", "values": notation(values)}
            for (name, pairs), values in sorted(self.series.items())
            if any(value is not None for value in values)
        ]


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def notation(values):
    """Values in promtool's notation. A series becomes stale at the first missing value."""
    steps = []
    previous = None
    for value in values:
        step = ("stale" if previous is not None else "_") if value is None else f"{value:g}" if value < 1e5 else str(value)
        previous = value
        if steps and steps[-1][0] == step:
            steps[-1][1] += 1
        else:
            steps.append([step, 1])
    return " ".join(step if count == 1 else f"{step}x{count - (step != '_')}" for step, count in steps)
