"""Builds, starts and stops programs, and reads their resource usage from the kernel."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EXPORTER = "cloudflare-origin-region-exporter"


def log(text):
    print(text, file=sys.stderr, flush=True)


def install_missing(packages):
    """Installs the Debian packages of missing tools. Maps each tool to its package."""
    missing = sorted({package for tool, package in packages.items() if not shutil.which(tool)})
    if missing:
        log(f"installing: {' '.join(missing)}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing],
                       check=True, env=environment)


def build(profile="release"):
    options = ["--release"] if profile == "release" else []
    subprocess.run(["cargo", "build", "--locked", "--quiet", "--bins", "--examples", *options],
                   cwd=ROOT, check=True)


def built(name, profile="release"):
    """The path of the exporter or of an example."""
    folder = ROOT / "target" / profile
    return folder / name if name == EXPORTER else folder / "examples" / name


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{model[1] if model else 'unknown CPU'}, {os.cpu_count()} cores; load {load}"


def start(stack, command, **options):
    """Starts a program, which is stopped when the stack exits."""
    process = subprocess.Popen([str(word) for word in command], **options)
    stack.callback(stop, process)
    return process


def stop(process):
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def wait_for(address):
    """Waits until something listens on the address."""
    host, port = address.split(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.005)
    raise SystemExit(f"nothing listens on {address}")


def wait_until(condition, seconds, failure, pause=0.1):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(failure)
        time.sleep(pause)


def cpu_of(pid):
    """CPU seconds of a process since its start, user and system.

    The CPU clock of the process is exact, while /proc/PID/stat counts in steps of 10 ms.
    """
    return time.clock_gettime((~pid << 3) | 2)


def memory_of(pid, field="VmRSS"):
    """Resident bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s*(\d+)", status)[1]) * 1024


def forget_peak_of(pid):
    """Resets `VmHWM`."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def written_by(pid):
    """Bytes that a process has written to disks."""
    text = Path(f"/proc/{pid}/io").read_text()
    return int(re.search(r"^write_bytes: (\d+)", text, re.MULTILINE)[1])
