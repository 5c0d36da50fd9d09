"""The shipped files are the output of the mixin, and its settings work as documented."""

import pathlib
import sys
import tempfile
import unittest

import yaml

from support import DEPLOY, ROOT, RULES, assert_succeeds, read_yaml

sys.path.insert(0, str(DEPLOY / "mixin"))
import render  # noqa: E402

INHIBITIONS = DEPLOY / "prometheus" / "inhibit_rules.yaml"
ALERTMANAGER = DEPLOY / "compose" / "alertmanager.yaml"


def rules_of(mixin):
    (group,) = mixin["alerts"]["groups"]
    return group["rules"]


def alerts_of(mixin):
    return {rule["alert"]: rule for rule in rules_of(mixin) if "alert" in rule}


class MixinTest(unittest.TestCase):
    maxDiff = None

    def test_the_files_are_its_output(self):
        for path, contents in render.files().items():
            with self.subTest(path=path):
                self.assertEqual((ROOT / path).read_text(), contents, "run scripts/render-mixin")

    def test_the_plain_rules_say_what_the_mixin_says(self):
        shipped = read_yaml(RULES)
        for rule in shipped["groups"][0]["rules"]:
            rule["expr"] = rule["expr"].rstrip("\n")
        self.assertEqual(shipped, render.evaluate()["alerts"])
        self.assertEqual(read_yaml(INHIBITIONS)["inhibit_rules"], render.evaluate()["inhibitions"])

    def test_every_alert_has_settings_and_no_other_has(self):
        mixin = render.evaluate()
        self.assertEqual(
            {"OriginRegion" + name for name in mixin["config"]["alerts"]}, set(alerts_of(mixin))
        )

    def test_the_settings_reach_the_rules(self):
        mixin = render.evaluate(
            """{
              selector: 'team="edge"',
              targetSelector: 'job="edge"',
              clusterLabel: 'k8s_cluster',
              alertLabels: { team: 'edge' },
              runbookBase: 'https://wiki.example.com/',
              grafanaUrl: 'https://grafana.example.com',
              alerts+: {
                MappingStale+: { enabled: false },
                MappingMissing+: { severity: 'critical', pending: '1h', keepFiring: '' },
                TokenExpiring+: { days: 30 },
                FindingInManyZones+: { keepFiring: '3h' },
              },
            }"""
        )
        alerts = alerts_of(mixin)
        self.assertNotIn("OriginRegionMappingStale", alerts)
        missing = alerts["OriginRegionMappingMissing"]
        self.assertEqual(missing["labels"], {"severity": "critical", "team": "edge"})
        self.assertEqual(missing["for"], "1h")
        self.assertNotIn("keep_firing_for", missing)
        self.assertIn("< 30 * 86400", alerts["OriginRegionTokenExpiring"]["expr"])
        # With this setting, the alert itself continues for long enough.
        self.assertNotIn("ALERTS", alerts["OriginRegionFindingInManyZones"]["expr"])
        self.assertIn("[1h]", alerts["OriginRegionMinorFindingInManyZones"]["expr"])
        self.assertIn('up{job="edge"} == 0', alerts["OriginRegionExporterDown"]["expr"])
        for rule in rules_of(mixin):
            self.assertNotRegex(rule["expr"], r"\{\$|[( ]cluster[,)]")
            for family in ("zone_up", "zone_info", "missing_mappings", "exporter_zones"):
                # Only original series of the exporter, not recorded ones.
                self.assertNotRegex(rule["expr"], rf"(?<![:_a-z])cloudflare_origin_region_{family}(?![_:{{a-z])")
        for alert in alerts.values():
            self.assertTrue(alert["annotations"]["runbook_url"].startswith("https://wiki.example.com/"))
            self.assertTrue(alert["annotations"]["dashboard_url"].startswith("https://grafana.example.com/d/"))
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "rules.yaml"
            file.write_text(yaml.safe_dump(mixin["alerts"]))
            assert_succeeds(self, "promtool", "check", "rules", file)
        self.assertTrue(all("cluster" not in rule["equal"] for rule in mixin["inhibitions"]))

    def test_inhibitions_speak_of_alerts_that_there_are(self):
        mixin = render.evaluate()
        names = set(alerts_of(mixin))
        for rule in mixin["inhibitions"]:
            for matchers in (rule["source_matchers"], rule["target_matchers"]):
                words = matchers[0].split('"')[1].removeprefix("OriginRegion").strip("()").split("|")
                self.assertLessEqual({"OriginRegion" + word for word in words}, names)

    def test_alertmanager_takes_the_inhibitions_and_the_composition_has_them(self):
        configuration = read_yaml(ALERTMANAGER)
        self.assertEqual(configuration["inhibit_rules"], read_yaml(INHIBITIONS)["inhibit_rules"])
        assert_succeeds(self, "amtool", "check-config", ALERTMANAGER)

    def test_it_has_every_dashboard(self):
        self.assertEqual(
            set(render.evaluate()["dashboards"]),
            {f"origin-region-{name}.json" for name in ("overview", "zone", "exporter")},
        )


if __name__ == "__main__":
    unittest.main()
