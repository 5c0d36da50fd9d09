"""HTTP requests to the programs that are measured."""

import contextlib
import gzip
import http.client
import json


def exchange(address, method, path, headers=None, body=None, timeout=600):
    """The response, and its body as sent."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response, response.read()


def write(address, method, path, body, headers=None):
    """The body of the answer to a request that has to succeed."""
    response, answer = exchange(address, method, path, headers, body)
    if response.status not in (200, 202):
        raise SystemExit(f"{method} {path} answers {response.status}: {answer[:200]}")
    return answer


def get(address, path, encoding="identity"):
    """The body as sent."""
    return write(address, "GET", path, None, {"Accept-Encoding": encoding})


def get_text(address, path):
    """The body of what travels compressed."""
    return gzip.decompress(get(address, path, "gzip"))


def get_json(address, path):
    return json.loads(get(address, path))


def is_ready(address):
    return exchange(address, "GET", "/-/ready", timeout=60)[0].status == 200
