"""Tests the alerts with promtool: each scenario in each topology."""

import concurrent.futures
import json
import os
import pathlib
import re
import sys
import tempfile
import unittest

import yaml

from alert_scenarios import ONLY, SCENARIOS
from support import RULES, read_yaml, run

NAME = "OriginRegion"
TEXTS = pathlib.Path(__file__).with_name("alert_texts.yaml")
# The labels that distinguish alerts with the same name, besides the cluster.
KEYS = ("account", "zone_id", "check", "state")
LABELS = ("alertname", "cluster", *KEYS)


def single(world, healthy):
    return world


def other_job(world, healthy):
    return world.relabeled(lambda name, labels: [{**labels, "job": "cdn"}])


def two_clusters(world, healthy):
    """Another cluster with the same job, instances and zones, without problems."""
    one = world.relabeled(lambda name, labels: [{**labels, "cluster": "one"}])
    return one.merged(healthy.relabeled(lambda name, labels: [{**labels, "cluster": "two"}]))


def ha_pair(world, healthy):
    """A second exporter with the same series."""
    return world.relabeled(lambda name, labels: [labels, {**labels, "instance": "b:10955"}])


def shards(world, healthy):
    """A second shard with the same accounts but no zones."""

    def relabel(name, labels):
        if "zone_id" in labels:
            return [labels]
        other = {**labels, "instance": "b:10955"}
        if "shard_ordinal" in labels:
            other["shard_ordinal"] = "1"
        return [labels, other]

    result = world.relabeled(relabel)
    for values in result.matching("exporter_total_shards"):
        values[:] = [None if value is None else 2 for value in values]
    return result


def replica_label(world, healthy):
    """Two Prometheus servers scrape the same exporter, and their replica label is kept."""
    return world.relabeled(lambda name, labels: [{**labels, "replica": replica} for replica in "xy"])


def labels_not_honored(world, healthy):
    """The target has a label `zone`, so the label of the exporter is renamed."""

    def relabel(name, labels):
        labels = dict(labels)
        if "zone" in labels:
            labels["exported_zone"] = labels["zone"]
        return [{**labels, "zone": "eu-1a"}]

    return world.relabeled(relabel)


TOPOLOGIES = {
    "single": single,
    "other job": other_job,
    "two clusters": two_clusters,
    "HA pair": ha_pair,
    "shards": shards,
    "replica label": replica_label,
    "labels not honored": labels_not_honored,
}


def labels_of(alert, topology):
    """The labels of an alert, parsed from the notation of the scenarios."""
    name, *rest = alert.split()
    labels = {"alertname": NAME + name}
    if topology == "two clusters" and name != "ExporterAbsent":
        labels["cluster"] = "one"
    if name.startswith(("Mapping", "Zone", "Host", "TieredCache", "Rows")) and rest:
        if name in ("ZonesVanished", "ZonesFewer"):
            labels["account"] = rest[0]
        else:
            labels["zone_id"] = rest[0]
            labels["account"] = "legacy" if rest[0].startswith("d") else "default"
            for key, value in zip({"MappingWrong": ["check"]}.get(name, ["state"]), rest[1:]):
                labels[key] = value
    elif rest:
        labels["account"] = rest[0]
    return labels


def expected(alerts, topology, minute, world):
    alerts = list(alerts)
    if topology == "two clusters":
        # The other cluster still has an exporter.
        alerts = [alert for alert in alerts if alert != "ExporterAbsent"]
    found = [labels_of(alert, topology) for alert in alerts]
    named = [values[minute] for (_, pairs), values in world.series.items() if "exported_zone" in dict(pairs)]
    if any(value is not None for value in named):
        found.append({"alertname": NAME + "LabelsNotHonored"})
    return found


def case(name, topology):
    healthy, change = SCENARIOS[name]
    world = healthy.copy()
    checks = change(world)
    world = TOPOLOGIES[topology](world, healthy)
    # The two exporters may use different names for an account; either may be in the alert.
    labels = [label for label in LABELS if label != "account"] if "differently" in name else LABELS
    by = ", ".join(labels)
    return {
        "name": f"{name} ({topology})",
        "interval": "1m",
        "input_series": world.input_series(),
        "promql_expr_test": [
            {
                "expr": f'group by ({by}) (ALERTS{{alertstate="firing"}})',
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {
                        "labels": "{" + ", ".join(f'{k}="{v}"' for k, v in alert.items() if k in labels) + "}",
                        "value": 1,
                    }
                    for alert in expected(alerts, topology, minute, world)
                ],
            }
            for minute, alerts in checks.items()
        ],
    }


def promtool(tests, rules=RULES):
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "tests.yaml"
        content = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}
        file.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, width=10000))
        return run("promtool", "test", "rules", file, timeout=900)


def first_firing():
    """For each alert, the first scenario and minute in which it fires."""
    found = {}
    for name, (healthy, change) in SCENARIOS.items():
        for minute, alerts in change(healthy.copy()).items():
            for alert in alerts:
                found.setdefault(alert.split()[0], (name, minute))
    return found


def texts():
    """The annotations of each alert, as Prometheus expands them."""
    tests = {}
    for alert, (name, minute) in first_firing().items():
        test = tests.setdefault(name, {**case(name, "single"), "promql_expr_test": [], "alert_rule_test": []})
        test["alert_rule_test"].append({"eval_time": f"{minute}m", "alertname": NAME + alert, "exp_alerts": []})
    _, output = promtool(list(tests.values()))
    found = {}
    for labels, annotations in re.findall(r"Labels:\{(.*)\}\s+Annotations:\{(.*)\}", output):
        labels, annotations = pairs(labels), pairs(annotations)
        found.setdefault(labels["alertname"].removeprefix(NAME), annotations)
    return found


def pairs(text):
    """Parses `name="value", name="value"`."""
    return {name: json.loads(f'"{value}"') for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text)}


class AlertsTest(unittest.TestCase):
    maxDiff = None

    def test_each_scenario_fires_what_it_should_in_each_topology(self):
        tests = {
            topology: [case(name, topology) for name in SCENARIOS if topology in ONLY.get(name, TOPOLOGIES)]
            for topology in TOPOLOGIES
        }
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = dict(zip(tests, pool.map(promtool, tests.values())))
        for topology, (code, output) in results.items():
            with self.subTest(topology=topology):
                self.assertEqual(code, 0, output)

    def test_each_alert_fires_in_a_scenario(self):
        rules = read_yaml(RULES)["groups"][0]["rules"]
        names = {rule["alert"].removeprefix(NAME) for rule in rules if "alert" in rule}
        self.assertEqual(names - set(first_firing()), {"LabelsNotHonored"})

    def test_the_descriptions_read_as_they_should(self):
        found = texts()
        self.assertEqual(set(found), set(first_firing()))
        expected = read_yaml(TEXTS)
        for alert, annotations in found.items():
            with self.subTest(alert=alert):
                self.assertEqual(annotations["description"], expected[alert])
                for text in annotations.values():
                    self.assertNotRegex(text, r"error expanding|no value|\{\{|  |undefined|NaN")
                self.assertTrue(annotations["runbook_url"].endswith("#" + (NAME + alert).lower()))

    def test_a_link_leads_to_the_dashboard_of_the_zone_and_cluster(self):
        test = {**case("a_mapping_is_missing_and_put_back", "two clusters"), "promql_expr_test": []}
        test["alert_rule_test"] = [{"eval_time": "21m", "alertname": NAME + "MappingMissing", "exp_alerts": []}]
        _, output = promtool([test])
        self.assertIn(
            "/d/origin-region-zone?from=now-6h&var-job=origin-region-exporter&var-cluster=one&var-zone=example.com",
            output,
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["--write-texts"]:
        descriptions = {alert: annotations["description"] for alert, annotations in sorted(texts().items())}
        TEXTS.write_text("# The description of each alert in the first scenario in which it fires.\n# Generated by test_alerts.py --write-texts. Review the changes.\n" + yaml.safe_dump(descriptions, width=100))
    else:
        unittest.main()
