"""Tests with the real Alertmanager which of the alerts that fire together are sent."""

import json
import pathlib
import re
import subprocess
import tempfile
import time
import unittest
import urllib.request

from support import DEPLOY

CONFIGURATION = DEPLOY / "compose" / "alertmanager.yaml"
PATIENCE = 60

ZONE = {"zone_id": "c1", "zone": "example.com"}
# The alerts that fire together, and those that are sent.
SITUATIONS = {
    "an account is out of reach": (
        [("DiscoveryFailing", {}), ("ApiErrors", {}), ("ZonePollFailing", ZONE), ("MappingMissing", ZONE)],
        {"DiscoveryFailing", "MappingMissing"},
    ),
    "its token has expired": (
        [("TokenInvalid", {}), ("TokenExpiring", {}), ("DiscoveryFailing", {}), ("ZoneDataTooOld", ZONE)],
        {"TokenInvalid"},
    ),
    "most zones fail": (
        [("AccountPollsFailing", {}), ("ZonePollFailing", ZONE), ("ZoneDataTooOld", ZONE)],
        {"AccountPollsFailing"},
    ),
    "one zone fails": ([("ZonePollFailing", ZONE), ("ZoneDataTooOld", ZONE)], {"ZonePollFailing"}),
    "the account is rate limited": (
        [("RateLimited", {}), ("PollLag", {}), ("ZoneDataTooOld", ZONE)],
        {"RateLimited"},
    ),
    "no mapping is left": (
        [("ZoneUnmapped", ZONE), ("MappingMissing", ZONE), ("MappingsRemoved", ZONE)],
        {"ZoneUnmapped"},
    ),
    "many zones fail, and their data is old": (
        [
            ("AccountPollsFailing", {}),
            ("FindingInManyZones", {"finding": "too_old"}),
            ("FindingInManyZones", {"finding": "missing"}),
        ],
        {"AccountPollsFailing", "FindingInManyZones missing"},
    ),
    "zones are gone": ([("ZonesVanished", {}), ("ZonesFewer", {})], {"ZonesVanished"}),
}


class InhibitionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        log = pathlib.Path(directory.name) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [
                    "prometheus-alertmanager",
                    f"--config.file={CONFIGURATION}",
                    f"--storage.path={directory.name}/data",
                    "--web.listen-address=127.0.0.1:0",
                    "--cluster.listen-address=",
                ],
                stdout=file,
                stderr=file,
            )
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.kill)
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"address=(127\.0\.0\.1:\d+)", log.read_text())):
            assert time.monotonic() < end and process.poll() is None, log.read_text()
            time.sleep(0.05)
        cls.url = f"http://{found[1]}/api/v2/alerts"

    def post(self, alerts):
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE).close()

    def sent(self, job):
        """The names of the alerts of a job that are not inhibited, and the number of its alerts."""
        with urllib.request.urlopen(f"{self.url}?filter=job%3D%22{job}%22", timeout=PATIENCE) as answer:
            alerts = json.load(answer)
        names = {
            f"{alert['labels']['alertname'].removeprefix('OriginRegion')} {alert['labels'].get('finding', '')}".strip()
            for alert in alerts
            if not alert["status"]["inhibitedBy"]
        }
        return names, len(alerts)

    def test_of_alerts_with_one_cause_only_the_cause_is_sent(self):
        for number, (situation, (firing, expected)) in enumerate(SITUATIONS.items()):
            job = f"job{number}"
            common = {"job": job, "account": "default"}
            # In another account, the alert fires alone and is not inhibited.
            other = {"alertname": "OriginRegionZoneDataTooOld", "job": job, "account": "other", "zone_id": "d1"}
            self.post([{"alertname": f"OriginRegion{name}", **common, **labels} for name, labels in firing] + [other])
            with self.subTest(situation=situation):
                end = time.monotonic() + PATIENCE
                while (found := self.sent(job)) != (expected | {"ZoneDataTooOld"}, len(firing) + 1):
                    self.assertLess(time.monotonic(), end, found)
                    time.sleep(0.1)


if __name__ == "__main__":
    unittest.main()
