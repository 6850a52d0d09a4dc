"""The processes that are measured: one backend, and the gateways before it, one at a time.

Everything is below one temporary folder and listens on loopback, at ports that were free."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

CONF = Path(__file__).resolve().parent / "conf"
BODY_SMALL = "x" * 1024
BODY_LARGE = 1 << 20


class Stage:
    """The folder, the ports and the backend: nginx, which answers /1k from memory and /1m from a file."""

    def __init__(self, msctl, addresses=1):
        self.msctl = msctl
        self.folder = Path(tempfile.mkdtemp(prefix="msctl-bench-gateway-"))
        self.backend_port, self.port = free_port(), free_port()
        # All of them are the same backend.
        self.endpoints = [f"127.0.{1 + n // 250}.{1 + n % 250}:{self.backend_port}" for n in range(addresses)]
        self.backend = None

    def __enter__(self):
        # Started by root, nginx reads files as somebody else.
        self.folder.chmod(0o711)
        (self.folder / "1m.bin").write_bytes(os.urandom(BODY_LARGE))
        listen = "\n".join(f"listen {endpoint} backlog=4096;" for endpoint in self.endpoints)
        path = self.written("backend.nginx.conf", LISTEN=listen, BODY=BODY_SMALL)
        self.backend = self.spawn(["nginx", "-c", path, "-e", self.folder / "backend.err"])
        self.wait_for(self.backend, self.endpoints[0])
        return self

    def __exit__(self, *_):
        if self.backend:
            stop(self.backend)
        shutil.rmtree(self.folder)

    def written(self, name, **values):
        """A configuration made of the template of that name."""
        values |= {"DIR": self.folder, "PORT": self.port, "UPSTREAM": self.endpoints[0]}
        text = (CONF / f"{name}.in").read_text()
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        return self.file(name, text)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    @contextlib.contextmanager
    def gateway(self, contender, **scene):
        """Runs one of `contenders.CONTENDERS`; gives its URL's front and its process."""
        if contender == "direct":
            yield f"http://{self.endpoints[0]}", self.backend.pid
            return
        from contenders import CONTENDERS

        process = self.spawn(*CONTENDERS[contender].start(self, **scene))
        try:
            self.wait_for(process, f"127.0.0.1:{self.port}")
            yield f"http://127.0.0.1:{self.port}", process.pid
        finally:
            stop(process)

    def spawn(self, command, environment=None):
        log = open(self.folder / "log", "ab")
        # A group of its own, so that nothing else can be hit when it is stopped.
        return subprocess.Popen(
            [str(part) for part in command], env=os.environ | (environment or {}), cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )

    def wait_for(self, process, address, seconds=20):
        host, port = address.split(":")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 0.5):
                return
            time.sleep(0.02)
        stop(process)
        raise SystemExit(f"{process.args[0]} does not serve {address}:\n{(self.folder / 'log').read_text()[-2000:]}")


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
