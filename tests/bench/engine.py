"""As much of the engine's API as measuring takes, on its unix socket."""

import hashlib
import http.client
import io
import json
import os
import platform
import socket
import tarfile
from urllib.parse import quote

SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


class _Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


def ask(method, path, body=None, kind="application/json"):
    """Sends one request; gives the answer's JSON, or its text where it is none."""
    connection = _Connection("engine")
    connection.request(method, path, body, {"content-type": kind})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 400 and not (method == "DELETE" and answer.status == 404):
        raise SystemExit(f"{method} {path}: {answer.status} {text.decode()}")
    try:
        return json.loads(text)
    except ValueError:
        return text.decode()


def ours(platform_name):
    """The containers and the network that msctl made for a platform, as orders to make them again."""
    mine = quote(json.dumps({"label": [f"dev.msctl.platform={platform_name}"]}))
    containers = {}
    for found in ask("GET", f"/containers/json?filters={mine}"):
        seen = ask("GET", f"/containers/{found['Id']}/json")
        containers[seen["Name"].removeprefix("/")] = seen["Config"] | {"HostConfig": seen["HostConfig"]}
    networks = ask("GET", f"/networks?filters={mine}")
    network = {key: networks[0][key] for key in ("Name", "Driver", "Labels", "Options")}
    return {"network": network, "containers": containers}


def order(**fields):
    """The body of a request."""
    return json.dumps(fields)


def load(tag, program):
    """Loads an image with nothing in it but `program`, as /program."""
    with open(program, "rb") as file:
        load_bytes(tag, file.read())


def load_bytes(tag, program):
    """The same, where the program's bytes are at hand."""
    layer = tar({"program": (0o755, program)})
    digest = hashlib.sha256(layer).hexdigest()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    config = json.dumps({
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": ["/program"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
    files = {name: config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    archive = tar({path: (0o644, content) for path, content in files.items()})
    ask("POST", "/images/load", archive, "application/x-tar")


def remove_image(tag):
    ask("DELETE", f"/images/{quote(tag)}")


def description():
    said = ask("GET", "/version")
    return f"{said['Version']} (API {said['ApiVersion']})"


def tar(files):
    """An archive of files: each path with its mode and its bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, (mode, content) in files.items():
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size = mode, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
