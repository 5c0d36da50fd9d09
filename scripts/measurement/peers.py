"""The programs that the exporter is compared with."""

import contextlib
import re
import resource
import subprocess
import time

from . import calls
from .programs import built, cpu_of, free_address, start, wait_for

PACKAGES = {"nginx": "nginx", "wrk": "wrk", "prometheus": "prometheus",
            "prometheus-pushgateway": "prometheus-pushgateway"}
PUSHGATEWAY_SCRAPES = 2


def bare_client(api):
    """CPU seconds of a client that only fetches and parses."""
    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    subprocess.run([built("bare_client"), f"http://{api}/client/v4"], check=True,
                   stdout=subprocess.DEVNULL, timeout=300)
    return spent() - before


def pushgateway_scrape(text):
    """CPU seconds of pushgateway for a scrape of the same samples."""
    # Pushgateway has its own metrics with these names.
    lines = (line for line in text.splitlines(keepends=True)
             if not re.match(rb"(# \w+ )?process_", line))
    with contextlib.ExitStack() as stack:
        address = free_address()
        process = start(stack, ["prometheus-pushgateway", f"--web.listen-address={address}",
                                "--push.disable-consistency-check", "--log.level=error"])
        wait_for(address)
        calls.write(address, "PUT", "/metrics/job/bench", b"".join(lines))
        deadline = time.monotonic() + 300
        # Pushgateway ingests the samples after its response.
        while len(scrape := calls.get_text(address, "/metrics")) < len(text) / 2:
            if time.monotonic() > deadline:
                raise SystemExit(f"pushgateway serves {len(scrape)} bytes of {len(text)}")
            time.sleep(1)
        before = cpu_of(process.pid)
        for _ in range(PUSHGATEWAY_SCRAPES):
            calls.get(address, "/metrics", "gzip")
        return (cpu_of(process.pid) - before) / PUSHGATEWAY_SCRAPES


def nginx(stack, directory, files):
    """Serves `files` as static files. The gzip file is compressed in advance."""
    address = free_address()
    site = directory / "site"
    site.mkdir()
    (site / "metrics").write_bytes(files["identity"])
    (site / "metrics.gz").write_bytes(files["gzip"])
    for path in (directory, site):
        path.chmod(0o755)
    configuration = directory / "nginx.conf"
    configuration.write_text(f"""
daemon off;
worker_processes auto;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  gzip_static on;
  keepalive_requests 1000000;
  default_type "text/plain; version=0.0.4; charset=utf-8";
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{ listen {address}; root {site}; }}
}}
""")
    start(stack, ["nginx", "-e", directory / "nginx-error.log", "-c", configuration])
    wait_for(address)
    return address


def wrk(address, encoding, accept, connections, seconds):
    """The rate and the latencies of a load."""
    output = subprocess.run(
        ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s",
         "--timeout=30s", "--latency", f"--header=Accept-Encoding: {encoding}",
         f"--header=Accept: {accept}", f"http://{address}/metrics"],
        check=True, capture_output=True, text=True, timeout=seconds + 60,
    ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"wrk reported errors:\n{output}")
    latencies = dict(re.findall(r"^\s*(50%|99%)\s+(\S+)\s*$", output, re.MULTILINE))
    return {"rate": float(re.search(r"Requests/sec:\s*([\d.]+)", output)[1]), **latencies}
