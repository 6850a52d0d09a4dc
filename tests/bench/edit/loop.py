"""One template on one runtime: a service is edited again and again, and each edit waited for."""

import datetime
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from measure import median, percentile, table

# What is saved: a file of the template's, and what stands in it in place of `EDIT` to make it another
# program each time. A comment would not do for what is compiled: it makes the same program.
EDITS = {
    "rust-axum": ("src/main.rs", '\n#[used]\nstatic SAVED: &str = "EDIT";\n'),
    "python-fastapi": ("app/__main__.py", '\nSAVED = "EDIT"\n'),
    "node-fastify": ("src/main.ts", '\nexport const edit = "EDIT";\n'),
}
# How long one deployment may take.
PATIENCE = 300
# What is not msctl's own, by the steps and parts that say how long they took.
STAGES = ("rest", "compile", "ship", "start", "get ready")


@dataclass
class Figures:
    runtime: str
    template: str
    totals: list = field(default_factory=list)
    parts: list = field(default_factory=list)
    floors: list = field(default_factory=list)


class Herald:
    """What happens on a platform, as it happens."""

    def __init__(self, msctl, environment):
        argv = [str(msctl), "events", "-f", "--format", "jsonl", "--since", "0s"]
        self.process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
        self.events = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def until_over(self, service):
        """The events from now until the deployment of the service is over."""
        deadline, seen = time.monotonic() + PATIENCE, []
        while True:
            event = self.events.get(timeout=max(0.1, deadline - time.monotonic()))
            seen.append(event)
            if event["event"] == "step-failed":
                sys.exit(f"the edit was not served: {json.dumps(event)}")
            if event["event"] == "deployment-ended" and event["service"] == service:
                if event["outcome"]["kind"] != "live":
                    sys.exit(f"the edit was not served: {json.dumps(event)}")
                return seen

    def until_settled(self):
        while self.events.get(timeout=PATIENCE)["event"] != "settled":
            pass

    def close(self):
        self.process.kill()
        self.process.wait()


def measure(msctl, runtime, template, edits):
    folder = Path(tempfile.mkdtemp(prefix="msctl-bench-"))
    environment = dict(os.environ) | {"MSCTL_STATE_DIR": str(folder / "state")}
    figures = Figures(runtime, template)
    run = lambda *arguments, at: subprocess.run(
        [str(msctl), *arguments], cwd=at, env=environment, check=True, capture_output=True
    )
    run("new", "platform", "bench", at=folder)
    shop = folder / "bench"
    run("new", "service", "orders", "--template", template, at=shop)
    manifest = shop / "msctl.toml"
    manifest.write_text(manifest.read_text().replace("127.0.0.1:8080", "127.0.0.1:0"))
    environment["MSCTL_DIRECTORY"] = str(shop)
    try:
        run("up", "-d", "--runtime", runtime, at=shop)
        service = shop / "services/orders"
        name, addition = EDITS[template]
        source = service / name
        original = source.read_text()
        herald = Herald(msctl, environment)
        for number in range(edits + 1):
            text = original + addition.replace("EDIT", f"edit {number:04}")
            saved = time.time()
            source.write_text(text)
            seen = herald.until_over("orders")
            herald.until_settled()
            if number == 0:
                continue  # the first one warms up
            figures.totals.append(instant(seen[-1]) * 1000 - saved * 1000)
            figures.parts.append(parts(seen, saved))
            if template == "rust-axum":
                figures.floors.append(compile_floor(shop, source, original, addition, number))
        herald.close()
    finally:
        run("down", "--volumes", "--yes", at=shop)
        shutil.rmtree(folder)
    return figures


def instant(event):
    return event["at"] if isinstance(event["at"], (int, float)) else _parse(event["at"])


def _parse(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def parts(seen, saved):
    """Where the time of one edit went, in milliseconds; `own` is what is nobody else's."""
    found = dict.fromkeys(STAGES, 0.0)
    steps = {"start": "start", "await-ready": "get ready"}
    for event in seen:
        if event["event"] == "deployment-begun":
            timings = event["timings_ms"]
            found["rest"] = timings.get("debounced", 0.0) - timings.get("detected", 0.0)
        elif event["event"] == "built":
            found["compile"], found["ship"] = event["built_in_ms"], event["shipped_in_ms"]
        elif event["event"] == "step-finished" and event["step"] in steps:
            found[steps[event["step"]]] = event["took_ms"]
    total = (instant(seen[-1]) - saved) * 1000
    others = found["compile"] + found["ship"] + found["start"] + found["get ready"]
    return found | {"own": total - others, "total": total}


def compile_floor(shop, source, original, addition, number):
    """The same edit compiled by cargo alone, with a target folder of its own."""
    source_copy = shop.parent / "floor"
    if not source_copy.exists():
        shutil.copytree(shop / "services/orders", source_copy)
    copy = source_copy / "src/main.rs"
    copy.write_text(original + addition.replace("EDIT", f"edit {number:04}"))
    triple = f"{os.uname().machine}-unknown-linux-gnu"
    argv = ["cargo", "build", "--quiet", "--config", ".cargo/static.toml", "--target", triple,
            "--target-dir", str(shop.parent / "floor-target")]
    begun = time.perf_counter()
    subprocess.run(argv, cwd=source_copy, check=True, capture_output=True)
    return (time.perf_counter() - begun) * 1000


def print_row(figures):
    print(f"{figures.template} on {figures.runtime}: {median(figures.totals):.0f} ms", file=sys.stderr)


def print_tables(rows):
    def cells(row):
        of = lambda part: [parts[part] for parts in row.parts]
        shown = [f"{median(of(part)):.0f}" for part in (*STAGES, "own")]
        return [row.template, row.runtime, len(row.totals), f"**{median(row.totals):.0f} ms**",
                f"{percentile(row.totals, 95):.0f} ms", *shown]

    headings = ["template", "runtime", "edits", "p50", "p95", *STAGES, "msctl's own, with the rest"]
    table("From a save to the answer, and where its median goes (ms)", headings, map(cells, rows))
    floors = [(row.runtime, median(row.floors[1:])) for row in rows if row.floors[1:]]
    for runtime, floor in floors:
        print(f"\ncargo alone, in turns with the edits on {runtime}: {floor:.0f} ms")
