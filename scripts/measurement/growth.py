"""How the cost grows with zones and mappings, with storage and audit log enabled.

The poll interval is short: 5 % of the zones are polled between two scrapes, and a measurement covers a
whole round of polls.
"""

import contextlib
import gzip
import random
import statistics
import tempfile
import time
from pathlib import Path

from .comparison import changes, costs, scrape_plainly
from .exporter import Api, Exporter, configuration, fewest_lists
from .programs import log
from .table import megabytes, milliseconds, print_table

# Each step has ten times as many zones as the previous one.
STEPS = ((10, 100), (100, 100), (1000, 100), (10000, 100))
# The maximum number of mappings of a zone.
LARGE_ZONE = (1, 3500)
SCRAPES = 20
# Bodies are reused for up to a second.
SCRAPE_SECONDS = 1.1
ROUND_SECONDS = SCRAPES * SCRAPE_SECONDS
EDITS = 5
# The minimum time between polls of a zone that the audit log prompts.
PROMPTED_SECONDS = 10
# How much repeated measurements differ.
TOLERANCE = 1.1


def seconds(value):
    return f"{value:.3f} s"


def kilobytes(value):
    return f"{value / 1e3:,.0f} kB"


def count(value):
    return f"{value:,.0f}"


UNITS = {
    "requests of the first round": count,
    "first round, CPU": seconds,
    "a round of polls, CPU": seconds,
    "a round of polls that each find a change, CPU": seconds,
    "samples": count,
    "text": megabytes,
    "gzip": kilobytes,
    "storage on disk": kilobytes,
    "first gzip, CPU": milliseconds,
    "CPU a scrape": milliseconds,
    "CPU a scrape, 5 % changed": milliseconds,
    "RSS after gzip": megabytes,
    "RSS at the peak of an identity scrape": megabytes,
    "a change is served after (median)": seconds,
}


def print_growth():
    columns = [measure(zones, mappings) for zones, mappings in STEPS]
    large = measure(*LARGE_ZONE)
    rows = [
        {"": f"{zones}x{mappings}", **{name: UNITS[name](column[name]) for name in UNITS}}
        for (zones, mappings), column in zip((*STEPS, LARGE_ZONE), (*columns, large))
    ]
    rows.append({"": "ten times the zones: at most", **{
        name: f"{tenfold(columns, name):.1f} times" for name in UNITS}})
    rows.append({"": "1x3500 / 10x100", **{
        name: f"{large[name] / columns[0][name]:.1f}" for name in UNITS}})
    print_table(rows)
    more = [name for name in UNITS if tenfold(columns, name) > 10 * TOLERANCE]
    print("More than in proportion to the zones:", "; ".join(more) or "nothing")
    share = LARGE_ZONE[0] * LARGE_ZONE[1] / (STEPS[0][0] * STEPS[0][1])
    more = [name for name in UNITS if large[name] / columns[0][name] > share * TOLERANCE]
    print("More than in proportion to the mappings:", "; ".join(more) or "nothing")
    print()


def tenfold(columns, name):
    """The largest factor between two consecutive sizes."""
    return max(after[name] / before[name] for before, after in zip(columns, columns[1:]))


def measure(zones, mappings):
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
        return measure_in(stack, Path(directory), zones, mappings)


def measure_in(stack, directory, zones, mappings):
    size = f"{zones}x{mappings}"
    log(f"growth, {size}: the first round of polls")
    api = Api(stack, zones, mappings)
    daemon = start(stack, directory / "daemon", api)
    cpu, made = daemon.cpu(), api.requests()
    lists = made.get("ListMappings", 0) + made.get("ListZones", 0)
    if lists != fewest_lists(zones, mappings):
        log(f"{lists} requests instead of {fewest_lists(zones, mappings)}")
    found = {"requests of the first round": lists, "first round, CPU": cpu}
    # The first round is written and compressed a second later.
    time.sleep(5)
    before = daemon.cpu()
    compressed = daemon.get("/metrics", "gzip")
    found["first gzip, CPU"] = daemon.cpu() - before
    text = gzip.decompress(compressed)
    found["samples"] = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    found["text"], found["gzip"] = len(text), len(compressed)
    stored = (directory / "daemon/storage").iterdir()
    found["storage on disk"] = sum(file.stat().st_blocks * 512 for file in stored)
    log(f"growth, {size}: polls and scrapes")
    with contextlib.ExitStack() as own:
        twin = start(own, directory / "twin", api)
        found["a round of polls, CPU"], found["CPU a scrape"] = costs_of_round(daemon, twin)
        own.enter_context(changes(api, ROUND_SECONDS / 2))
        # From here on, every poll finds a change.
        time.sleep(ROUND_SECONDS / 2)
        polls, scrape = costs_of_round(daemon, twin)
    found["a round of polls that each find a change, CPU"] = polls
    found["CPU a scrape, 5 % changed"] = scrape
    found["RSS after gzip"] = daemon.memory()
    daemon.forget_peak()
    daemon.get("/metrics")
    found["RSS at the peak of an identity scrape"] = daemon.peak()
    log(f"growth, {size}: changes")
    # From here on, only the audit log prompts polls.
    daemon.configure(settings(api, 3600))
    daemon.reload()
    found["a change is served after (median)"] = statistics.median(delays(api, daemon, zones))
    return found


def start(stack, directory, api):
    """Starts an exporter, and waits for its first round of polls."""
    directory.mkdir()
    daemon = Exporter(stack, directory, settings(api, ROUND_SECONDS), "--web.enable-lifecycle",
                      f"--storage.path={directory / 'storage'}")
    daemon.wait_until_ready()
    return daemon


def settings(api, interval):
    return configuration(
        api.address, poll={"interval": f"{interval:g}s", "concurrency": 8},
        audit_log={"enabled": True, "interval": "1s"},
    )


def costs_of_round(daemon, twin):
    """CPU seconds of a round of polls, and of a scrape during them."""
    scrape, polls = costs(daemon, twin, SCRAPES, lambda: scrape_plainly(daemon, SCRAPE_SECONDS))
    return sum(polls), scrape


def delays(api, daemon, zones):
    """Seconds until changes at random times are served."""
    for number in random.Random(1).choices(range(zones), k=EDITS):
        time.sleep(random.random() + (PROMPTED_SECONDS if zones < 2 * EDITS else 0))
        yield daemon.delay_of_change(api.command(f"edit {number}"), 60)
