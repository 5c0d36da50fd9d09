"""What graphs of the dashboards say, judged by promtool against series whose truth is known."""

import json
import pathlib
import tempfile
import unittest

import yaml

from support import DASHBOARDS, run

TARGET = {"job": "origin-region-exporter", "cluster": "one"}
MINUTES = 240
# The length of a bar in minutes, and the bars that a graph has.
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
    """A counter from 0 that grows by so much at these minutes."""
    return [sum(by for minute, by in growths if minute <= now) for now in range(MINUTES + 1)]


def panels(name):
    for panel in json.loads((DASHBOARDS / f"{name}.json").read_text())["panels"]:
        yield panel
        yield from panel.get("panels", [])


def counting(name):
    """The queries of graphs that count what happened in each of their intervals."""
    return [
        (panel["title"], target["expr"])
        for panel in panels(name)
        for target in panel.get("targets", [])
        if "$__interval" in target["expr"]
    ]


def filled(expression, interval):
    for name, value in {"$__interval": f"{interval}m", **VARIABLES}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def promtool(series, expressions):
    """Whether each expression has these samples at the end."""
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
        # Within the last 18 minutes, the shortest range that is asked for.
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
                    # The other replica notices each change two minutes later, and never before.
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
        # Counters begin anew.
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

    def test_what_is_counted_in_intervals_is_drawn_as_bars(self):
        for name in ("overview", "zone", "exporter"):
            for panel in panels(name):
                if any("$__interval" in target["expr"] for target in panel.get("targets", [])):
                    with self.subTest(panel=f"{name}: {panel['title']}"):
                        self.assertIn('"bars"', json.dumps(panel["fieldConfig"]))
                        # A shorter one may hold no scrape.
                        self.assertEqual(panel["interval"], "1m")


if __name__ == "__main__":
    unittest.main()
