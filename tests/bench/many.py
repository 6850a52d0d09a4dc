"""One platform of many services, on local processes: what a reconcile that changes nothing takes."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from measure import median, milliseconds, percentile, table, timed
from process import fields, kibibytes
from stand import compile_responder, status_of, write

SERVICES = 300
# Each in three folders: enough for reading them to cost something.
SOURCES = 12
LINES = 200
DECIDED = re.compile(r"decided.* steps=(\d+) read=(\d+) look=(\d+) plan=(\d+)")
ROUNDS = 200
BATCH = 50


def measure(tools):
    folder = Path(tempfile.mkdtemp(prefix="msctl-bench-"))
    environment = dict(os.environ) | {
        "MSCTL_STATE_DIR": str(folder / "state"),
        "MSCTL_DIRECTORY": str(folder / "platform"),
        "MSCTL_LOG": "warn,msctl::engine=debug",
    }
    lay_out(folder)
    output = folder / "output"
    msctl = lambda *arguments: timed([str(tools.msctl), *arguments], environment, str(output))
    try:
        started = msctl("up", "-d", "--runtime", "process")
        pid = status_of(msctl, output)["pid"]
        memory, again, listed = [fields(pid, "status")["VmRSS"]], [], []
        for number in range(1, ROUNDS + 1):
            again.append(msctl("up", "-d", "--runtime", "process"))
            listed.append(msctl("ps"))
            if number % BATCH == 0:
                memory.append(fields(pid, "status")["VmRSS"])
        decided = decisions(folder / "state", pid, ROUNDS)
    finally:
        msctl("down", "--volumes", "--yes")
        shutil.rmtree(folder)
    report(started, again, listed, decided, memory)


def lay_out(folder):
    program = compile_responder(folder)
    platform = '[platform]\nname = "bench-many"\nservices = ["services/*"]\n[gateway]\nlisten = "127.0.0.1:0"\n'
    write(folder / "platform/msctl.toml", platform)
    for number in range(1, SERVICES + 1):
        home = folder / f"platform/services/s{number}"
        write(home / "service.toml", service_file(number, program))
        for source in range(SOURCES):
            write(home / f"src/part{source % 3}/file{source}.txt", f"line of {number} and {source}\n" * LINES)


def service_file(number, program):
    calls = f'[calls]\nservices = ["s{number - 1}"]\n' if number % 10 != 1 else ""
    return f"""\
[service]
name = "s{number}"
[build]
strategy = "pack"
command = "true"
artifact = "$MSCTL_CACHE/s{number}"
[process]
command = "{program}"
[run]
port = 8080
[[routes]]
path = "/s{number}"
access = "public"
{calls}"""


def decisions(state, pid, rounds):
    """What the platform process noted of its latest decisions: steps, and microseconds of each part."""
    logs = [log for log in state.rglob("*.log") if DECIDED.search(log.read_text(errors="replace"))]
    if len(logs) != 1:
        raise SystemExit(f"no log of the platform process {pid} below {state}")
    found = [tuple(map(int, match)) for match in DECIDED.findall(logs[0].read_text(errors="replace"))]
    latest = found[-rounds:]
    if any(steps for steps, *_ in latest):
        raise SystemExit("a reconcile that should have changed nothing had steps")
    return latest


def report(started, again, listed, decided, memory):
    read, look, plan = ([part / 1000 for part in parts] for parts in list(zip(*decided))[1:])
    whole = [sum(parts) for parts in zip(read, look, plan)]
    rows = [
        ["reading all sources", *figures(read), ""],
        ["looking at all instances", *figures(look), ""],
        ["the plan", *figures(plan), "< 10 ms"],
        ["the reconcile, the sum of these", *figures(whole), "< 150 ms"],
        ["`msctl up -d`, which asks for one and waits for it", *figures(again), ""],
        ["`msctl ps`, which asks for none", *figures(listed), ""],
    ]
    title = f"{SERVICES} services on local processes, {len(again)} reconciles that change nothing"
    table(title, ["", "median", "p95", "most", "target"], rows)
    print(f"\nThe first `up -d` took {milliseconds(started)}.")
    marks = (f"after {number * BATCH}" for number in range(len(memory)))
    table("its platform process, by reconciles", list(marks), [map(kibibytes, memory)])


def figures(times):
    return map(milliseconds, (median(times), percentile(times, 95), max(times)))
