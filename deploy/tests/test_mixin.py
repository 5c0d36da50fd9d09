"""The mixin gives what the shipped files say."""

import json
import unittest

import _jsonnet

from support import DASHBOARDS, DEPLOY, RULES, read_yaml

MIXIN = DEPLOY / "mixin" / "mixin.libsonnet"


class MixinTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shown = "{ alerts: m.prometheusAlerts, rules: m.prometheusRules, dashboards: m.grafanaDashboards }"
        snippet = f"local m = import {json.dumps(str(MIXIN))}; {shown}"
        cls.mixin = json.loads(_jsonnet.evaluate_snippet("test", snippet))

    def test_it_has_every_rule(self):
        self.assertEqual(self.mixin["alerts"], read_yaml(RULES))
        self.assertEqual(self.mixin["rules"], {"groups": []})

    def test_it_has_every_dashboard(self):
        expected = {
            f"origin-region-{path.name}": json.loads(path.read_text())
            for path in DASHBOARDS.glob("*.json")
        }
        self.assertEqual(self.mixin["dashboards"], expected)


if __name__ == "__main__":
    unittest.main()
