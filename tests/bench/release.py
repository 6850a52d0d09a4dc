"""The release binary: its size, and how long it takes to build from nothing."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from measure import table
from stand import ROOT


def clean_build():
    """Builds into a folder of its own; what cargo has downloaded is used, what it has built is not."""
    target = Path(tempfile.mkdtemp(prefix="msctl-bench-target-"))
    environment = dict(os.environ) | {"CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "fetch", "--locked", "--quiet"], cwd=ROOT, check=True)
    begun = time.monotonic()
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--offline", "--quiet"],
        cwd=ROOT, env=environment, check=True,
    )
    took = time.monotonic() - begun
    size = (target / "release/msctl").stat().st_size
    shutil.rmtree(target)
    rows = [["clean release build", f"{took:.0f} s"], ["size of the binary", f"{size / 2**20:.1f} MiB"]]
    table("release build", ["", ""], rows)
