"""Writes the README of the chart from the comments of its values."""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parent / "cloudflare-origin-region-exporter"
README = CHART / "README.md"
# Values that are shown whole: their keys are Kubernetes' own.
WHOLE = {"resources", "podSecurityContext", "securityContext", "livenessProbe", "readinessProbe", "startupProbe", "strategy",
         "updateStrategy", "storage.emptyDir", "networkPolicy.egress", "dashboards.labels"}

INTRODUCTION = """\
# {name}

{description}.

```sh
helm install origin-region deploy/helm/{name} --namespace origin-region --create-namespace
```

Needs Kubernetes {kube}. How to install it step by step, with the token, Prometheus and Grafana: [Installation](../../../docs/installation.md#helm). [`../tests`](../tests) has a values file for each situation.

- **Credentials** come from a Secret, or, with `credentials.existingSecret: ""`, from a file of an injector or a CSI volume (`credentials.tokenFile`) or from the environment (`extraEnvFrom`).
- **Storage** is an `emptyDir` by default: it outlasts a crash of the container, so that a crash loop does not spend the API budget again. With `storage.persistence.enabled` each pod has a claim of its own.
- **Shards** and persistence use a StatefulSet, with a headless Service of its own. Going from one to several shards, or back, replaces the Deployment and keeps the Service.

## Values

| value | default | meaning |
| --- | --- | --- |
"""


def rows(node, lines, prefix=""):
    """Each value with its default and the comment above it."""
    found = []
    for name, value in node.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and path not in WHOLE:
            found += rows(value, lines, f"{path}.")
        else:
            found.append((path, json.dumps(value), lines.get(path, "")))
    return found


def comments(text):
    """The comment above each key, by the key's path."""
    found, path, comment = {}, [], []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
        elif match := re.match(r"( *)([A-Za-z]+):", line):
            depth = len(match[1]) // 2
            path = path[:depth] + [match[2]]
            if comment:
                found[".".join(path)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def text():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = (CHART / "values.yaml").read_text()
    lines = comments(values)
    introduction = INTRODUCTION.format(name=chart["name"], description=chart["description"], kube=chart["kubeVersion"].replace(">=", "").replace("-0", "") + " or newer")
    table = []
    for path, default, meaning in rows(yaml.safe_load(values), lines):
        parent = path.rpartition(".")[0]
        first = parent and next(p for p, _, _ in rows(yaml.safe_load(values), {}) if p.startswith(f"{parent}.")) == path
        if first and lines.get(parent):
            meaning = f"{lines[parent]} {meaning}".strip()
        table.append(f"| `{path}` | `{default}` | {meaning.replace('|', '&#124;')} |")
    return introduction + "\n".join(table) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if README.read_text() == text() else "the README of the chart is not what its values say")
    README.write_text(text())
