"""The memory of a small installation: ten zones of 100 mappings."""

import contextlib
import functools
import http.server
import os
import re
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from .exporter import Api, Exporter, configuration, value
from .programs import log, wait_until
from .table import megabytes, print_table

ZONES, MAPPINGS = 10, 100
# The number of DNS records, load balancers and rules of each zone.
ORIGINS = 3
VENDORS = ("aws", "azure", "gcp", "oci")
# The published files of the vendors, as named in the directory EXPORTER_RANGE_FILES.
PUBLISHED = {"aws": "aws-ip-ranges.json", "azure": "azure-service-tags.json", "gcp": "gcp-cloud.json",
             "oci": "oci-public-ip-ranges.json"}
SCRAPES = 20
# Bodies are reused for up to a second.
SCRAPE_SECONDS = 1.1
PAGES = ("/", "/findings", "/changes", "/docs/", "/api/v1/zones", "/api/v1/origins")
MOST = 20e6
# Parts of the resident memory, by the name and the permissions of a memory mapping.
PARTS = {
    "- the program's code": lambda name, access: name == "program" and "x" in access,
    "- the program's constants and data": lambda name, access: name == "program",
    "- the system's libraries": lambda name, access: name.endswith(".so") or ".so." in name,
    "- heap and stacks": lambda name, access: True,
}


def print_small():
    rows = [measure("defaults", everything=False), measure("everything on", everything=True)]
    published = os.environ.get("EXPORTER_RANGE_FILES")
    if published:
        rows.append(measure("and published range files", everything=True, published=published))
    else:
        log("NOT MEASURED: the memory with the published range files of the vendors "
            "(set EXPORTER_RANGE_FILES to their directory)")
    print_table(rows)
    print()


def measure(name, everything, published=None):
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
        return measure_in(stack, Path(directory), name, everything, published)


def measure_in(stack, directory, name, everything, published):
    log(f"memory of {ZONES} zones: {name}")
    api = Api(stack, ZONES, MAPPINGS, f"origins={ORIGINS}")
    ranges = {vendor: f"http://{api.address}/ranges/{vendor}.json" for vendor in VENDORS}
    certificate = directory / "certificate.pem"
    if published:
        address = serve_files(stack, published, certificate)
        ranges = {vendor: f"https://{address}/{file}" for vendor, file in PUBLISHED.items()}
    flags = [f"--storage.path={directory / 'storage'}"] if everything else []
    daemon = Exporter(stack, directory, settings(api, ranges, everything, certificate), *flags)
    daemon.wait_until_ready()
    if everything:
        wait_until(lambda: is_complete(daemon), 60, "not everything was read")
    for number in range(SCRAPES):
        daemon.get("/metrics", ("gzip", "identity")[number % 2])
        time.sleep(SCRAPE_SECONDS)
    for page in PAGES:
        daemon.get(page)
    resident = daemon.memory()
    row = {"": name, "resident memory": megabytes(resident)}
    row.update({part: megabytes(size) for part, size in parts(daemon.process.pid).items()})
    row["at most 20 MB"] = "yes" if resident <= MOST else "NO"
    return row


def serve_files(stack, directory, certificate):
    """Serves the files of a directory over TLS, like the vendors, and returns the address."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    key = certificate.with_suffix(".key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=ranges", "-addext", "subjectAltName=IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    handler = functools.partial(Handler, directory=directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    return f"127.0.0.1:{server.server_address[1]}"


def settings(api, ranges, everything, certificate):
    if not everything:
        return configuration(api.address)
    content = configuration(
        api.address,
        poll={"interval": "5s"},
        audit_log={"enabled": True, "interval": "1s"},
        expect={"from_dns": True, "from_load_balancers": True, "from_rules": True},
        hosts={"nameservers": [api.command("names")["names"]]},
        verify={"vendor_ranges": {"enabled": True, "sources": ranges}},
    )
    if certificate.exists():
        content["cloudflare"]["ca_file"] = str(certificate)
    return content


def is_complete(daemon):
    """Whether the ranges and the audit log were read, and hosts resolved."""
    text = daemon.metrics()
    return (value(text, "vendor_ranges_up") == len(VENDORS) and value(text, "exporter_audit_log_up") > 0
            and value(text, "origin_hosts", state="resolved") > 0)


def parts(pid):
    """The resident bytes of each part."""
    sizes = dict.fromkeys(PARTS, 0)
    program = str(Path(f"/proc/{pid}/exe").resolve())
    name = access = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", words[0]):
            name, access = " ".join(words[5:]), words[1]
            name = "program" if name == program else name
        elif words[0] == "Rss:":
            part = next(part for part, holds in PARTS.items() if holds(name, access))
            sizes[part] += int(words[1]) * 1024
    return sizes
