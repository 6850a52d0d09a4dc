"""`up` and `down`, beside a client that does nothing but ask the engine for the same containers."""

from measure import median, milliseconds, table
from stand import Stand

SIZES = (("5", 5, 1), ("20", 20, 1), ("1x20", 1, 20))
UP_TARGET = 250
DOWN_TARGET = 500


def rounds(tools, count):
    """Measures every size; ours and the floor take turns, so that both meet the same machine."""
    return [(name, *size_rounds(tools, name, services, replicas, count)) for name, services, replicas in SIZES]


def size_rounds(tools, name, services, replicas, count):
    ups, downs, floors = [], [], []
    with Stand(tools, name, services, replicas) as stand:
        # The first round only warms the engine up, and teaches the bare client what to ask for.
        stand.up()
        made = stand.learn()
        assert made == services * replicas, f"{made} containers instead of {services * replicas}"
        stand.down()
        stand.bare()
        for _ in range(count):
            ups.append(stand.up())
            downs.append(stand.down())
            floors.append(stand.bare())
    return ups, downs, floors


def print_up(measured):
    rows = []
    for name, ups, _, floors in measured:
        floor = [figures["up"] - figures["network"] for figures in floors]
        network = median([figures["network"] for figures in floors])
        over = median(ups) - median(floor)
        verdict = "" if over - network < UP_TARGET else "missed"
        cells = [median(ups), min(ups), max(ups), median(floor), network, over, over - network]
        rows.append([label(name), *map(milliseconds, cells), verdict])
    headings = ["instances", "`up -d`", "least", "most", "floor: create, start, ready", "network",
                "over the floor", "of it msctl's own", f"target < {UP_TARGET} ms"]
    table("up", headings, rows)


def print_down(measured):
    rows = []
    for name, _, downs, floors in measured:
        stop = median([figures["slowest_stop"] for figures in floors])
        floor = median([figures["down"] for figures in floors])
        over = median(downs) - stop
        verdict = "" if over < DOWN_TARGET else "missed"
        cells = [median(downs), min(downs), max(downs), stop, over, floor]
        rows.append([label(name), *map(milliseconds, cells), verdict])
    headings = ["instances", "`down`", "least", "most", "slowest stop", "over it",
                "floor: stop, remove all", f"target < {DOWN_TARGET} ms over"]
    table("down", headings, rows)


def label(name):
    return "20 of one service" if name == "1x20" else f"{name} services"
