"""The exporter and the simulated Cloudflare API."""

import json
import math
import re
import subprocess
import time

from . import calls
from .programs import (EXPORTER, built, cpu_of, forget_peak_of, free_address, memory_of, start,
                       wait_for, wait_until)

# Cloudflare's rate limit for a user: requests, and the window in seconds.
LIMIT, WINDOW = 1200, 300
NO_LIMIT = {"requests": 1_000_000, "window": "1s", "share": 1.0}
METRIC = "cloudflare_origin_region_"
# CPU seconds per second. Polls of 10,000 zones use less.
CALM = 0.1


def rate_limit(share, speed=1):
    """Cloudflare's rate limit, with time running `speed` times as fast."""
    return {"requests": LIMIT, "window": f"{WINDOW / speed:g}s", "share": share}


def configuration(api, limit=NO_LIMIT, token="token", **sections):
    """A configuration, to be written as JSON, which is valid YAML."""
    return {
        "cloudflare": {"base_url": f"http://{api}/client/v4", "rate_limit": limit},
        "accounts": [{"name": "bench", "api_token": token}],
        **sections,
    }


def fewest_lists(zones, mappings):
    """The minimum number of requests to list all zones and mappings."""
    return zones * max(1, math.ceil(mappings / 100)) + math.ceil(zones / 50)


class Api:
    """The simulated Cloudflare API; see examples/simulate.rs."""

    def __init__(self, stack, *arguments, profile="release"):
        self.address = free_address()
        self.process = start(stack, [built("simulate", profile), self.address, *arguments],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        wait_for(self.address)

    def command(self, line=""):
        """Sends a line, and returns the response."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return dict(word.split("=") for word in self.process.stdout.readline().split())

    def requests(self):
        """The number of requests so far for each call."""
        counts = self.command()
        counts.pop("last_ms_ago", None)
        return {call: int(count) for call, count in counts.items()}


class Exporter:
    """A running exporter."""

    def __init__(self, stack, directory, settings, *flags, profile="release"):
        directory.mkdir(exist_ok=True)
        self.stack, self.address = stack, free_address()
        self.configuration = directory / "exporter.yaml"
        self.configure(settings)
        self.command = [built(EXPORTER, profile), f"--config.file={self.configuration}",
                        f"--web.listen-address={self.address}", "--log.level=error", *flags]
        self.start()

    def configure(self, settings):
        self.configuration.write_text(json.dumps(settings))

    def start(self):
        self.started = time.monotonic()
        self.process = start(self.stack, self.command)

    def wait_until_ready(self):
        """Waits until every zone was polled once. Without a rate limit, the exporter is ready then."""
        wait_for(self.address)
        deadline = time.monotonic() + 300
        while not calls.is_ready(self.address):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit("the exporter did not become ready")
            time.sleep(0.002)

    def wait_until_calm(self):
        """Waits until the work after the first round of polls, such as compression, is done."""
        deadline = time.monotonic() + 60
        used = math.inf
        while used > CALM:
            if time.monotonic() > deadline:
                raise SystemExit("the exporter stays busy")
            before = self.cpu()
            time.sleep(1)
            used = self.cpu() - before

    def reload(self):
        calls.write(self.address, "POST", "/-/reload", b"")

    def get(self, path, encoding="identity"):
        return calls.get(self.address, path, encoding)

    def metrics(self):
        """The text of a scrape."""
        return calls.get_text(self.address, "/metrics")

    def count(self, path):
        """The total number of rows in a list of the JSON API."""
        separator = "&" if "?" in path else "?"
        return calls.get_json(self.address, f"/api/v1/{path}{separator}limit=0")["total"]

    def delay_of_change(self, edited, seconds):
        """Seconds until a change by the `edit` command of the simulated API is served."""
        began = time.monotonic()
        wait_until(lambda: self.serves(edited), seconds, f"{edited} is not served", pause=0.02)
        return time.monotonic() - began

    def serves(self, edited):
        return self.count(f"mappings?zone={edited['zone_id']}&region={edited['region']}") > 0

    def cpu(self):
        return cpu_of(self.process.pid)

    def memory(self):
        return memory_of(self.process.pid)

    def peak(self):
        """The peak of resident bytes since `forget_peak`."""
        return memory_of(self.process.pid, "VmHWM")

    def forget_peak(self):
        forget_peak_of(self.process.pid)


def value(text, name, **labels):
    """The sum of the series of a family with these labels."""
    name = (METRIC + name).encode()
    begin = text.find(b"\n# TYPE %s " % name)
    family = text[begin:text.find(b"\n# HELP ", begin)] if begin >= 0 else b""
    total = 0.0
    for found, amount in re.findall(rb"^%s(?:\{(.*)\})? (\S+)$" % name, family, re.MULTILINE):
        if all(f'{key}="{wanted}"'.encode() in found for key, wanted in labels.items()):
            total += float(amount)
    return total
