"""HTTP requests to the measured programs."""

import contextlib
import gzip
import http.client
import json


def exchange(address, method, path, headers=None, body=None, timeout=600):
    """Sends a request, and returns the response and its body as received."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response, response.read()


def write(address, method, path, body, headers=None):
    """Sends a request that has to succeed, and returns the body of the response."""
    response, answer = exchange(address, method, path, headers, body)
    if response.status not in (200, 202):
        raise SystemExit(f"{method} {path} returned {response.status}: {answer[:200]}")
    return answer


def get(address, path, encoding="identity"):
    """The body as received."""
    return write(address, "GET", path, None, {"Accept-Encoding": encoding})


def get_text(address, path):
    """The body, which is transferred with gzip."""
    return gzip.decompress(get(address, path, "gzip"))


def get_json(address, path):
    return json.loads(get(address, path))


def is_ready(address):
    return exchange(address, "GET", "/-/ready", timeout=60)[0].status == 200
