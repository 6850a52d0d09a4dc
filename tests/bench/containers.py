"""`up` and `down`, beside a client that does nothing but ask the engine for the same containers."""

from dataclasses import dataclass

from measure import median, milliseconds, table
from stand import Stand


@dataclass(frozen=True)
class Size:
    label: str
    services: int
    replicas: int = 1
    stubborn: bool = False


SIZES = (
    Size("5 services", 5),
    Size("20 services", 20),
    Size("20 of one service", 1, 20),
    Size("20 services, one of which ignores SIGTERM for 2 s", 20, stubborn=True),
)
UP_TARGET = 250
DOWN_TARGET = 500


def rounds(tools, count):
    """Measures every size; ours and the floor take turns, so that both meet the same machine."""
    return [(size, *size_rounds(tools, size, count)) for size in SIZES]


def size_rounds(tools, size, count):
    ups, downs, floors = [], [], []
    with Stand(tools, "containers", size.services, size.replicas, size.stubborn) as stand:
        # The first round only warms the engine up, and teaches the bare client what to ask for.
        stand.up()
        made = stand.learn()
        assert made == size.services * size.replicas, f"{made} containers for {size}"
        stand.down()
        stand.bare()
        for _ in range(count):
            ups.append(stand.up())
            downs.append(stand.down())
            floors.append(stand.bare())
    return ups, downs, floors


def print_up(measured):
    rows = []
    for size, ups, _, floors in measured:
        floor = [figures["up"] for figures in floors]
        network = [figures["network"] for figures in floors]
        over = overhead(ups, floor)
        verdict = "" if over < UP_TARGET else "missed"
        cells = [median(ups), min(ups), max(ups), median(floor), median(network), over]
        rows.append([size.label, *map(milliseconds, cells), verdict])
    headings = ["instances", "`up -d`", "least", "most", "floor", "of it the network",
                "over the floor", f"target < {UP_TARGET} ms"]
    table("up", headings, rows)


def print_down(measured):
    rows = []
    for size, _, downs, floors in measured:
        stop = [figures["slowest_stop"] for figures in floors]
        floor = [figures["down"] for figures in floors]
        over = overhead(downs, stop)
        verdict = "" if over < DOWN_TARGET else "missed"
        cells = [median(downs), min(downs), max(downs), median(stop), over, median(floor)]
        rows.append([size.label, *map(milliseconds, cells), verdict])
    headings = ["instances", "`down`", "least", "most", "slowest stop", "over it",
                "floor: stop, remove all", f"target < {DOWN_TARGET} ms over"]
    table("down", headings, rows)


def overhead(ours, floor):
    """The median difference between the two halves of a round, which met the machine in one mood."""
    return median([mine - least for mine, least in zip(ours, floor, strict=True)])
