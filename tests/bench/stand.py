"""A platform of the measurement's own, below a temporary folder, that leaves nothing behind."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import engine
from measure import timed

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
IMAGE = "msctl-bench/responder:1"


class Tools:
    """The programs that measuring takes. Built in release, unless a ready `msctl` is given."""

    def __init__(self, msctl=None):
        cargo("build", "--release", "--locked", "--quiet", "--example", "bare_client")
        self.bare_client = TARGET / "release/examples/bare_client"
        if msctl is None:
            cargo("build", "--release", "--locked", "--quiet")
        self.msctl = Path(msctl or TARGET / "release/msctl").resolve()


def cargo(*arguments):
    subprocess.run(["cargo", *arguments], cwd=ROOT, check=True)


def compile_responder(folder):
    """The service that the tests run, as a static program."""
    return compile_program(ROOT / "tests/fixtures/responder/main.rs", folder / "responder")


def compile_program(source, program):
    """A static program of one file and the standard library."""
    flags = ["-O", "-Cstrip=symbols", "-Ctarget-feature=+crt-static", "--edition=2024"]
    triple = f"{os.uname().machine}-unknown-linux-gnu"
    subprocess.run(["rustc", *flags, f"--target={triple}", "-o", program, source], check=True)
    return program


class Stand:
    """`services` services with `replicas` instances each, all of one image that is there already.

    With `stubborn`, one of them ignores SIGTERM and has to be killed when its grace has passed."""

    def __init__(self, tools, name, services, replicas=1, stubborn=False):
        self.tools, self.name = tools, f"bench-{name}"
        self.folder = Path(tempfile.mkdtemp(prefix="msctl-bench-"))
        self.output = self.folder / "output"
        self.environment = dict(os.environ) | {
            "MSCTL_STATE_DIR": str(self.folder / "state"),
            "MSCTL_DIRECTORY": str(self.folder / "platform"),
        }
        write(self.folder / "platform/msctl.toml", platform_file(self.name))
        for number in range(1, services + 1):
            text = service_file(number, replicas) + (STUBBORN if stubborn and number == 1 else "")
            write(self.folder / f"platform/services/s{number}/service.toml", text)

    def __enter__(self):
        engine.load(IMAGE, compile_responder(self.folder))
        return self

    def __exit__(self, *_):
        self.msctl("down", "--volumes", "--yes")
        engine.remove_image(IMAGE)
        shutil.rmtree(self.folder)

    def msctl(self, *arguments, out=None):
        """Runs msctl; gives how many milliseconds it took."""
        argv = [str(self.tools.msctl), *arguments]
        return timed(argv, self.environment, str(out or self.output))

    def up(self):
        return self.msctl("up", "-d", "--runtime", "docker")

    def down(self):
        return self.msctl("down")

    def status(self):
        return status_of(self.msctl, self.output)

    def bare(self):
        """The same containers by the bare client; its figures. The platform has to be down."""
        out = self.folder / "figures"
        timed([str(self.tools.bare_client), str(self.folder / "order.json")], self.environment, str(out))
        return json.loads(out.read_text())

    def learn(self):
        """Notes for the bare client what msctl made. The platform has to be up."""
        order = engine.ours(self.name) | {"port": 8080, "health": "/health/ready"}
        write(self.folder / "order.json", json.dumps(order))
        return len(order["containers"])


def status_of(msctl, output):
    """What `msctl ps` says of the platform; `msctl` runs it and writes what it prints to `output`."""
    msctl("ps", "--format", "json")
    return json.loads(output.read_text())


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def platform_file(name):
    return f'[platform]\nname = "{name}"\nservices = ["services/*"]\n[gateway]\nlisten = "127.0.0.1:0"\n'


def service_file(number, replicas):
    return f"""\
[service]
name = "s{number}"
[build]
strategy = "image"
image = "{IMAGE}"
[run]
port = 8080
replicas = {replicas}
stop_grace = "2s"
[[routes]]
path = "/s{number}"
access = "public"
"""


STUBBORN = """\
[configuration]
IGNORE_TERM = "1"
"""
