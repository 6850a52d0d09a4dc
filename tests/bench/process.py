"""Commands as whole processes, and what a platform process takes while nothing happens."""

import os
import time

from measure import median, milliseconds, percentile, table, timed
from stand import Stand

COMMANDS = (
    (10, ("--version",)),
    (30, ("ps",)),
    (30, ("token", "issue", "--subject", "alice")),
)
MEMORY_TARGET = 30 * 1024
CPU_TARGET = 0.5
SETTLING = 5
WATCHED = 60


def commands(tools, runs):
    """Every command many times over while a platform of 20 services runs."""
    with Stand(tools, "cli", 20) as stand:
        stand.up()
        true = lambda: timed(["/bin/true"], stand.environment, os.devnull)
        rows = [command_row("`/bin/true`: the floor", "", repeat(runs, true))]
        for target, arguments in COMMANDS:
            times = repeat(runs, lambda: stand.msctl(*arguments, out=os.devnull))
            verdict = f"< {target} ms" + ("" if median(times) < target else ": missed")
            rows.append(command_row(f"`msctl {' '.join(arguments)}`", verdict, times))
    table(f"commands, {runs} runs each", ["command", "median", "p95", "most", "target"], rows)


def repeat(runs, run):
    for _ in range(5):
        run()
    return [run() for _ in range(runs)]


def command_row(name, verdict, times):
    return [name, *map(milliseconds, (median(times), percentile(times, 95), max(times))), verdict]


def idle(tools, seconds=WATCHED):
    """Memory and processor time of the platform process with 20 services and no requests."""
    with Stand(tools, "idle", 20) as stand:
        stand.up()
        pid = stand.status()["pid"]
        time.sleep(SETTLING)
        before = processor_seconds(pid)
        time.sleep(seconds)
        used = processor_seconds(pid) - before
        share = used / seconds * 100
        status, rollup = fields(pid, "status"), fields(pid, "smaps_rollup")
        memory = status["VmRSS"]
        rows = [
            ["resident memory", kibibytes(memory), "< 30 MiB", missed(memory >= MEMORY_TARGET)],
            ["of it private and anonymous", kibibytes(rollup["Private_Dirty"]), "", ""],
            ["proportional share (PSS)", kibibytes(rollup["Pss"]), "", ""],
            ["threads", status["Threads"], "", ""],
            [f"processor time in {seconds} s", f"{used * 1000:.0f} ms", "", ""],
            ["share of one processor", f"{share:.2f} %", f"< {CPU_TARGET} %", missed(share >= CPU_TARGET)],
        ]
    table("the platform process with 20 services, idle", ["", "", "target", ""], rows)


def processor_seconds(pid):
    """Of all threads, those that have ended included; in ticks of ten milliseconds."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        numbers = file.read().rpartition(")")[2].split()
    user, system = int(numbers[11]), int(numbers[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def fields(pid, name):
    """The numbers in a file of lines such as `VmRSS:   1234 kB`."""
    with open(f"/proc/{pid}/{name}", encoding="utf-8") as file:
        pairs = (line.split(":", 1) for line in file if ":" in line)
        words = ((key, value.split()) for key, value in pairs)
        return {key: int(value[0]) for key, value in words if value and value[0].isdigit()}


def kibibytes(value):
    return f"{value / 1024:.1f} MiB"


def missed(is_missed):
    return "missed" if is_missed else ""
