"""How each gateway is started before the same backend, on two workers."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

WORKERS = 2


@dataclass
class Contender:
    program: str  # that has to be there
    start: Callable  # (stage, **scene) -> the arguments of Stage.spawn


def found(program):
    """Of the PATH, or beside the Python that runs this: pip installs programs there."""
    beside = Path(sys.executable).parent / program
    return shutil.which(program) or (str(beside) if beside.exists() else None)


def missing(name):
    contender = CONTENDERS.get(name)
    return contender is not None and contender.program and not found(contender.program)


def nginx(log):
    def start(stage, http2=False, slow=None):
        path = stage.written(
            "nginx.conf",
            WORKERS=WORKERS,
            LOG=stage.folder / "nginx.log" if log else "off",
            HTTP2="http2" if http2 else "",
            SLOW=slow or stage.endpoints[0],
        )
        return ["nginx", "-c", path, "-e", stage.folder / "nginx.err"], None

    return Contender("nginx", start)


def haproxy(stage, http2=False, slow=None):
    path = stage.written("haproxy.cfg", WORKERS=WORKERS, PROTO="proto h2" if http2 else "", SLOW=slow or stage.endpoints[0])
    return ["haproxy", "-db", "-f", path], None


def envoy(stage, **_):
    host, port = stage.endpoints[0].split(":")
    path = stage.written("envoy.yaml", BACKEND_HOST=host, BACKEND_PORT=port)
    quiet = ["--concurrency", WORKERS, "-l", "error", "--disable-hot-restart"]
    return [found("envoy"), "-c", path, *quiet], None


def traefik(stage, **_):
    stage.written("traefik-routes.yml")
    return [found("traefik"), f"--configFile={stage.written('traefik.yml')}"], {"GOMAXPROCS": str(WORKERS)}


def caddy(stage, **_):
    path = stage.written("Caddyfile")
    return [found("caddy"), "run", "--adapter", "caddyfile", "--config", path], {
        "GOMAXPROCS": str(WORKERS), "HOME": str(stage.folder),
    }


def msctl(log):
    def start(stage, http2=False, slow=None, config=None):
        path = stage.file("gateway.toml", (config or ours)(stage, slow=slow, log=log))
        return [stage.msctl, "gateway", "--config", path], {"MSCTL_STATE_DIR": str(stage.folder / "state")}

    return Contender("", start)


def ours(stage, slow=None, log=True, routes=(), endpoints=None, auth="", extra=""):
    """The configuration of msctl. `routes` come before the one that is measured."""
    target = stage.folder / "msctl.log" if log else "off"
    parts = [f'[[listeners]]\nlisten = "127.0.0.1:{stage.port}"\naccess_log = "{target}"\n', auth, extra]
    parts += [service("app", endpoints or stage.endpoints[:1], ["/", *routes], "authenticated" if auth else "public")]
    parts += [service("slow", [slow], ["/slow"], "public")] if slow else []
    return "\n".join(parts)


def service(name, endpoints, paths, access):
    urls = ", ".join(f'"http://{endpoint}"' for endpoint in endpoints)
    head = f'[[services]]\nname = "{name}"\nprobe = "off"\nendpoints = [{urls}]\n'
    routes = (
        f'[[services.routes]]\npath = "{path}"\nstrip_prefix = false\naccess = "{access}"\n' for path in paths
    )
    return head + "".join(routes)


CONTENDERS = {
    "direct": Contender("", None),
    "nginx": nginx(log=True),
    "nginx, no log": nginx(log=False),
    "haproxy": Contender("haproxy", haproxy),
    "envoy": Contender("envoy", envoy),
    "traefik": Contender("traefik", traefik),
    "caddy": Contender("caddy", caddy),
    "msctl": msctl(log=True),
    "msctl, no log": msctl(log=False),
}
