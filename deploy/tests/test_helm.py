"""Tests the Helm chart: lints it, renders it with each values file, and checks the result with the
Kubernetes schemas, the `check` command of the exporter, and the files that the chart links to."""

import base64
import functools
import json
import os
import pathlib
import re
import sys
import tarfile
import tempfile
import unittest

import helm_python as helm
import kubernetes_validate
import yaml

from support import (
    DASHBOARDS,
    DEPLOY,
    NAME,
    RULES,
    assert_succeeds,
    assert_takes_arguments,
    binary,
    read_yaml,
    version,
)

CHART = DEPLOY / "helm" / NAME
VALUES = sorted((DEPLOY / "helm" / "tests").glob("values-*.yaml"))
# The oldest version that the chart allows and that has schemas, and the newest.
KUBERNETES = ("1.25.0", kubernetes_validate.latest_version())
# Kinds of the Prometheus Operator and the Gateway API, which have no schemas here.
OPERATOR_KINDS = {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}
LINT_WARNING = 2


# The chart as installed: packaged, with files instead of links.
PACKAGED = tempfile.TemporaryDirectory()


def setUpModule():
    unittest.addModuleCleanup(PACKAGED.cleanup)
    helm.package(CHART, destination=PACKAGED.name)


def package():
    (archive,) = pathlib.Path(PACKAGED.name).iterdir()
    return archive


def render(values):
    """The objects of a release with these values, including the test pod."""
    with helm.Chart.load(package()) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name="demo", namespace="edge")
    return [
        document
        for path, text in files.items()
        if not path.endswith("NOTES.txt")
        for document in yaml.safe_load_all(text)
        if document
    ]


def values_of(path):
    """The values as Helm parses them."""
    return helm.values_from_yaml(pathlib.Path(path).read_text())


def of_kind(objects, *kinds):
    return [an_object for an_object in objects if an_object["kind"] in kinds]


def only(objects, *kinds):
    (found,) = of_kind(objects, *kinds)
    return found


def workload(objects):
    return only(objects, "Deployment", "StatefulSet")


def pod_specs(objects):
    return [workload(objects)["spec"]["template"]["spec"], only(objects, "Pod")["spec"]]


def selects(selector, labels):
    return selector.items() <= labels.items()


def for_each_release(test):
    """Runs a test with the objects of each values file."""

    @functools.wraps(test)
    def run(self):
        for path in VALUES:
            with self.subTest(values=path.name):
                test(self, render(values_of(path)))

    return run


class EveryValuesFileTest(unittest.TestCase):
    """Checks for every values file."""

    def test_the_linter_finds_no_fault(self):
        for path in VALUES:
            with self.subTest(values=path.name):
                report = helm.lint(package(), values_of(path), strict=True)
                faults = [m for m in report["messages"] if m["severity"] >= LINT_WARNING]
                self.assertEqual((faults, report["errors"]), ([], []))

    @for_each_release
    def test_kubernetes_knows_every_field(self, objects):
        for an_object in objects:
            if an_object["kind"] not in OPERATOR_KINDS:
                for release in KUBERNETES:
                    kubernetes_validate.validate(an_object, release, strict=True)

    @for_each_release
    def test_pods_have_no_privileges(self, objects):
        for spec in pod_specs(objects):
            self.assertFalse(spec["automountServiceAccountToken"])
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            container = spec["containers"][0]
            context = container["securityContext"]
            self.assertFalse(context["allowPrivilegeEscalation"])
            self.assertTrue(context["readOnlyRootFilesystem"])
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
            self.assertIn("memory", container["resources"]["limits"])

    @for_each_release
    def test_probes_ask_what_needs_no_password(self, objects):
        container = workload(objects)["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/-/healthy")
        self.assertEqual(container["readinessProbe"]["httpGet"]["path"], "/-/ready")

    @for_each_release
    def test_the_exporter_knows_the_arguments(self, objects):
        for spec in pod_specs(objects):
            assert_takes_arguments(self, spec["containers"][0]["args"])

    @for_each_release
    def test_the_exporter_takes_its_configuration(self, objects):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "config.yaml"
            (text,) = [o["data"]["config.yaml"] for o in of_kind(objects, "ConfigMap") if "config.yaml" in o["data"]]
            # `check` also reads the mounted secrets, so create placeholders.
            for secret in re.findall(r"/run/secrets/\S+", text):
                copy = pathlib.Path(f"{directory}{secret}")
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text("placeholder\n")
            file.write_text(text.replace("/run/secrets/", f"{directory}/run/secrets/"))
            environment = {**os.environ, "CLOUDFLARE_API_TOKEN": "placeholder"}
            assert_succeeds(self, binary(), "check", f"--config.file={file}", env=environment)

    @for_each_release
    def test_all_that_is_mounted_is_a_volume(self, objects):
        for spec in pod_specs(objects):
            volumes = {volume["name"] for volume in spec["volumes"]}
            if spec is workload(objects)["spec"]["template"]["spec"]:
                volumes |= {claim["metadata"]["name"] for claim in workload(objects)["spec"].get("volumeClaimTemplates", [])}
            mounts = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
            self.assertEqual(volumes, mounts)

    @for_each_release
    def test_selectors_meet_the_pods_and_not_the_test(self, objects):
        pod = workload(objects)["spec"]["template"]["metadata"]["labels"]
        test = only(objects, "Pod")["metadata"]["labels"]
        selectors = [workload(objects)["spec"]["selector"]["matchLabels"]]
        selectors += [service["spec"]["selector"] for service in of_kind(objects, "Service")]
        for policy in of_kind(objects, "NetworkPolicy"):
            selectors.append(policy["spec"]["podSelector"]["matchLabels"])
        for budget in of_kind(objects, "PodDisruptionBudget"):
            selectors.append(budget["spec"]["selector"]["matchLabels"])
        for selector in selectors:
            self.assertTrue(selects(selector, pod))
            self.assertFalse(selects(selector, test))

    @for_each_release
    def test_the_service_monitor_finds_the_service_and_honours_labels(self, objects):
        service, *headless = of_kind(objects, "Service")
        for monitor in of_kind(objects, "ServiceMonitor"):
            selector = monitor["spec"]["selector"]["matchLabels"]
            self.assertTrue(selects(selector, service["metadata"]["labels"]))
            # Each pod is scraped once.
            (expression,) = monitor["spec"]["selector"]["matchExpressions"]
            self.assertEqual(expression["operator"], "NotIn")
            self.assertNotIn(expression["key"], service["metadata"]["labels"])
            for other in headless:
                self.assertIn(other["metadata"]["labels"][expression["key"]], expression["values"])
            namespace = service["metadata"]["namespace"]
            self.assertEqual(monitor["spec"]["namespaceSelector"], {"matchNames": [namespace]})
            (endpoint,) = monitor["spec"]["endpoints"]
            self.assertTrue(endpoint["honorLabels"])
            self.assertEqual(endpoint["port"], service["spec"]["ports"][0]["name"])


class OptionsTest(unittest.TestCase):
    """The effects of single values."""

    def test_by_default_nothing_needs_the_operator_or_grafana(self):
        kinds = sorted(an_object["kind"] for an_object in render({}))
        self.assertEqual(
            kinds, ["ConfigMap", "Deployment", "Pod", "Service", "ServiceAccount"]
        )

    def test_the_default_is_the_version_of_the_package(self):
        chart = read_yaml(CHART / "Chart.yaml")
        self.assertEqual((chart["version"], chart["appVersion"]), (version(), version()))
        image = workload(render({}))["spec"]["template"]["spec"]["containers"][0]["image"]
        self.assertTrue(image.endswith(f":{version()}"), image)

    def test_the_token_file_is_in_the_secret(self):
        for credentials, secret in (
            ({"existingSecret": "mine", "key": "token"}, "mine"),
            ({"apiToken": "placeholder", "key": "token"}, f"demo-{NAME}-credentials"),
        ):
            objects = render({"credentials": credentials})
            for spec in pod_specs(objects):
                (volume,) = [v for v in spec["volumes"] if v["name"] == "credentials"]
                self.assertEqual(volume["secret"]["secretName"], secret)
                (container,) = spec["containers"]
                (mount,) = [m for m in container["volumeMounts"] if m["name"] == "credentials"]
                self.assertIn(
                    {"name": "CLOUDFLARE_API_TOKEN_FILE", "value": f"{mount['mountPath']}/token"},
                    container["env"],
                )

    def test_a_token_is_in_the_secret_and_nowhere_else(self):
        objects = render({"credentials": {"apiToken": "placeholder-of-a-token"}})
        secret = only(objects, "Secret")
        encoded = base64.b64encode(b"placeholder-of-a-token").decode()
        self.assertEqual(secret["data"], {"api-token": encoded})
        objects.remove(secret)
        for spelling in ("placeholder-of-a-token", encoded):
            self.assertNotIn(spelling, json.dumps(objects))

    def test_shards_are_a_stateful_set_that_starts_at_once(self):
        objects = render({"shards": 4})
        stateful_set = only(objects, "StatefulSet")
        self.assertEqual(of_kind(objects, "Deployment"), [])
        self.assertEqual(stateful_set["spec"]["replicas"], 4)
        self.assertEqual(stateful_set["spec"]["podManagementPolicy"], "Parallel")
        arguments = stateful_set["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertIn("--shard=auto", arguments)
        self.assertIn("--total-shards=4", arguments)
        service, headless = of_kind(objects, "Service")
        self.assertNotIn("clusterIP", service["spec"])
        self.assertEqual(headless["spec"]["clusterIP"], "None")
        self.assertEqual(stateful_set["spec"]["serviceName"], headless["metadata"]["name"])

    def test_a_changed_configuration_replaces_the_pods(self):
        def checksum(values):
            return workload(render(values))["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

        self.assertEqual(checksum({}), checksum({"replicas": 3}))
        self.assertNotEqual(checksum({}), checksum({"config": {"poll": {"interval": "1m"}}}))

    def test_tls_reaches_probes_and_scrapes(self):
        objects = render(
            {"web": {"existingSecret": "web", "tls": True}, "serviceMonitor": {"enabled": True}}
        )
        (container,) = workload(objects)["spec"]["template"]["spec"]["containers"]
        for probe in ("livenessProbe", "readinessProbe"):
            self.assertEqual(container[probe]["httpGet"]["scheme"], "HTTPS")
        self.assertEqual(only(objects, "ServiceMonitor")["spec"]["endpoints"][0]["scheme"], "https")
        (mount,) = [m for m in container["volumeMounts"] if m["name"] == "web"]
        self.assertIn(f"--web.config.file={mount['mountPath']}/web.yaml", container["args"])

    def test_long_names_leave_room_for_what_is_added(self):
        with helm.Chart.load(package()) as chart:
            text = chart.render({"shards": 2}, name="a" * 53)[f"{NAME}/templates/workload.yaml"]
        self.assertLessEqual(len(yaml.safe_load(text)["metadata"]["name"]), 52)

    def test_what_cannot_be_meant_is_refused(self):
        for values in (
            {"sharts": 2},
            {"shards": 0},
            {"shards": 2, "replicas": 2},
            {"storage": {"path": "relative"}},
            {"ingress": {"enabled": True}},
            {"prometheusRule": {"enabled": True, "disabled": ["OriginRegionUnheardOf"]}},
            {"config": {"accounts": [{"name": "a", "api_token": "placeholder"}]}},
            {"config": {"accounts": [{"name": "a", "email": "a@b", "api_key": "placeholder"}]}},
            {"log": {"level": "verbose"}},
            {"serviceMonitor": {"interval": 30}},
            {"extraArgs": ["demo"]},
        ):
            with self.subTest(values=values), self.assertRaises(helm.HelmError):
                render(values)


    def test_the_registry_and_secrets_of_a_parent_chart_are_used(self):
        values = {
            "global": {"imageRegistry": "mirror.example.com", "imagePullSecrets": ["a", {"name": "b"}]},
            "imagePullSecrets": [{"name": "b"}, "c"],
        }
        for spec in pod_specs(render(values)):
            image = spec["containers"][0]["image"]
            self.assertTrue(image.startswith(f"mirror.example.com/{NAME}/{NAME}:"), image)
            self.assertEqual(spec["imagePullSecrets"], [{"name": name} for name in "abc"])

    def test_without_a_secret_nothing_of_it_is_mounted(self):
        for credentials, file in (({"existingSecret": ""}, None), ({"existingSecret": "", "tokenFile": "/vault/token"}, "/vault/token")):
            for spec in pod_specs(render({"credentials": credentials})):
                self.assertNotIn("credentials", [volume["name"] for volume in spec["volumes"]])
                environment = {e["name"]: e["value"] for e in spec["containers"][0].get("env", [])}
                self.assertEqual(environment.get("CLOUDFLARE_API_TOKEN_FILE"), file)

    def test_storage_is_a_folder_of_each_pod(self):
        for values, kind in (({}, "emptyDir"), ({"storage": {"persistence": {"enabled": True}}}, "claim"), ({"storage": {"enabled": False}}, None)):
            found = workload(render(values))
            spec = found["spec"]["template"]["spec"]
            volumes = {volume["name"]: volume for volume in spec["volumes"]}
            claims = [claim["metadata"]["name"] for claim in found["spec"].get("volumeClaimTemplates", [])]
            arguments = [a for a in spec["containers"][0]["args"] if a.startswith("--storage.path=")]
            self.assertEqual("emptyDir" in volumes.get("storage", {}), kind == "emptyDir")
            self.assertEqual(claims, ["storage"] if kind == "claim" else [])
            self.assertEqual(found["kind"], "StatefulSet" if kind == "claim" else "Deployment")
            self.assertEqual(len(arguments), 0 if kind is None else 1)
            (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "storage"] or [None]
            if kind:
                self.assertTrue(arguments[0].startswith(f"--storage.path={mount['mountPath']}/"))

    def test_several_pods_prefer_different_nodes(self):
        for values, several in (({}, False), ({"replicas": 2}, True), ({"shards": 2}, True)):
            self.assertEqual("affinity" in workload(render(values))["spec"]["template"]["spec"], several)

    def test_alerts_are_disabled_replaced_and_relabeled(self):
        objects = render(values_of(CHART.parent / "tests" / "values-rules.yaml"))
        specification = only(objects, "PrometheusRule")["spec"]
        shipped, mine = specification["groups"]
        alerts = {rule["alert"]: rule for rule in shipped["rules"] if "alert" in rule}
        self.assertNotIn("OriginRegionMappingStale", alerts)
        self.assertEqual(len(shipped["rules"]), len(read_yaml(RULES)["groups"][0]["rules"]) - 2)
        missing = alerts["OriginRegionMappingMissing"]
        self.assertEqual(missing["for"], "1h")
        self.assertEqual(missing["labels"], {"severity": "critical", "team": "edge"})
        self.assertEqual(
            missing["annotations"]["runbook_url"], "https://wiki.example.com/origin-region/originregionmappingmissing"
        )
        self.assertTrue(missing["annotations"]["dashboard_url"].startswith("https://grafana.example.com/d/"))
        self.assertEqual(mine["name"], "mine")
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(specification, file)
            file.flush()
            assert_succeeds(self, "promtool", "check", "rules", file.name)

    def test_the_readme_has_every_value(self):
        sys.path.insert(0, str(CHART.parent))
        import readme

        self.assertEqual((CHART / "README.md").read_text(), readme.text(), "run scripts/render-chart-readme")


class UpgradeTest(unittest.TestCase):
    """No upgrade between any two values files changes immutable fields."""

    # The mutable fields of a StatefulSet.
    CHANGEABLE = {"replicas", "template", "updateStrategy", "minReadySeconds", "persistentVolumeClaimRetentionPolicy"}

    def fixed(self, an_object):
        spec = an_object.get("spec", {})
        if an_object["kind"] == "StatefulSet":
            return {key: value for key, value in spec.items() if key not in self.CHANGEABLE}
        if an_object["kind"] == "Deployment":
            return spec["selector"]
        if an_object["kind"] == "Service":
            return spec.get("clusterIP")
        return an_object.get("type")

    def test_every_file_can_follow_every_other(self):
        releases = {path.name: render(values_of(path)) for path in VALUES}
        self.assertGreaterEqual(len(releases), 20)
        for before, olds in releases.items():
            for after, news in releases.items():
                found = {key(an_object): an_object for an_object in news}
                for old in olds:
                    if new := found.get(key(old)):
                        self.assertEqual(self.fixed(old), self.fixed(new), f"{before} to {after}: {key(old)}")

    def test_one_shard_becomes_two(self):
        olds, news = ({key(o): self.fixed(o) for o in render({"shards": shards})} for shards in (1, 2))
        kept = olds.keys() & news.keys()
        self.assertIn(("Service", "edge", f"demo-{NAME}"), kept)
        self.assertEqual({k: olds[k] for k in kept}, {k: news[k] for k in kept})


def key(an_object):
    metadata = an_object["metadata"]
    return an_object["kind"], metadata.get("namespace"), metadata["name"]


class OneSourceTest(unittest.TestCase):
    """Rules and dashboards are exactly those of this repository."""

    def setUp(self):
        self.objects = render({"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}})

    def test_the_chart_holds_links_and_no_copies(self):
        self.assertEqual((CHART / "files" / "rules.yaml").resolve(), RULES)
        self.assertEqual((CHART / "files" / "dashboards").resolve(), DASHBOARDS)
        for entry in (CHART / "files").iterdir():
            self.assertTrue(entry.is_symlink(), entry)

    def test_the_rules_are_the_shipped_ones(self):
        specification = only(self.objects, "PrometheusRule")["spec"]
        shipped = read_yaml(RULES)
        for rule in shipped["groups"][0]["rules"]:
            # The chart adds the links only if the address of Grafana is set.
            rule.get("annotations", {}).pop("dashboard_url", None)
        self.assertEqual(specification, shipped)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(specification, file)
            file.flush()
            assert_succeeds(self, "promtool", "check", "rules", file.name)

    def test_the_dashboards_are_the_shipped_ones(self):
        expected = {
            f"origin-region-{path.name}": json.loads(path.read_text())
            for path in DASHBOARDS.glob("*.json")
        }
        found = {
            key: json.loads(text)
            for config_map in of_kind(self.objects, "ConfigMap")
            if "grafana_dashboard" in config_map["metadata"]["labels"]
            for key, text in config_map["data"].items()
        }
        self.assertEqual(found, expected)

    def test_a_packaged_chart_holds_the_files_themselves(self):
        with tarfile.open(package()) as archive:
            files = {
                member.name.removeprefix(f"{NAME}/files/"): archive.extractfile(member).read()
                for member in archive.getmembers()
                if "/files/" in member.name
            }
        expected = {f"dashboards/{path.name}": path.read_bytes() for path in DASHBOARDS.glob("*.json")}
        self.assertEqual(files, {"rules.yaml": RULES.read_bytes(), **expected})


if __name__ == "__main__":
    unittest.main()
