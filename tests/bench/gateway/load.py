"""Load on a URL of this machine, and what it costs the process behind it.

Processor time is read from /proc before and after: all threads of the process and of all its children,
in user and kernel mode, divided by the answers that were as they should be."""

import ipaddress
import os
import re
import subprocess
import tempfile
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Load:
    """What is asked for. With `rate`, so many requests a second in all; else as fast as answers come."""

    connections: int = 64
    seconds: float = 4
    rate: int | None = None
    streams: int | None = None  # per connection: HTTP/2 without TLS
    headers: list = field(default_factory=list)
    script: str | None = None  # of wrk, which makes the requests
    threads: int = 1


@dataclass
class Outcome:
    answers: int
    errors: int
    seconds: float
    p50: float  # milliseconds
    p99: float
    cpu: float = 0.0  # seconds of the process per 100,000 answers
    backend_cpu: float = 0.0
    memory: float = 0.0  # MiB, resident

    @property
    def per_second(self):
        return self.answers / self.seconds


def run(url, load, process, backend=None):
    """Puts `load` on `url`. `process` and `backend` are ids of the processes that pay for it."""
    host = urllib.parse.urlparse(url).hostname
    assert ipaddress.ip_address(host).is_loopback, "nothing but this machine is loaded"
    before = seconds_of(process), seconds_of(backend)
    plain = load.rate is None and load.streams is None
    outcome = by_wrk(url, load) if plain else by_h2load(url, load)
    per = 1e5 / max(1, outcome.answers)
    outcome.cpu = (seconds_of(process) - before[0]) * per
    outcome.backend_cpu = (seconds_of(backend) - before[1]) * per
    outcome.memory = resident(process)
    return outcome


def by_wrk(url, load):
    command = ["wrk", f"-t{load.threads}", f"-c{load.connections}", f"-d{load.seconds}s", "--latency", "--timeout", "10s"]
    command += ["-s", load.script] if load.script else []
    text = output([*command, *header_flags(load), url])
    answers, seconds = re.search(r"(\d+) requests in ([\d.]+\w+)", text).groups()
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(refused[1]) if refused else 0
    return Outcome(
        answers=int(answers) - errors,
        errors=errors + sum(map(int, broken.groups())) if broken else errors,
        seconds=milliseconds(seconds) / 1e3,
        p50=milliseconds(re.search(r"(?m)^ +50% +(\S+)", text)[1]),
        p99=milliseconds(re.search(r"(?m)^ +99% +(\S+)", text)[1]),
    )


def by_h2load(url, load):
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        command = ["h2load", "-c", str(load.connections), "-t", str(load.threads), "-D", str(load.seconds), "--log-file", log]
        command += ["-m", str(load.streams), "-p", "h2c"] if load.streams else ["--h1"]
        command += ["--rps", str(round(load.rate / load.connections))] if load.rate else []
        output([*command, *header_flags(load), url])
        # START STATUS DURATION, the last in microseconds
        lines = [line.split() for line in log.read_text().splitlines()]
    times = sorted(int(duration) / 1e3 for _, status, duration in lines if status.startswith("2"))
    assert times, f"no answer from {url}"
    return Outcome(
        answers=len(times),
        errors=len(lines) - len(times),
        seconds=load.seconds,
        p50=times[len(times) // 2],
        p99=times[len(times) * 99 // 100],
    )


def header_flags(load):
    return [part for header in load.headers for part in ("-H", header)]


def output(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def family(process):
    """The process and all its children."""
    found = [process] if process else []
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


def seconds_of(process):
    total = 0
    for one in family(process):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident(process):
    """In MiB. What several processes share is counted for each of them."""
    status = (Path(f"/proc/{one}/status").read_text() for one in family(process))
    return sum(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) for text in status) / 1024
