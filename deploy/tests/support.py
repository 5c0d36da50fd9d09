"""Helpers for the tests of the deployment files."""

import os
import pathlib
import subprocess
import sys
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARDS = ROOT / "dashboards"
RULES = DEPLOY / "prometheus" / "rules.yaml"
NAME = "cloudflare-origin-region-exporter"


def binary():
    """The exporter binary of this checkout."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "debug" / NAME


def version():
    """The version of the package."""
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def run(*command, timeout=120, **options):
    """Runs a program, and returns its exit code and output."""
    result = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )
    return result.returncode, result.stdout


def run_in_environment(tool, *arguments):
    """Runs a program of the Python environment that the tests run in."""
    return run(pathlib.Path(sys.executable).with_name(tool), *arguments)


def assert_succeeds(test, *command, **options):
    """Runs a program that has to succeed, and returns its output."""
    code, output = run(*command, **options)
    test.assertEqual(code, 0, f"{' '.join(map(str, command))}:\n{output}")
    return output


def assert_takes_arguments(test, arguments):
    """Checks that the exporter accepts all of these arguments."""
    # Even with --help, the exporter rejects unknown arguments.
    assert_succeeds(test, binary(), *arguments, "--help")


def read_yaml(path):
    """The only document of a YAML file."""
    return yaml.safe_load(pathlib.Path(path).read_text())
