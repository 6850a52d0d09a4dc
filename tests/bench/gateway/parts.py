"""What is measured, each part a function of the run's arguments that prints one table."""

import contextlib
import resource
import socket
import statistics
import subprocess
import sys
import time

import contenders
import load
import tokens
from load import Load
from stage import Stage

ALL = list(contenders.CONTENDERS)
SMALL_FIELD = ["nginx", "haproxy", "msctl"]


def small(arguments):
    """1 KiB, keep-alive, as fast as it goes."""
    compare("1 KiB over HTTP/1.1, 64 connections, as fast as it goes", arguments, ALL, "/1k", Load())


def large(arguments):
    compare("1 MiB over HTTP/1.1, 16 connections, as fast as it goes", arguments, ALL, "/1m", Load(connections=16))


def rate(arguments):
    wanted = Load(connections=30, rate=3000)
    compare("1 KiB over HTTP/1.1, 30 connections, 3,000 requests a second", arguments, ALL, "/1k", wanted)


def h2c(arguments):
    wanted = Load(connections=8, streams=16)
    # The backend speaks HTTP/1.1 alone, and so do all hops behind the gateways.
    field = [name for name in ALL if name != "direct"]
    compare("1 KiB over HTTP/2 in clear, 8 connections of 16 streams", arguments, field, "/1k", wanted, http2=True)


def jwt(arguments):
    """What it costs to know the caller: no token, one token, and more tokens than are remembered."""
    with Stage(arguments.msctl) as stage:
        minted = tokens.Minted(stage)
        auth = {"config": lambda *a, **k: contenders.ours(*a, **k, auth=minted.auth)}
        rows = {
            "public route": ({}, Load()),
            "one token, remembered": (auth, Load(headers=[f"Authorization: Bearer {minted.tokens[0]}"])),
            f"{len(minted.tokens):,} tokens in turn": (auth, Load(script=str(minted.script()))),
        }
        measured = {name: [] for name in rows}
        for _ in range(arguments.rounds):
            for name, (scene, wanted) in rows.items():
                measured[name] += [once(stage, "msctl", "/1k", wanted, arguments, **scene)]
        table("A JWT (EdDSA) verified, 1 KiB over HTTP/1.1, 64 connections", measured)


def growth(arguments):
    """The same request where there is more around it."""
    counts = {"1 route": dict(), "100 routes": dict(routes=paths(99)), "10,000 routes": dict(routes=paths(9_999))}
    with Stage(arguments.msctl, addresses=200) as stage:
        counts |= {f"{n} replicas": dict(endpoints=stage.endpoints[:n]) for n in (2, 200)}
        measured = {name: [] for name in counts}
        for _ in range(arguments.rounds):
            for name, more in counts.items():
                config = lambda *a, more=more, **k: contenders.ours(*a, **k, **more)
                measured[name] += [once(stage, "msctl", "/1k", Load(), arguments, config=config)]
        table("More routes, more replicas: 1 KiB over HTTP/1.1, 64 connections", measured)


def paths(count):
    return [f"/group-{n // 100}/thing-{n % 100}" for n in range(count)]


def idle(arguments):
    """Connections that rest while 64 others are busy."""
    counts = [0, 100, 1_000, 9_900]
    measured = {f"{name}, {count:,} idle": [] for name in SMALL_FIELD for count in counts}
    with Stage(arguments.msctl) as stage:
        for _ in range(arguments.rounds):
            for name in SMALL_FIELD:
                for count in counts:
                    with resting(count) as rest:
                        outcome = once(stage, name, "/1k", Load(), arguments, meanwhile=rest)
                        measured[f"{name}, {count:,} idle"] += [outcome]
    table("Idle connections beside 64 busy ones, 1 KiB over HTTP/1.1", measured)


@contextlib.contextmanager
def resting(count):
    """Gives a function that opens `count` connections to a port, each after one answered request."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    opened = []

    def rest(front):
        host, port = front.removeprefix("http://").split(":")
        for _ in range(count):
            connection = socket.create_connection((host, int(port)), 5)
            connection.sendall(b"GET /1k HTTP/1.1\r\nhost: bench\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200"), "an idle connection was refused"
            opened.append(connection)

    try:
        yield rest
    finally:
        for connection in opened:
            connection.close()


def isolation(arguments):
    """A service that never answers, and what those feel who ask for another one."""
    wanted = Load(connections=30, rate=3000)
    measured = {f"{name}, {scene}": [] for name in SMALL_FIELD for scene in ("alone", "beside a silent service")}
    with Stage(arguments.msctl) as stage:
        for _ in range(arguments.rounds):
            for name in SMALL_FIELD:
                with silence() as slow:
                    measured[f"{name}, alone"] += [once(stage, name, "/1k", wanted, arguments, slow=slow)]
                    with besieged() as siege:
                        outcome = once(stage, name, "/1k", wanted, arguments, slow=slow, meanwhile=siege)
                        measured[f"{name}, beside a silent service"] += [outcome]
    table("400 requests wait for a service that never answers; another one at 3,000 requests a second", measured)


@contextlib.contextmanager
def silence():
    """Gives an address where the kernel takes connections, and nobody ever answers. Those that have ended still fill
    its queue, so there is a new one for each turn."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(4096)
        yield f"127.0.0.1:{silent.getsockname()[1]}"


@contextlib.contextmanager
def besieged(waiting=400):
    """Gives a function that has so many requests wait for /slow, for as long as this lasts."""
    running = []

    def siege(front):
        command = ["wrk", "-t1", f"-c{waiting}", "-d600s", "--timeout", "600s", f"{front}/slow"]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        port = int(front.rsplit(":", 1)[1])
        while established(port) < waiting:
            time.sleep(0.02)

    try:
        yield siege
    finally:
        for process in running:
            process.kill()
            process.wait()


def established(port):
    """How many clients are connected to that port of loopback."""
    listing = load.output(["ss", "-Htn", "state", "established", f"sport = :{port}"])
    return len(listing.splitlines())


def compare(title, arguments, names, path, wanted, **scene):
    names = [name for name in names if not contenders.missing(name)]
    left_out = [name for name in ALL if contenders.missing(name)]
    measured = {name: [] for name in names}
    with Stage(arguments.msctl) as stage:
        for _ in range(arguments.rounds):
            for name in names:
                measured[name] += [once(stage, name, path, wanted, arguments, **scene)]
    table(title, measured)
    if left_out:
        print(f"Not installed: {', '.join(left_out)}.\n", flush=True)


def once(stage, name, path, wanted, arguments, meanwhile=None, **scene):
    wanted.seconds = arguments.seconds
    with stage.gateway(name, **scene) as (front, process):
        warm = Load(**(vars(wanted) | {"seconds": 1}))
        if load.run(front + path, warm, process).answers == 0:
            raise SystemExit(f"{name} answers nothing as it should at {path}: there is nothing to measure")
        if meanwhile:
            meanwhile(front)
        outcome = load.run(front + path, wanted, process, stage.backend.pid)
    print(f"  {name} {scene and list(scene)}: {outcome}", file=sys.stderr, flush=True)
    return outcome


def table(title, measured):
    """Medians over the rounds, with the least and the most where that says something."""
    print(f"\n### {title}\n")
    print("| | CPU-s per 100,000 | least–most | × nginx | requests/s | p50 | p99 | resident | errors |")
    print("|---|---|---|---|---|---|---|---|---|")
    base = next((median(runs, "cpu") for name, runs in measured.items() if name.startswith("nginx")), None)
    for name, runs in measured.items():
        costs = [run.cpu for run in runs]
        times = f"{median(runs, 'cpu') / base:.2f}" if base and name != "direct" else ""
        print(
            f"| {name} | {median(runs, 'cpu'):.2f} | {min(costs):.2f}–{max(costs):.2f} | {times} "
            f"| {median(runs, 'per_second'):,.0f} | {median(runs, 'p50'):.2f} ms | {median(runs, 'p99'):.2f} ms "
            f"| {max(run.memory for run in runs):.0f} MiB | {sum(run.errors for run in runs)} |"
        )
    print(flush=True)


def median(runs, key):
    return statistics.median(getattr(run, key) for run in runs)


PARTS = {part.__name__: part for part in (small, large, rate, h2c, jwt, growth, idle, isolation)}
