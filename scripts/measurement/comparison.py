"""Compares the exporter with nginx, pushgateway and a bare client, under a real Prometheus."""

import contextlib
import gzip
import statistics
import tempfile
import threading
import time
from pathlib import Path

from . import peers
from .exporter import Api, Exporter, configuration, fewest_lists, value
from .programs import log
from .prometheus import Prometheus
from .table import megabytes, milliseconds, ratio

SCRAPE_SECONDS = 5
# Prometheus needs several seconds to ingest more samples than this.
MANY_SAMPLES = 1_000_000
SCRAPE_SECONDS_OF_MANY = 30
# This way, 5 % of the zones are polled between two scrapes.
SCRAPES_AN_INTERVAL = 20
# The allowed difference between the polls of two exporters.
POLLS_TOLERANCE = 0.05
FEW_POLLS = 10
CONNECTIONS = (1, 8)
TEXT = "text/plain; version=0.0.4"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def settings(api, interval=300):
    return configuration(api, poll={"interval": f"{interval}s", "concurrency": 8})


def measure(size, arguments):
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
        return Comparison(size, arguments, stack, Path(directory)).run()


class Comparison:
    """The measurements of one size, which fill a row step by step."""

    def __init__(self, size, arguments, stack, directory):
        self.size, self.arguments, self.stack, self.directory = size, arguments, stack, directory
        self.row = {"size": size}
        self.api = Api(stack, *size.split("x"))

    def run(self):
        bare = self.measure_first_round()
        self.measure_storage(bare)
        self.daemon.wait_until_calm()
        before = self.daemon.cpu()
        compressed = self.daemon.get("/metrics", "gzip")
        first = self.daemon.cpu() - before
        self.row["since ready, CPU"] = milliseconds(before - self.ready_cpu)
        text = gzip.decompress(compressed)
        samples = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
        self.row.update({
            "first gzip, CPU": milliseconds(first),
            "samples": f"{samples:,}",
            "text": megabytes(len(text)),
            "gzip": megabytes(len(compressed)),
        })
        if self.arguments.scrapes:
            self.measure_scrapes(text, samples, first)
        self.row["RSS after gzip"] = megabytes(self.daemon.memory())
        self.daemon.forget_peak()
        identity = self.daemon.get("/metrics")
        self.row["RSS at the peak of an identity scrape"] = megabytes(self.daemon.peak())
        self.row["that / text"] = f"{self.daemon.peak() / len(text):.2f}"
        if not self.arguments.no_load:
            nginx = peers.nginx(self.stack, self.directory,
                                {"identity": identity, "gzip": compressed})
            self.measure_load({"daemon": self.daemon.address, "nginx": nginx})
        self.row["RSS at the end"] = megabytes(self.daemon.memory())
        self.row["RSS at the end / text"] = f"{self.daemon.memory() / len(text):.1f}"
        return self.row

    def log(self, text):
        log(f"{self.size}: {text}")

    def measure_first_round(self):
        self.log("the first round of polls")
        zones, mappings, *_ = map(int, self.size.split("x"))
        bare = peers.bare_client(self.api.address)
        self.api.command("forget")
        self.daemon = Exporter(self.stack, self.directory / "plain", settings(self.api.address))
        self.daemon.wait_until_ready()
        ready, cpu = time.monotonic() - self.daemon.started, self.daemon.cpu()
        self.ready_cpu = cpu
        made = self.api.command()
        last = made.pop("last_ms_ago", "?")
        lists = int(made.pop("ListMappings", 0)) + int(made.pop("ListZones", 0))
        self.row.update({
            "bare client, CPU": f"{bare:.2f} s",
            "start to ready": f"{ready:.2f} s",
            "ready after the API's last answer": f"{last} ms",
            "first round, CPU": f"{cpu:.2f} s",
            "requests for lists": f"{lists} (least: {fewest_lists(zones, mappings)})",
            "other requests": str(sum(map(int, made.values()))),
            "first round, CPU / bare client": f"{cpu / bare:.1f}",
            "RSS at ready": megabytes(self.daemon.memory()),
        })
        return bare

    def measure_storage(self, bare):
        """Measures the first round of polls of a second exporter, with storage."""
        with contextlib.ExitStack() as stack:
            daemon = Exporter(stack, self.directory / "stored", settings(self.api.address),
                              f"--storage.path={self.directory / 'storage'}")
            daemon.wait_until_ready()
            # Writes are delayed by at most a second.
            time.sleep(2)
            spent = daemon.cpu()
        self.row["first round with storage, CPU"] = f"{spent:.2f} s"
        self.row["first round with storage, CPU / bare client"] = f"{spent / bare:.1f}"

    def measure_scrapes(self, text, samples, first):
        gateway = None
        if not self.arguments.no_pushgateway:
            self.log("scrapes of pushgateway")
            gateway = peers.pushgateway_scrape(text)
            self.row["pushgateway, CPU a scrape"] = milliseconds(gateway)
        every = SCRAPE_SECONDS if samples < MANY_SAMPLES else SCRAPE_SECONDS_OF_MANY
        self.row["scraped every"] = f"{every} s"
        with contextlib.ExitStack() as stack:
            twin = self.start(stack, "twin")
            scrape, polls = self.costs(self.daemon, twin, every)
        self.row.update({
            "CPU a scrape": milliseconds(scrape),
            "polls meanwhile, CPU": milliseconds(polls),
            "first gzip / scrape": ratio(first, scrape),
            "pushgateway / scrape": ratio(gateway, scrape),
        })
        if self.arguments.no_changes:
            return
        interval = SCRAPES_AN_INTERVAL * every
        with contextlib.ExitStack() as stack:
            daemon = self.start(stack, "changing", interval)
            twin = self.start(stack, "changing-twin", interval)
            # Every poll of both finds another mapping.
            stack.enter_context(changes(self.api, interval / 2))
            scrape, polls = self.costs(daemon, twin, every)
        self.row.update({
            "5 % changed: CPU a scrape": milliseconds(scrape),
            "5 % changed: polls meanwhile, CPU": milliseconds(polls),
            "5 % changed: pushgateway / scrape": ratio(gateway, scrape),
        })

    def start(self, stack, name, *interval):
        """Starts another exporter, and waits for its first round of polls."""
        daemon = Exporter(stack, self.directory / name, settings(self.api.address, *interval))
        daemon.wait_until_ready()
        daemon.wait_until_calm()
        return daemon

    def costs(self, daemon, twin, every):
        """The result of costs() for scrapes by Prometheus."""
        count = self.arguments.scrapes
        self.log(f"{count} scrapes, one in {every} seconds")
        with scraping(self.directory, daemon.address, every) as scraped:
            scraped(1)
            scrape, polls = costs(daemon, twin, count, lambda: scraped(1))
        return scrape, statistics.median(polls)

    def measure_load(self, servers):
        """Measures the load with wrk: the median run for each encoding and number of connections."""
        for encoding in ("identity", "gzip"):
            for connections in CONNECTIONS:
                self.log(f"{encoding}, {connections} connections")
                loads = {name: (address, encoding, TEXT) for name, address in servers.items()}
                median = self.median_runs(loads, connections)
                case = f"{encoding}, {connections} conn."
                for name, run in median.items():
                    self.row[f"{case}: {name}"] = (
                        f"{run['rate']:.1f}/s, p50 {run['50%']}, p99 {run['99%']}"
                    )
                rates = median["daemon"]["rate"] / median["nginx"]["rate"]
                self.row[f"{case}: ratio"] = f"{rates:.2f}"
        for encoding in ("identity", "gzip"):
            self.log(f"{encoding}, OpenMetrics beside the text format")
            loads = {accept: (servers["daemon"], encoding, accept)
                     for accept in (OPEN_METRICS, TEXT)}
            median = self.median_runs(loads, CONNECTIONS[-1])
            rates = median[OPEN_METRICS]["rate"] / median[TEXT]["rate"]
            self.row[f"{encoding}: OpenMetrics / text"] = f"{rates:.2f}"

    def median_runs(self, loads, connections):
        """The median run of each load. A load is an address, an encoding and a format."""
        runs = {name: [] for name in loads}
        # Alternate the loads, so that other programs affect all of them.
        for _ in range(1 + self.arguments.repeat):
            for name, (address, encoding, accept) in loads.items():
                runs[name].append(peers.wrk(address, encoding, accept, connections,
                                            self.arguments.seconds))
        # The first run is a warm-up.
        counted = {name: sorted(of[1:], key=lambda run: run["rate"]) for name, of in runs.items()}
        return {name: of[(len(of) - 1) // 2] for name, of in counted.items()}


@contextlib.contextmanager
def changes(api, every):
    """Moves a mapping of each zone, now and then every `every` seconds."""
    ended = threading.Event()

    def change():
        while not ended.wait(every):
            api.command("change")

    thread = threading.Thread(target=change)
    api.command("change")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def costs(daemon, twin, count, scrape):
    """CPU seconds of a scrape, and of the polls from each scrape to the next.

    The polls are those of a twin that polls the same zones but is not scraped. This way, work after
    a poll that prepares scrapes is part of their cost. The cost of a scrape is the median, because
    other programs may disturb some scrapes.
    """
    both = (daemon, twin)
    # The first body and its memory are not part of the cost of later scrapes.
    before = [exporter.get("/metrics", "gzip") for exporter in both]
    scrapes, polls = [], []
    for _ in range(count):
        cpu = [exporter.cpu() for exporter in both]
        scrape()
        own, of_twin = (exporter.cpu() - then for exporter, then in zip(both, cpu))
        scrapes.append(own - of_twin)
        polls.append(of_twin)
    compare_polls(before, [exporter.get("/metrics", "gzip") for exporter in both])
    return statistics.median(scrapes), polls


def compare_polls(before, after):
    """Warns if the polls of an exporter and its twin between these compressed scrapes differ."""
    polls = [[value(gzip.decompress(scrape), "zone_polls_total") for scrape in scrapes]
             for scrapes in (before, after)]
    made, of_twin = (end - begin for begin, end in zip(*polls))
    if abs(made - of_twin) > max(FEW_POLLS, POLLS_TOLERANCE * max(made, of_twin)):
        log(f"WARNING: {made:.0f} polls of the exporter, {of_twin:.0f} of its twin")


def scrape_plainly(daemon, every):
    """Scrapes once, and waits for the rest of `every` seconds."""
    begun = time.monotonic()
    daemon.get("/metrics", "gzip")
    time.sleep(max(0, every - (time.monotonic() - begun)))


@contextlib.contextmanager
def scraping(directory, target, every):
    """Runs Prometheus. Yields a function that waits for this many more scrapes."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(tempfile.TemporaryDirectory(dir=directory))
        prometheus = Prometheus(stack, Path(own), {
            "global": {"scrape_interval": f"{every}s", "scrape_timeout": f"{every}s"},
            "scrape_configs": [{"job_name": "bench", "static_configs": [{"targets": [target]}]}],
        }, "--log.level=error")
        made = 0

        def scraped(more):
            nonlocal made
            wanted = made + more
            deadline = time.monotonic() + more * every + 120
            while made < wanted:
                if time.monotonic() > deadline:
                    raise SystemExit(f"Prometheus made {made} scrapes in the time of {wanted}")
                time.sleep(0.1)
                made = prometheus.number("count_over_time(up[1h])")
            if made > wanted:
                raise SystemExit(f"Prometheus made {made} scrapes, not {wanted}")

        yield scraped
        good = prometheus.number("sum_over_time(up[1h])")
        if good < made:
            raise SystemExit(f"only {good} of {made} scrapes of Prometheus succeeded")
