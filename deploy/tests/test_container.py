"""Tests the image and the Compose file, as far as possible without a container engine."""

import pathlib
import re
import shutil
import tempfile
import unittest

import yaml

from support import (
    DEPLOY,
    RULES,
    ROOT,
    assert_succeeds,
    assert_takes_arguments,
    read_yaml,
    run_in_environment,
    version,
)

DOCKERFILE = DEPLOY / "Dockerfile"
COMPOSE = DEPLOY / "compose.yaml"
STORAGE = "/var/lib/cloudflare-origin-region-exporter"


class ImageTest(unittest.TestCase):
    def test_the_linter_finds_no_fault(self):
        code, output = run_in_environment("hadolint", DOCKERFILE)
        self.assertEqual((code, output), (0, ""))

    def test_the_image_bears_the_version_of_the_package(self):
        self.assertIn(f'image.version="{version()}"', DOCKERFILE.read_text())

    def test_what_runs_is_not_root_and_has_no_shell(self):
        stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)
        final = stages[-1]
        self.assertTrue(final.startswith("scratch\n"))
        self.assertRegex(final, r"(?m)^USER 65532:65532$")
        self.assertNotRegex(final, r"(?m)^RUN ")
        self.assertRegex(final, r'(?m)^ENTRYPOINT \["')

    def test_the_image_of_a_release_is_the_same(self):
        def settings(dockerfile):
            final = re.split(r"^FROM ", dockerfile.read_text(), flags=re.MULTILINE)[-1]
            # Release binaries use musl, which ignores this glibc setting.
            skipped = ("#", "COPY", "ARG TARGETARCH", "ENV MALLOC_")
            return [line for line in final.splitlines() if not line.startswith(skipped)]

        self.assertEqual(settings(DOCKERFILE), settings(DEPLOY / "Dockerfile.release"))
        self.assertNotIn("MALLOC_", (DEPLOY / "Dockerfile.release").read_text())
        code, output = run_in_environment("hadolint", DEPLOY / "Dockerfile.release")
        self.assertEqual((code, output), (0, ""))

    def test_a_release_pushes_the_image_that_its_chart_asks_for(self):
        workflow = read_yaml(ROOT / ".github/workflows/release.yml")
        steps = workflow["jobs"]["image"]["steps"]
        push = next(step for step in steps if step.get("id") == "push")
        pushed = push["with"]["tags"].splitlines()
        outputs = "${{ steps.version.outputs.version }}"
        command = next(step["run"] for step in steps if step.get("id") == "version")
        command = f"GITHUB_REF_NAME=v{version()} GITHUB_OUTPUT=/dev/stdout; {command}"
        output = assert_succeeds(self, "bash", "-c", command).strip().removeprefix("version=")
        tags = [tag.replace(outputs, output).rsplit(":", 1)[1] for tag in pushed]
        chart = read_yaml(DEPLOY / "helm" / "cloudflare-origin-region-exporter" / "Chart.yaml")
        self.assertEqual(tags, [str(chart["appVersion"]), "latest"])

    def test_the_build_gets_all_that_cargo_asks_for(self):
        allowed = [
            line.removeprefix("!")
            for line in (ROOT / ".dockerignore").read_text().splitlines()
            if line.startswith("!")
        ]
        with tempfile.TemporaryDirectory() as directory:
            for name in allowed:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, pathlib.Path(directory) / name)
                elif (ROOT / name).exists():
                    shutil.copy(ROOT / name, directory)
            # Reading the manifest fails if a target is missing.
            assert_succeeds(
                self, "cargo", "metadata", "--no-deps", "--offline", "--format-version=1", cwd=directory
            )


class ComposeTest(unittest.TestCase):
    def setUp(self):
        self.compose = read_yaml(COMPOSE)
        self.services = self.compose["services"]

    def test_compose_can_read_it(self):
        # The docker-compose of Debian does not know project names yet.
        self.compose.pop("name")
        assert_succeeds(
            self,
            *("docker-compose", "--file", "-", "--project-directory", DEPLOY, "config", "--quiet"),
            input=yaml.safe_dump(self.compose),
        )

    def test_every_file_that_is_mounted_is_there(self):
        for service in self.services.values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((DEPLOY / source).exists(), volume)
                else:
                    self.assertIn(source, self.compose["volumes"])

    def test_images_are_pinned_to_a_release(self):
        for name, service in self.services.items():
            if "build" not in service:
                self.assertRegex(service["image"], r"^docker\.io/[^:]+:v?\d+\.\d+\.\d+$", name)

    def test_nothing_is_open_to_other_hosts(self):
        for service in self.services.values():
            for port in service["ports"]:
                self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_the_storage_is_a_volume(self):
        self.assertEqual(self.services["exporter"]["volumes"], [f"exporter-data:{STORAGE}"])
        text = DOCKERFILE.read_text()
        self.assertIn(f"VOLUME {STORAGE}\n", text)
        self.assertIn(f"ENV ORIGIN_REGION_EXPORTER_STORAGE_PATH={STORAGE}\n", text)

    def test_the_exporter_knows_the_command(self):
        assert_takes_arguments(self, self.services["exporter"]["command"])
        build = self.services["exporter"]["build"]
        context = (DEPLOY / build["context"]).resolve()
        self.assertEqual(context / build["dockerfile"], DOCKERFILE)

    def test_prometheus_scrapes_and_alerts_by_the_names_of_the_services(self):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(DEPLOY / "compose" / "prometheus.yaml", directory)
            shutil.copy(RULES, directory)
            assert_succeeds(self, "promtool", "check", "config", f"{directory}/prometheus.yaml")
        configuration = read_yaml(DEPLOY / "compose" / "prometheus.yaml")
        for scrape in configuration["scrape_configs"]:
            self.assertTrue(scrape["honor_labels"])
        targets = [
            target
            for section in configuration["scrape_configs"] + configuration["alerting"]["alertmanagers"]
            for targets in section["static_configs"]
            for target in targets["targets"]
        ]
        self.assertEqual({target.split(":")[0] for target in targets}, {"exporter", "alertmanager"})

    def test_alertmanager_takes_its_configuration(self):
        assert_succeeds(self, "amtool", "check-config", DEPLOY / "compose" / "alertmanager.yaml")

    def test_grafana_is_given_its_data_source_and_dashboards(self):
        (source,) = read_yaml(DEPLOY / "compose" / "grafana" / "datasources.yaml")["datasources"]
        self.assertEqual((source["type"], source["url"]), ("prometheus", "http://prometheus:9090"))
        (provider,) = read_yaml(DEPLOY / "compose" / "grafana" / "dashboards.yaml")["providers"]
        mounts = dict(volume.split(":")[:2] for volume in self.services["grafana"]["volumes"])
        self.assertEqual(mounts["../dashboards"], provider["options"]["path"])


if __name__ == "__main__":
    unittest.main()
