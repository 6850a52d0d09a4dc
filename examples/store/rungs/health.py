"""Rung 0: it is there."""

from rungs.store import Store

SERVICES = ("account", "product", "order", "exchange")


def is_good(store: Store) -> None:
    for service in SERVICES:
        for probe in ("live", "ready"):
            answer = store.get(f"/{service}/health/{probe}")
            store.check(f"{service} is {probe}, and says so without a token", answer.status == 200, answer)
