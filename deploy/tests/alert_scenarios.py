"""Scenarios of an installation, and the alerts that fire in them.

Each scenario changes a healthy world with eight zones in two accounts. For some minutes, it lists
exactly the alerts that fire. An alert is written as its name without the prefix, followed by its
distinguishing label values: `MappingMissing c1` (a zone_id), `TokenInvalid default` (an account),
`ExporterAbsent`.
"""

from alert_world import DEFAULT_ZONES, LEGACY_ZONES, World

SCENARIOS = {}
# The topologies that a scenario is limited to, if any.
ONLY = {}


def scenario(minutes=210, only=None):
    def register(change):
        name = change.__name__
        world = World(minutes)
        world.exporter()
        SCENARIOS[name] = (world, change)
        if only:
            ONLY[name] = only
        return change

    return register


def missing(world, begin=0, end=None, zone_id="c1", zone="example.com"):
    names = {"job": "origin-region-exporter", "instance": "a:10955", "zone": zone, "zone_id": zone_id}
    world.change("missing_mappings", 1, begin, end, zone_id=zone_id)
    world.change(
        "missing_mapping",
        1,
        begin,
        end,
        origin_ip="192.0.2.1",
        source="dns",
        host="lb.example.net",
        expected_vendor="aws",
        expected_region="us-east-1",
        **{**names, "zone_id": zone_id},
    )


TARGET = {"job": "origin-region-exporter", "instance": "a:10955"}
C1 = {"zone": "example.com", "zone_id": "c1"}


@scenario()
def nothing_happens(world):
    world.change("zone_mappings", 4, 100, **C1)
    world.change("mapping_changes_total", 1, 100, change="added", **C1)
    return {5: [], 30: [], 90: [], 120: [], 210: []}


@scenario(minutes=1500, only=["single"])
def nothing_happens_for_a_day(world):
    return {400: [], 900: [], 1500: []}


@scenario()
def no_exporter_is_left(world):
    missing(world)
    world.remove(30)
    vanished = ["ExporterAbsent", "ExporterVanished", "MappingMissing c1"]
    return {29: ["MappingMissing c1"], 39: ["MappingMissing c1"], 42: vanished, 200: vanished}


@scenario()
def an_exporter_goes_down(world):
    missing(world)
    world.down(30)
    down = ["ExporterDown", "MappingMissing c1"]
    gone = down + ["ExporterAbsent", "ExporterVanished"]
    return {34: ["MappingMissing c1"], 37: down, 42: gone, 200: gone}


@scenario(only=["single"])
def a_target_was_never_up(world):
    world.remove(0)
    world.down(0)
    return {4: [], 6: ["ExporterDown"], 12: ["ExporterDown", "ExporterAbsent"]}


@scenario(minutes=600, only=["single", "two clusters", "replica label"])
def one_of_two_replicas_disappears(world):
    world.exporter("b:10955")
    world.remove(400, instance="b:10955")
    return {399: [], 410: [], 420: ["ReplicaMissing"], 570: ["ReplicaMissing"], 590: []}


@scenario(minutes=500, only=["single", "two clusters"])
def one_of_two_replicas_goes_down(world):
    world.exporter("b:10955")
    world.down(400, instance="b:10955")
    return {404: [], 407: ["ExporterDown"], 420: ["ExporterDown", "ReplicaMissing"]}


@scenario()
def an_exporter_is_down_for_one_minute_of_five(world):
    missing(world)
    for begin in range(4, 210, 5):
        world.down(begin, begin + 1)
    flapping = ["ExporterFlapping", "MappingMissing c1"]
    return {8: [], 12: flapping, 60: flapping, 199: flapping, 209: flapping}


@scenario()
def scrapes_fail_twice(world):
    world.down(60, 62)
    world.down(100, 103)
    return {63: [], 104: [], 130: []}


@scenario()
def an_exporter_restarts_four_times(world):
    for number, begin in enumerate(range(60, 100, 10)):
        world.change("process_start_time_seconds", 60 * begin, begin)
    return {89: [], 91: ["ExporterRestarting"], 118: ["ExporterRestarting"], 125: []}


@scenario(only=["single", "two clusters", "replica label"])
def one_of_two_shards_disappears(world):
    world.series.clear()
    world.exporter("a:10955", 0, 2, {"default": DEFAULT_ZONES, "legacy": []})
    world.exporter("b:10955", 1, 2, {"default": [("lost.example", "e1")], "legacy": LEGACY_ZONES})
    for instance, account, zones in (("a:10955", "default", 1), ("a:10955", "legacy", 2), ("b:10955", "default", 6)):
        world.change("exporter_zones", zones, 0, instance=instance, account=account, state="other_shard")
    world.change("missing_mappings", 1, 0, zone_id="e1")
    world.remove(60, instance="b:10955")
    lost = ["MappingMissing e1", "ShardMissing"]
    return {59: ["MappingMissing e1"], 69: ["MappingMissing e1"], 72: lost, 200: lost}


@scenario()
def an_account_cannot_be_listed_and_no_zone_read(world):
    missing(world)
    world.change("exporter_discovery_up", 0, 30, 150, account="default")
    for zone, zone_id in DEFAULT_ZONES:
        world.change("zone_up", 0, 30, 150, zone_id=zone_id)
        world.change("zone_last_success_timestamp_seconds", 1800, 30, 150, zone_id=zone_id)
        # Dropped after the retention period.
        world.remove(90, 150, "(.*(missing|wrong|stale|unused|zone)_mappings?|.*_mappings)", zone_id=zone_id)
    world.change("missing_mappings", 0, 150, zone_id="c1")
    failing = ["DiscoveryFailing default", "MappingMissing c1"]
    return {44: ["MappingMissing c1"], 46: failing, 89: failing, 149: failing, 165: failing, 175: []}


@scenario()
def an_exporter_restarts_while_the_api_is_down(world):
    missing(world)
    world.change("process_start_time_seconds", 3600, 60)
    world.change("exporter_zones", 0, 60, 150)
    world.remove(60, 62, "(.*discovery_up)")
    world.change("exporter_discovery_up", 0, 62, 150)
    for zone, zone_id in DEFAULT_ZONES + LEGACY_ZONES:
        world.remove(60, 150, zone_id=zone_id)
        # The first poll is three minutes after the first good listing.
        world.remove(150, 153, "(?!.*zone_info).*", zone_id=zone_id)
    world.change("missing_mappings", 0, 153, zone_id="c1")
    failing = ["DiscoveryFailing default", "DiscoveryFailing legacy", "MappingMissing c1"]
    return {70: ["MappingMissing c1"], 78: failing, 149: failing, 152: failing, 180: []}


@scenario()
def a_zone_cannot_be_read(world):
    missing(world)
    world.change("zone_up", 0, 30, 180, zone_id="c1")
    world.change("zone_last_success_timestamp_seconds", 1800, 30, 180, zone_id="c1")
    world.change("zone_poll_errors_total", lambda minute: minute - 30, 30, reason="server_error", **TARGET, **C1)
    world.remove(90, 180, "(.*_mappings?)", zone_id="c1")
    world.change("missing_mappings", 0, 180, zone_id="c1")
    failing = ["MappingMissing c1", "ZonePollFailing c1"]
    old = failing + ["ZoneDataTooOld c1"]
    return {44: ["MappingMissing c1"], 46: failing, 64: failing, 70: old, 170: old, 195: old, 205: []}


@scenario()
def a_listing_fails_now_and_then_beside_a_failing_zone(world):
    world.change("zone_up", 0, 30, zone_id="c1")
    for begin in range(35, 200, 20):
        world.change("exporter_discovery_up", 0, begin, begin + 2)
    return {44: [], 48: ["ZonePollFailing c1"], 120: ["ZonePollFailing c1"]}


@scenario()
def most_zones_of_an_account_cannot_be_read(world):
    for _, zone_id in DEFAULT_ZONES[:5]:
        world.change("zone_up", 0, 30, zone_id=zone_id)
    zones = [f"ZonePollFailing c{n}" for n in range(1, 6)]
    return {44: [], 48: ["AccountPollsFailing default"] + zones}


@scenario()
def more_than_half_of_the_zones_are_gone(world):
    missing(world)
    for _, zone_id in DEFAULT_ZONES[:4]:
        world.remove(60, zone_id=zone_id)
    world.change("exporter_zones", 2, 60, account="default", state="polled")
    gone = ["ZonesFewer default", "ZonesVanished default"]
    return {59: ["MappingMissing c1"], 70: ["MappingMissing c1"], 90: gone, 200: gone}


@scenario(minutes=450)
def a_token_loses_two_zones_of_six(world):
    for _, zone_id in DEFAULT_ZONES[:2]:
        world.remove(60, zone_id=zone_id)
    world.change("exporter_zones", 4, 60, account="default", state="polled")
    return {70: [], 80: ["ZonesFewer default"], 400: ["ZonesFewer default"], 440: []}


@scenario()
def a_token_is_refused(world):
    world.change("exporter_token_valid", 0, 30, account="default")
    world.change("exporter_discovery_up", 0, 30, account="default")
    for _, zone_id in DEFAULT_ZONES:
        world.change("zone_up", 0, 30, zone_id=zone_id)
    world.change("exporter_token_valid", 0, 30, 34, account="legacy")
    return {34: [], 36: ["TokenInvalid default"], 50: ["DiscoveryFailing default", "TokenInvalid default"]}


@scenario()
def a_token_comes_to_its_end(world):
    world.change("exporter_token_expiry_timestamp_seconds", 14 * 86400 + 1800, 0, account="default")
    return {29: [], 85: [], 92: ["TokenExpiring default"]}


@scenario()
def a_fifth_of_the_requests_fail(world):
    requests = {"account": "default", "operation": "list_mappings"}
    world.change("exporter_api_requests_total", lambda minute: max(0, minute - 30) / 2, 0, code="500", **TARGET, **requests)
    world.change("exporter_api_errors_total", lambda minute: max(0, minute - 30) / 2, 0, reason="server_error", **TARGET, **requests)
    # A rejected request says nothing about the health of the API.
    world.change("exporter_api_errors_total", lambda minute: minute, 0, reason="forbidden", **TARGET, account="legacy", operation="dns_records")
    return {44: [], 60: ["ApiErrors default"]}


@scenario()
def requests_are_refused_with_429_again_and_again(world):
    world.change("exporter_api_errors_total", lambda minute: (minute - 30) // 5, 30, account="default", reason="rate_limited")
    world.change("exporter_api_errors_total", 1, 30, account="legacy", reason="rate_limited")
    return {50: [], 65: ["RateLimited default"]}


@scenario()
def polls_are_late(world):
    world.change("exporter_poll_lag_seconds", 900, 30, account="default")
    world.change("exporter_poll_lag_seconds", 500, 30, account="legacy")
    return {59: [], 62: ["PollLag default"]}


@scenario()
def the_audit_log_is_refused(world):
    world.change("exporter_audit_log_up", 0, 30, account="default")
    return {89: [], 92: ["AuditLogFailing default"]}


@scenario()
def rows_cannot_be_read(world):
    world.change("zone_rejected_rows_total", lambda minute: (minute - 30) // 5, 30, zone_id="c1")
    return {44: [], 55: ["RowsRejected c1"]}


@scenario()
def a_mapping_is_missing_and_put_back(world):
    missing(world, 10, 40)
    missing(world, 60, 68, "c2", "example.org")
    return {19: [], 21: ["MappingMissing c1"], 55: ["MappingMissing c1"], 65: [], 75: []}


@scenario()
def mappings_are_wrong_by_two_checks(world):
    for check, count in (("declared", 12), ("vendor_ranges", 1)):
        world.change("wrong_mappings", count, 10, check=check, zone_id="c1")
        for number in range(count):
            world.change(
                "wrong_mapping", 1, 10, origin_ip=f"192.0.2.{number + 10}", vendor="aws", region="us-west-1",
                expected_vendor="gcp", expected_region="us-east4", check=check, effect="other_tiers", **TARGET, **C1,
            )
    return {24: [], 26: ["MappingWrong c1 declared", "MappingWrong c1 vendor_ranges"]}


@scenario()
def mappings_are_stale_and_unused(world):
    world.change("stale_mappings", 2, 10, zone_id="c1")
    world.change("unused_mappings", 4, 10, zone_id="c2")
    return {69: [], 72: ["MappingStale c1", "MappingUnused c2"]}


@scenario()
def hosts_rotate_and_fail(world):
    world.change("origin_hosts", 1, 10, state="rotating", zone_id="c1")
    world.change("origin_hosts", 2, 10, state="failing", zone_id="c2")
    world.change("origin_hosts", 3, 10, state="no_address", zone_id="c3")
    hosts = ["HostUnresolvable c2 failing", "HostUnresolvable c3 no_address", "HostRotating c1"]
    return {39: [], 42: hosts[2:], 72: hosts}


@scenario()
def most_dns_queries_fail_and_hosts_with_them(world):
    world.change("exporter_dns_queries_total", lambda minute: 20 * (minute - 5), 10, result="failed")
    world.change("origin_hosts", 2, 10, state="failing")
    return {24: [], 30: ["DnsFailing"], 120: ["DnsFailing"]}


@scenario()
def a_zone_has_no_mapping(world):
    for zone_id in ("c1", "c2", "c3"):
        world.change("zone_mappings", 0, 0, zone_id=zone_id)
        world.change("mappings", None, 0, zone_id=zone_id)
    world.change("smart_tiered_cache_enabled", 0, 0, zone_id="c2")
    world.change("expected_origins", 0, 0, zone_id="c3")
    for zone_id in ("c1", "c2"):
        world.change("missing_mappings", 2, 0, zone_id=zone_id)
    missing = ["MappingMissing c1", "MappingMissing c2"]
    return {59: missing, 61: missing + ["ZoneUnmapped c1"]}


@scenario(minutes=110)
def many_zones_have_the_same_finding(world):
    zones = [(f"many{n}.example", f"m{n}") for n in range(33)]
    world.series.clear()
    world.exporter(zones={"default": zones, "legacy": LEGACY_ZONES})
    for _, zone_id in zones[:30]:
        world.change("missing_mappings", 1, 10, zone_id=zone_id)
    for _, zone_id in zones[30:]:
        world.change("missing_mappings", 1, 40, zone_id=zone_id)
    world.change("missing_mappings", 0, 80)
    world.change("stale_mappings", 1, 10)
    world.change("missing_mappings", 1, 10, 80, zone_id="d1")
    each = ["MappingMissing d1"] + [f"MappingMissing {zone_id}" for _, zone_id in zones[:30]]
    many = ["FindingInManyZones default", "MappingMissing d1", "MinorFindingInManyZones default"]
    stale = ["MappingStale d1", "MappingStale d2", "MinorFindingInManyZones default"]
    return {
        22: each,
        39: each + ["MinorFindingInManyZones default"],
        # The alerts of single zones continue until the alert for all of them fires.
        57: each + many[::2],
        64: many,
        79: many[:2] + stale,
        105: stale,
    }


@scenario(minutes=230)
def many_zones_with_a_finding_become_few(world):
    zones = [(f"many{n}.example", f"m{n}") for n in range(33)]
    world.series.clear()
    world.exporter(zones={"default": zones, "legacy": LEGACY_ZONES})
    world.change("tiered_cache_enabled", 0, 10)
    world.change("tiered_cache_enabled", 1, 10, zone_id="d1")
    world.change("tiered_cache_enabled", 1, 10, zone_id="d2")
    for _, zone_id in zones[5:]:
        world.change("tiered_cache_enabled", 1, 60, zone_id=zone_id)
    few = [f"TieredCacheOff {zone_id}" for _, zone_id in zones[:5]]
    many = ["FindingInManyZones default"]
    # The alert for all zones continues until those of the remaining zones fire.
    return {24: [], 27: many, 61: many, 100: many, 150: many, 179: many, 182: many + few, 205: few, 230: few}


@scenario(minutes=120)
def the_number_of_zones_with_a_finding_varies(world):
    zones = [(f"many{n}.example", f"m{n}") for n in range(33)]
    world.series.clear()
    world.exporter(zones={"default": zones})
    # Many zones for one minute, then few.
    world.change("missing_mappings", 1, 10, 11)
    for _, zone_id in zones[:3]:
        world.change("missing_mappings", 1, 11, zone_id=zone_id)
    # Many zones, sometimes only 30.
    world.change("stale_mappings", 1, 30)
    for begin in range(32, 120, 9):
        for _, zone_id in zones[30:]:
            world.change("stale_mappings", 0, begin, begin + 5, zone_id=zone_id)
    few = [f"MappingMissing {zone_id}" for _, zone_id in zones[:3]]
    many = ["MinorFindingInManyZones default"]
    return {20: [], 23: few, 44: few, 47: few + many, 80: few + many, 120: few + many}


@scenario(minutes=70)
def many_zones_of_an_account_cannot_be_read(world):
    zones = [(f"many{n}.example", f"m{n}") for n in range(70)]
    world.series.clear()
    world.exporter(zones={"default": zones, "legacy": LEGACY_ZONES})
    for _, zone_id in zones[:31]:
        world.change("zone_up", 0, 10, zone_id=zone_id)
        world.change("zone_last_success_timestamp_seconds", 600, 10, zone_id=zone_id)
    failing = ["AccountPollsFailing default"]
    return {24: [], 27: failing, 62: failing + ["FindingInManyZones default"]}


@scenario()
def a_mapping_is_removed(world):
    world.change("mapping_changes_total", 1, 60, change="removed", zone_id="c1")
    return {59: [], 61: ["MappingsRemoved c1"], 95: []}


@scenario()
def a_mapping_is_removed_during_a_restart(world):
    world.remove(60, 65)
    world.change("zone_mappings", 2, 65, zone_id="c1")
    # The mapping is removed while the zone cannot be read.
    world.change("zone_up", 0, 100, 110, zone_id="c2")
    world.change("zone_mappings", 1, 110, zone_id="c2")
    return {64: [], 66: ["MappingsRemoved c1"], 99: [], 111: ["MappingsRemoved c2"], 145: []}


@scenario()
def tiered_cache_is_off(world):
    world.change("tiered_cache_enabled", 0, 10, zone_id="c1")
    world.change("smart_tiered_cache_enabled", 0, 10, zone_id="c2")
    world.change("smart_tiered_cache_enabled", 0, 10, zone_id="c3")
    world.change("zone_mappings", 0, 0, zone_id="c3")
    return {129: [], 132: ["TieredCacheOff c1", "TieredCacheOff c2"]}


@scenario()
def a_zone_is_nearly_full(world):
    world.change("zone_mappings", 3325, 0, zone_id="c1")
    world.change("zone_mappings", 3150, 0, zone_id="c2")
    return {14: [], 16: ["ZoneNearLimit c1"]}


@scenario()
def names_match_no_zone(world):
    world.change("exporter_unmatched_zones", 2, 10, kind="include")
    return {39: [], 42: ["ZonesUnmatched"]}


@scenario()
def names_match_no_zone_while_nothing_can_be_listed(world):
    world.change("exporter_unmatched_zones", 2, 10, kind="include")
    world.change("exporter_discovery_up", 0, 10, account="legacy")
    return {120: ["DiscoveryFailing legacy"]}


@scenario()
def a_reload_fails(world):
    world.change("exporter_config_last_reload_successful", 0, 10, 60)
    return {14: [], 16: ["ReloadFailed"], 61: []}


@scenario()
def a_reload_fails_before_the_exporter_dies(world):
    world.change("exporter_config_last_reload_successful", 0, 58)
    world.down(60)
    down = ["ExporterDown", "ReloadFailed"]
    return {59: [], 67: down, 90: down + ["ExporterAbsent", "ExporterVanished"]}


@scenario(minutes=1620, only=["single"])
def a_vendors_ranges_are_not_loaded(world):
    world.change("vendor_ranges_up", 0, 100, vendor="aws")
    world.change("vendor_ranges_up", 0, 100, 1400, vendor="gcp")
    return {1500: [], 1610: ["VendorRangesOld"]}


@scenario()
def the_storage_cannot_be_written(world):
    world.change("exporter_storage_up", 0, 10, 60)
    return {19: [], 21: ["StorageFailing"], 85: []}


@scenario(minutes=1480, only=["single"])
def the_storage_was_damaged_at_the_start(world):
    world.change("exporter_storage_errors_total", 1, 30, operation="read")
    world.change("process_start_time_seconds", 1800, 30)
    return {29: [], 31: ["StorageReset"], 1460: ["StorageReset"], 1475: []}


@scenario()
def a_start_on_a_read_only_disk_loses_nothing(world):
    world.change("exporter_storage_errors_total", 1, 30, operation="open")
    world.change("exporter_storage_up", 0, 30)
    world.change("process_start_time_seconds", 1800, 30)
    return {31: [], 45: ["StorageFailing"]}


@scenario()
def the_certificate_comes_to_its_end(world):
    world.change("exporter_web_certificate_not_after_timestamp_seconds", 14 * 86400 + 1800, 0)
    return {85: [], 92: ["CertificateExpiring"]}


@scenario()
def log_lines_are_dropped(world):
    world.change("exporter_log_lines_dropped_total", lambda minute: minute - 30, 30, 60)
    world.change("exporter_log_lines_dropped_total", 30, 60)
    return {30: [], 33: ["LogLinesDropped"], 110: []}


@scenario(only=["single", "two clusters", "replica label", "other job"])
def a_pod_is_replaced_while_much_is_wrong(world):
    missing(world)
    world.change("wrong_mappings", 1, 0, zone_id="c2", check="declared")
    world.change("stale_mappings", 1, 0, zone_id="c3")
    world.change("tiered_cache_enabled", 0, 0, zone_id="c4")
    world.change("zone_up", 0, 0, zone_id="c5")
    world.change("exporter_token_valid", 0, 0, account="legacy")
    new = world.relabeled(lambda name, labels: [{**labels, "instance": "b:10955"}])
    world.remove(180)
    new.remove(0, 182)
    # Accounts are listed after four minutes, and zones read after six.
    new.remove(0, 184, "(.*(discovery_up|token_valid|zone_info))")
    new.remove(0, 186, "(?!.*zone_info).*", zone="example.com")
    for _, zone_id in DEFAULT_ZONES + LEGACY_ZONES:
        new.remove(0, 186, "(?!.*zone_info).*", zone_id=zone_id)
    world.series.update(new.series)
    wrong = ["MappingMissing c1", "MappingStale c3", "MappingWrong c2 declared", "TieredCacheOff c4", "TokenInvalid legacy", "ZonePollFailing c5"]
    return {179: wrong, 181: wrong, 185: wrong, 187: wrong, 220: wrong}


@scenario(only=["single"])
def two_exporters_name_their_accounts_differently(world):
    world.exporter("b:10955", names=("production", "old"))
    missing(world)
    return {9: [], 12: ["MappingMissing c1"], 200: ["MappingMissing c1"]}


@scenario(only=["single"])
def a_replica_still_serves_what_was_found_before_it_failed(world):
    world.exporter("b:10955")
    world.change("zone_up", 0, 0, instance="b:10955", zone_id="c1")
    world.change("missing_mappings", 1, 0, instance="b:10955", zone_id="c1")
    return {60: [], 200: []}
