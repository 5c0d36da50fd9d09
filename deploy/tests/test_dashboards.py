"""Tests queries of the dashboards with promtool, with series whose results are known."""

import json
import pathlib
import tempfile
import unittest

import yaml

from support import DASHBOARDS, run

TARGET = {"job": "origin-region-exporter", "cluster": "one"}
MINUTES = 240
# The lengths of a bar in minutes, and the number of bars in a graph.
INTERVALS = (1, 5, 10)
BARS = 18
VARIABLES = {
    "$job": "origin-region-exporter",
    "$cluster": "one",
    "$account": ".*",
    "$instance": ".*",
    "$zone_id": "c1",
    'zone="$zone"': 'zone="example.com"',
    "$zone": ".*",
}


def steps(*growths):
    """A counter that starts at 0 and grows at these minutes by these amounts."""
    return [sum(by for minute, by in growths if minute <= now) for now in range(MINUTES + 1)]


def panels(name):
    for panel in json.loads((DASHBOARDS / f"{name}.json").read_text())["panels"]:
        yield panel
        yield from panel.get("panels", [])


def counting(name):
    """The queries of graphs that count events per interval."""
    return [
        (panel["title"], target["expr"])
        for panel in panels(name)
        for target in panel.get("targets", [])
        if "$__interval" in target["expr"]
    ]


def annotation(name, title):
    """The query of an annotation."""
    (found,) = [
        entry["expr"]
        for entry in json.loads((DASHBOARDS / f"{name}.json").read_text())["annotations"]["list"]
        if entry["name"] == title
    ]
    return filled(found)


def filled(expression, interval=1):
    for name, value in {"$__interval": f"{interval}m", **VARIABLES}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def promtool(series, expressions):
    """Checks that each expression has these samples at the last minute."""
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": " ".join(map(str, values))} for name, values in series],
        "promql_expr_test": [
            {"expr": expression, "eval_time": f"{MINUTES}m", "exp_samples": samples}
            for expression, samples in expressions
        ],
    }
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "tests.yaml"
        file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [case]}, width=10000))
        return run("promtool", "test", "rules", file)


def sample(value, **labels):
    return {"labels": "{%s}" % ", ".join(f'{name}="{value}"' for name, value in labels.items()), "value": value}


def named(name, **labels):
    pairs = ", ".join(f'{key}="{value}"' for key, value in {**TARGET, **labels}.items())
    return f"cloudflare_origin_region_{name}{{{pairs}}}"


class DashboardsTest(unittest.TestCase):
    def test_the_bars_of_changes_add_up_to_what_changed(self):
        # Changes within the last 18 minutes, the shortest range of the test, and before.
        zones = {
            "c1": {
                "added": [(30, 2), (223, 3), (231, 1), (232, 1), (240, 4)],
                "removed": [(30, 1), (229, 2)],
                "changed": [],
            },
            "c2": {"added": [(228, 5)], "removed": [], "changed": [(233, 7)]},
        }
        series, truth = [], {}
        for zone_id, changes in zones.items():
            account = "default" if zone_id == "c1" else "legacy"
            names = {"zone": "example.com", "zone_id": zone_id}
            for instance in ("a:10955", "b:10955"):
                series.append((named("zone_info", instance=instance, account=account, **names), [1] * (MINUTES + 1)))
                for change, growths in changes.items():
                    name = named("mapping_changes_total", instance=instance, change=change, **names)
                    # The other replica notices each change two minutes later.
                    late = 2 if instance.startswith("b") else 0
                    series.append((name, steps(*[(minute + late, by) for minute, by in growths])))
            for change, growths in changes.items():
                truth[zone_id, change] = growths
        expressions = []
        for name, found in (("overview", ("c1", "c2")), ("zone", ("c1",))):
            ((title, expression),) = [entry for entry in counting(name) if entry[0] == "Changes"]
            for interval in INTERVALS:
                length = interval * BARS
                bars = f"sum_over_time(({filled(expression, interval)})[{length - interval}m:{interval}m])"
                samples = [
                    sample(
                        sum(
                            by
                            for zone_id in found
                            for minute, by in truth[zone_id, change]
                            if MINUTES - length < minute
                        ),
                        change=change,
                    )
                    for change in ("added", "removed", "changed")
                ]
                expressions.append((bars, samples))
        code, output = promtool(series, expressions)
        self.assertEqual(code, 0, output)

    def test_a_restart_costs_no_bar_but_its_own(self):
        counter = steps((100, 5), (200, 2), (225, 3))
        # The counter restarts at 0.
        counter[150:] = [value - counter[150] for value in counter[150:]]
        names = {"zone": "example.com", "zone_id": "c1"}
        series = [
            (named("mapping_changes_total", instance="a:10955", change="added", **names), counter),
            (named("zone_info", instance="a:10955", account="default", **names), [1] * (MINUTES + 1)),
        ]
        expressions = []
        for name in ("overview", "zone"):
            ((_, expression),) = [entry for entry in counting(name) if entry[0] == "Changes"]
            bars = f"sum_over_time(({filled(expression, 10)})[170m:10m])"
            expressions.append((bars, [sample(10, change="added")]))
        code, output = promtool(series, expressions)
        self.assertEqual(code, 0, output)

    def test_beyond_a_number_of_alerts_there_is_one_line_for_each_name(self):
        for name, limit in (("overview", 20), ("zone", 50), ("exporter", 20)):
            ((severity, number, since),) = [
                [filled(target["expr"]) for target in panel["targets"]]
                for panel in panels(name)
                if panel["title"].startswith("Firing alerts")
            ]
            for count in (limit, limit + 1):
                place = {"zone_id": "c1"} if name == "zone" else {}
                alerts = [
                    {
                        **TARGET,
                        **place,
                        "alertname": "OriginRegionTokenInvalid",
                        "severity": "critical",
                        "account": f"account-{at}",
                    }
                    for at in range(count)
                ]
                series = []
                for alert in alerts:
                    labels = ", ".join(f'{key}="{value}"' for key, value in alert.items())
                    series.append((f'ALERTS{{alertstate="firing", {labels}}}', [1] * (MINUTES + 1)))
                    series.append((f"ALERTS_FOR_STATE{{{labels}}}", [7] * (MINUTES + 1)))
                shown = ("severity", "alertname", "cluster")
                lines = [{key: alert[key] for key in (*shown, "account")} for alert in alerts]
                if count > limit:
                    lines = [{key: alerts[0][key] for key in shown}]
                expressions = [
                    (severity, [sample(1, **line) for line in lines]),
                    (number, [sample(count / len(lines), **line) for line in lines]),
                    (since, [sample(7000, **line) for line in lines]),
                ]
                with self.subTest(dashboard=name, alerts=count):
                    code, output = promtool(series, expressions)
                    self.assertEqual(code, 0, output)

    def test_restarts_reloads_and_alerts_are_marked_when_they_began(self):
        instance = {"instance": "a:10955"}
        started, loaded, began = 1000, 2000, 3000
        series = [
            (f'process_start_time_seconds{{job="{TARGET["job"]}", cluster="one", instance="a:10955"}}', started),
            # Another program with the same job.
            (f'process_start_time_seconds{{job="{TARGET["job"]}", cluster="one", instance="other:1"}}', started),
            (named("exporter_build_info", **instance), 1),
            (named("zone_info", zone="example.com", zone_id="c1", **instance), 1),
            (named("exporter_config_last_reload_success_timestamp_seconds", **instance), loaded),
        ]
        for account in ("one", "two"):
            labels = {**TARGET, "alertname": "OriginRegionTokenInvalid", "account": account, "zone_id": "c1"}
            shown = ", ".join(f'{key}="{value}"' for key, value in labels.items())
            series.append((f"ALERTS_FOR_STATE{{{shown}}}", began if account == "one" else began + 60))
        series = [(name, [value] * (MINUTES + 1)) for name, value in series]
        restarts = [sample(1000 * started, **TARGET, **instance)]
        alerts = [sample(1000 * began, alertname="OriginRegionTokenInvalid")]
        expressions = []
        for name in ("overview", "zone", "exporter"):
            expressions.append((annotation(name, "Restarts"), restarts))
            expressions.append((annotation(name, "Alerts"), alerts))
        for name in ("overview", "exporter"):
            reloads = [sample(1000 * loaded, **TARGET, **instance)]
            expressions.append((annotation(name, "Reloads"), reloads))
        code, output = promtool(series, expressions)
        self.assertEqual(code, 0, output)

    def test_each_change_is_marked_once(self):
        names = {"change": "removed", "zone": "example.com", "zone_id": "c1"}
        # Two replicas with the same changes.
        series = [
            (named("mapping_changes_total", instance=instance, **names), steps((200, 2), (230, 1)))
            for instance in ("a:10955", "b:10955")
        ]
        marks = annotation("zone", "Changes")
        expressions = [
            (f"count_over_time(({marks})[60m:1m])", [sample(2, change="removed")]),
            (f"sum_over_time(({marks})[60m:1m])", [sample(3, change="removed")]),
            (marks, []),
        ]
        code, output = promtool(series, expressions)
        self.assertEqual(code, 0, output)

    def test_what_is_counted_in_intervals_is_drawn_as_bars(self):
        for name in ("overview", "zone", "exporter"):
            for panel in panels(name):
                if any("$__interval" in target["expr"] for target in panel.get("targets", [])):
                    with self.subTest(panel=f"{name}: {panel['title']}"):
                        self.assertIn('"bars"', json.dumps(panel["fieldConfig"]))
                        # A shorter interval might contain no scrape.
                        self.assertEqual(panel["interval"], "1m")


if __name__ == "__main__":
    unittest.main()
