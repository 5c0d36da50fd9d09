"""The Prometheus in the search path, by default that of Debian."""

import contextlib
import http.client
import json
import time
import urllib.parse

from . import calls
from .programs import free_address, start


class Prometheus:
    def __init__(self, stack, directory, settings, *flags):
        self.address = free_address()
        file = directory / "prometheus.json"
        file.write_text(json.dumps(settings))
        self.log_file = directory / "prometheus.log"
        log = stack.enter_context(self.log_file.open("w"))
        self.process = start(stack, [
            "prometheus", f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={self.address}", *flags], stdout=log, stderr=log)
        self.wait_until_ready()

    def wait_until_ready(self):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(self.log_file.read_text())
            with contextlib.suppress(OSError, http.client.HTTPException):
                if calls.is_ready(self.address):
                    return
            time.sleep(0.1)
        raise SystemExit("Prometheus did not become ready")

    def api(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        # The body describes errors in queries.
        answer = json.loads(calls.exchange(self.address, "GET", f"/api/v1/{path}?{query}")[1])
        if answer["status"] != "success":
            raise SystemExit(f"{parameters}: {answer.get('error')}")
        return answer["data"]

    def number(self, expression):
        """The value of the only series of an expression; 0 if there is none."""
        result = self.api("query", query=expression)["result"]
        return int(float(result[0]["value"][1])) if result else 0
