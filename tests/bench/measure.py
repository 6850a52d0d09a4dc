"""Figures and tables: medians, percentiles, Markdown."""

import math
import os
import statistics
import time


def median(values):
    return statistics.median(values)


def percentile(values, share):
    """The smallest value that `share` percent of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def milliseconds(value):
    return f"{value:,.0f} ms" if abs(value) >= 100 else f"{value:.1f} ms"


def table(title, headings, rows):
    """Prints a Markdown table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def timed(argv, environment, out):
    """Runs a program and gives the milliseconds until it has ended. Fails if the program does."""
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    begun = time.perf_counter()
    child = os.posix_spawn(argv[0], argv, environment, file_actions=files)
    _, status = os.waitpid(child, 0)
    took = (time.perf_counter() - begun) * 1000
    if status != 0:
        said = "" if out == os.devnull else open(out, encoding="utf-8").read()
        raise SystemExit(f"{' '.join(argv)} failed:\n{said}")
    return took
