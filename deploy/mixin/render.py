"""Writes the rules, inhibition rules and dashboards that the mixin gives, as plain files."""

import argparse
import json
import pathlib
import sys
import textwrap

import _jsonnet

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIXIN = ROOT / "deploy" / "mixin" / "mixin.libsonnet"
RULES = "deploy/prometheus/rules.yaml"
INHIBITIONS = "deploy/prometheus/inhibit_rules.yaml"
WIDTH = 100

GENERATED = "# Written by scripts/render-mixin from deploy/mixin; change it there."

RULES_HEADER = f"""\
# Recording rules and alerts for cloudflare-origin-region-exporter.
#
# Needs Prometheus 2.42 or newer (`keep_firing_for`), and a scrape configuration with
# `honor_labels: true`, as in prometheus.yaml beside this file.
#
{GENERATED}
"""

INHIBITIONS_HEADER = f"""\
# Inhibition rules for Alertmanager: which alert of rules.yaml makes which others superfluous. Copy
# them into your configuration. Needs Alertmanager 0.22 or newer.
#
{GENERATED}
"""


def evaluate(config="{}"):
    """What the mixin gives with these settings, a jsonnet object."""
    shown = (
        "{ alerts: m.prometheusAlerts, rules: m.prometheusRules, dashboards: m.grafanaDashboards,"
        " inhibitions: m.alertmanagerInhibitRules, config: m._config }"
    )
    snippet = f"local m = (import {json.dumps(str(MIXIN))}) + {{ _config+:: {config} }}; {shown}"
    return json.loads(_jsonnet.evaluate_snippet("render", snippet))


def literal(key, text, indent):
    """A string that keeps its line breaks."""
    if "\n" not in text and len(text) + len(key) + indent < WIDTH and plain(text):
        return [f"{' ' * indent}{key}: {text}"]
    return [f"{' ' * indent}{key}: |"] + [f"{' ' * (indent + 2)}{line}" for line in text.split("\n")]


def folded(key, text, indent):
    """A string that is broken between words."""
    if len(text) + len(key) + indent < WIDTH and plain(text):
        return [f"{' ' * indent}{key}: {text}"]
    lines = textwrap.wrap(text, WIDTH - indent - 2, break_long_words=False, break_on_hyphens=False)
    if " ".join(lines) != text:
        raise ValueError(f"spaces would change in {text!r}")
    return [f"{' ' * indent}{key}: >-"] + [f"{' ' * (indent + 2)}{line}" for line in lines]


def plain(text):
    """Whether YAML takes the text as it is, without quotes."""
    return not any(part in text for part in (": ", " #", "{{")) and text[0] not in "\"'&*!|>%@`{[-?"


def rules_file(mixin):
    lines = [RULES_HEADER + "groups:"]
    for group in mixin["alerts"]["groups"]:
        lines += [f"  - name: {group['name']}", "    rules:"]
        for rule in group["rules"]:
            name = "record" if "record" in rule else "alert"
            lines.append(f"      - {name}: {rule[name]}")
            lines += literal("expr", rule["expr"], 8)
            for key in ("for", "keep_firing_for"):
                if key in rule:
                    lines.append(f"        {key}: {rule[key]}")
            for key in ("labels", "annotations"):
                if key in rule:
                    lines.append(f"        {key}:")
                    for label in rule[key]:
                        lines += folded(label, rule[key][label], 10)
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def inhibitions_file(mixin):
    lines = [INHIBITIONS_HEADER + "inhibit_rules:"]
    for rule in mixin["inhibitions"]:
        lines.append(f"  - source_matchers: [{', '.join(map(quoted, rule['source_matchers']))}]")
        lines.append(f"    target_matchers: [{', '.join(map(quoted, rule['target_matchers']))}]")
        lines.append(f"    equal: [{', '.join(rule['equal'])}]")
    return "\n".join(lines) + "\n"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def ordered(mixin):
    """Puts keys into the order in which people read them."""
    order = ["severity", "summary", "description", "dashboard_url", "runbook_url"]
    for group in mixin["alerts"]["groups"]:
        for rule in group["rules"]:
            for key in ("labels", "annotations"):
                if key in rule:
                    rule[key] = dict(
                        sorted(rule[key].items(), key=lambda item: order.index(item[0]) if item[0] in order else 99)
                    )
    return mixin


def files():
    """The contents of each file, by its path."""
    mixin = ordered(evaluate())
    found = {RULES: rules_file(mixin), INHIBITIONS: inhibitions_file(mixin)}
    for name, dashboard in mixin["dashboards"].items():
        path = f"dashboards/{name.removeprefix('origin-region-')}"
        found[path] = json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    arguments = parser.parse_args()
    differing = []
    for path, contents in files().items():
        file = ROOT / path
        if not file.exists() or file.read_text() != contents:
            differing.append(path)
            if not arguments.check:
                file.write_text(contents)
    for path in differing:
        print(f"{'differs from the mixin' if arguments.check else 'written'}: {path}")
    return 1 if arguments.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
