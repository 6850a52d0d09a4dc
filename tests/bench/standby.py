"""What would be gained by having something of the next version there before its program is: the network that it
is to join, or the whole container."""

import http.client
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import engine
from measure import median, milliseconds, table
from stand import ROOT, compile_program, compile_responder

IMAGE = "msctl-bench/next"
STANDBY = "msctl-bench/standby:1"
NETWORK = "msctl-bench-standby"
PROGRAM, SIGN = "next/program", "next/ready"


def measure(rounds):
    folder = Path(tempfile.mkdtemp(prefix="msctl-bench-"))
    program = compile_responder(folder).read_bytes()
    waiter = compile_program(ROOT / "tests/bench/waiter.rs", folder / "waiter")
    network = engine.ask("POST", "/networks/create", engine.order(Name=NETWORK))["Id"]
    starts, joins, standbys, memory = [], [], [], []
    try:
        engine.load(STANDBY, waiter)
        for number in range(2 * rounds + 2):
            version, tag = program + f"{number:08}".encode(), f"{IMAGE}:{number}"
            with Containers() as made:
                starts.append(started(made, version, tag)) if number % 2 else joins.append(joined(made, version, tag))
            with Containers() as made:
                took, held = stood_by(made, version)
                standbys.append(took)
                memory.append(held)
            engine.remove_image(tag)
    finally:
        engine.ask("DELETE", f"/networks/{network}")
        engine.remove_image(STANDBY)
        shutil.rmtree(folder)
    report(starts[1:], joins[1:], standbys[2:], memory[2:])


class Containers(list):
    """Those of one try, which are gone after it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for container in self:
            engine.ask("DELETE", f"/containers/{container}?force=1")

    def run(self, image, entrypoint, network=NETWORK):
        body = engine.order(Image=image, Entrypoint=entrypoint, Env=["PORT=8080", "SERVICE_NAME=next"],
                            HostConfig={"NetworkMode": network})
        self.append(engine.ask("POST", "/containers/create", body)["Id"])
        engine.ask("POST", f"/containers/{self[-1]}/start")
        return self[-1]

    def wait(self):
        """One that stands by; and what it holds, in bytes."""
        container = self.run(STANDBY, ["/program", f"/{SIGN}", f"/{PROGRAM}"])
        stats = engine.ask("GET", f"/containers/{container}/stats?stream=0&one-shot=1")
        return container, stats["memory_stats"].get("usage", 0) + shim_memory(container)


def started(made, version, tag):
    """As it is done: an image, a container, its start. Milliseconds of each, and until it answers."""
    begun = time.perf_counter()
    engine.load_bytes(tag, version)
    shipped = time.perf_counter()
    container = made.run(tag, ["/program"])
    return spans(begun, shipped, time.perf_counter(), container)


def joined(made, version, tag):
    """The same, but that the network is there already: that of a container that does nothing."""
    waiting, _ = made.wait()
    begun = time.perf_counter()
    engine.load_bytes(tag, version)
    shipped = time.perf_counter()
    made.run(tag, ["/program"], f"container:{waiting}")
    return spans(begun, shipped, time.perf_counter(), waiting)


def stood_by(made, version):
    """The container runs already, and gets its program."""
    waiting, held = made.wait()
    # The sign comes after the program in the archive, so the program is whole when it is seen.
    files = engine.tar({PROGRAM: (0o755, version), SIGN: (0o644, b"")})
    begun = time.perf_counter()
    engine.ask("PUT", f"/containers/{waiting}/archive?path=/", files, "application/x-tar")
    shipped = time.perf_counter()
    return spans(begun, shipped, shipped, waiting), held


def spans(begun, shipped, running, container):
    await_answer(container)
    return [1000 * span for span in (shipped - begun, running - shipped, time.perf_counter() - running)]


def await_answer(container):
    """Asks the address that a container has in the network until something answers there."""
    networks = engine.ask("GET", f"/containers/{container}/json")["NetworkSettings"]["Networks"]
    address, deadline = networks[NETWORK]["IPAddress"], time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection(address, 8080, timeout=1)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.001)
    raise SystemExit(f"{container} never answered")


def shim_memory(container):
    """Of the engine's process that holds a container; what it shares with others of its kind counts in part."""
    found = subprocess.run(["pgrep", "-f", f"containerd-shim.*{container}"], capture_output=True, text=True, check=False)
    rollups = (Path(f"/proc/{pid}/smaps_rollup") for pid in found.stdout.split())
    lines = (line for rollup in rollups for line in rollup.read_text().splitlines())
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def report(starts, joins, standbys, memory):
    def row(name, rounds):
        parts = [median(part) for part in zip(*rounds)]
        return [name, *map(milliseconds, parts), milliseconds(median([sum(parts) for parts in rounds]))]

    headings = ["", "the program gets there", "create, start", "until it answers", "all of it"]
    rows = [
        row("an image, then a container", starts),
        row("an image, then a container in a network that stands by", joins),
        row("into a container that stands by", standbys),
    ]
    table(f"a next version, medians of {len(starts)} rounds in turns", headings, rows)
    print(f"\nWhat stands by holds {median(memory) / 2**20:.1f} MiB, the engine's process for it included.")
