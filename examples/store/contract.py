#!/usr/bin/env python3
"""Holds a running store to its contract, through the gateway and nothing else.

    ./contract.py http://127.0.0.1:8080

Climbs the first five rungs: accounts, the gateway, signing in, services that call each other, stores
that keep. Prints a line for each check, then how many passed, and exits with 1 if any failed.

Some checks need a token with the scope products:write, and one with admin. They come from
STORE_SELLER_TOKEN and STORE_ADMIN_TOKEN, else from `msctl token issue` (MSCTL names the program).

It makes people and products of its own at every run. Some of its checks guess passwords wrongly, so
after three runs within a quarter of an hour the platform rightly asks to wait.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from rungs import accounts, gateway, health, orders, people, products, tokens
from rungs.store import Store


def climb(store: Store) -> None:
    """Each rung stands on the ones before it; one that breaks is one failure, not the end."""
    attempt(store, 0, health.is_good)
    # Before its turn, because everything that follows needs people who are signed in.
    attempt(store, 3, people.register_and_sign_in)
    attempt(store, 1, accounts.belong_to_people)
    attempt(store, 1, accounts.are_open_to_administrators)
    attempt(store, 2, gateway.matches_whole_segments)
    attempt(store, 2, gateway.takes_nobodys_word)
    attempt(store, 2, gateway.numbers_requests)
    attempt(store, 3, people.are_who_they_are)
    attempt(store, 3, tokens.open_only_their_doors)
    attempt(store, 4, buy_and_sell)
    attempt(store, 1, accounts.end)
    attempt(store, 3, people.sign_out)
    attempt(store, 3, people.guess_in_vain)


def buy_and_sell(store: Store) -> None:
    coffee = products.are_sold(store)
    products.are_listed_in_pages(store, coffee)
    products.are_priced_in_any_currency(store)
    order = orders.are_placed(store, coffee)
    orders.are_placed_once(store, coffee)
    orders.are_converted(store, order)
    store.rung = 5
    orders.belong_to_people(store, order)
    orders.outlive_their_products(store, coffee, order)


def attempt(store: Store, rung: int, checks: Callable[[Store], None]) -> None:
    store.rung = rung
    try:
        checks(store)
    except Exception:  # a broken answer must not hide what the other checks find
        room, name = checks.__module__.rpartition(".")[2], checks.__name__.replace("_", " ")
        store.check(f"{room} {name}, to the end", False, traceback.format_exc(limit=-2).strip())


def token_for(variable: str, subject: str, scope: str) -> str:
    if token := os.environ.get(variable):
        return token
    command = [os.environ.get("MSCTL", "msctl"), "token", "issue", "--subject", subject, "--scope", scope]
    issued = subprocess.run(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True, check=True)
    return issued.stdout.strip()


def main() -> int:
    if len(sys.argv) != 2 or not sys.argv[1].startswith("http"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        seller = token_for("STORE_SELLER_TOKEN", "seller", "products:write")
        admin = token_for("STORE_ADMIN_TOKEN", "administrator", "admin")
    except (OSError, subprocess.CalledProcessError) as error:
        print(
            f"failed to get a token: {error}\nhint: set STORE_SELLER_TOKEN and STORE_ADMIN_TOKEN",
            file=sys.stderr,
        )
        return 2
    store = Store(sys.argv[1].rstrip("/"), seller, admin)
    climb(store)
    print(f"{store.passed} passed, {store.failed} failed")
    return 0 if store.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
