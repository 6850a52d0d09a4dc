"""Rung 4: what is for sale, and what money is worth."""

import json
from decimal import Decimal
from uuid import UUID

from rungs.store import NOWHERE, Json, Store


def are_sold(store: Store) -> Json:
    coffee = {"name": "Coffee", "price": "12.50", "unit": "kg"}
    added = store.post("/products", coffee, store.seller)
    kept = added.status == 201 and coffee.items() <= added.body.items()
    store.check("a seller adds a product", kept, added)
    store.check("which has a version 7 UUID", UUID(added.body["id"]).version == 7, added)
    path = added.headers.get("location", "")
    store.check("and a place", path == f"/products/{added.body['id']}", path)
    found = store.get(path, store.ana.token)
    store.check("where everybody who is signed in finds it", found.body == added.body, found)
    for wrong, name in (
        ({**coffee, "name": ""}, "name"),
        ({**coffee, "price": 12.5}, "price"),
        ({**coffee, "price": "-1"}, "price"),
        ({**coffee, "price": "1.005"}, "price"),
        ({"name": "Tea", "price": "1"}, "unit"),
    ):
        answer = store.post("/products", wrong, store.seller)
        store.check(f"{json.dumps(wrong)} is no product", answer.blames(name), answer)
    unreadable = store.ask("POST", "/products", store.seller, headers={"Content-Type": "application/json"})
    store.check("and neither is nothing", unreadable.is_problem(400, 422), unreadable)
    missing = store.get(f"/products/{NOWHERE}", store.ana.token)
    store.check("a missing product is not found", missing.is_problem(404), missing)
    return added.body


def are_listed_in_pages(store: Store, coffee: Json) -> None:
    tea = store.post("/products", {"name": "Tea", "price": "3", "unit": "box"}, store.seller).body
    found, after = [], ""
    while True:
        page = store.get(f"/products?limit=1{after}", store.ana.token).body
        found += [product["id"] for product in page["items"]]
        if page["next"] is None or len(page["items"]) != 1:
            break
        after = f"&after={page['next']}"
    once = found.count(coffee["id"]) == found.count(tea["id"]) == 1
    store.check("pages show every product once", once, found)
    store.check("oldest first", found == sorted(found), found)
    gone = store.ask("DELETE", f"/products/{tea['id']}", store.seller)
    store.check("a seller removes a product", gone.status == 204, gone)
    missing = store.get(f"/products/{tea['id']}", store.ana.token)
    store.check("and it is gone", missing.is_problem(404), missing)


def are_priced_in_any_currency(store: Store) -> None:
    quote = store.get("/exchanges/USD/BRL", store.ana.token)
    known = quote.status == 200 and {"sell", "buy", "date"} <= quote.body.keys()
    store.check("a currency is quoted in another", known, quote)
    dearer = Decimal(quote.body["sell"]) >= Decimal(quote.body["buy"]) > 0
    store.check("and the house loses nothing", dearer, quote)
    unknown = store.get("/exchanges/USD/XXX", store.ana.token)
    store.check("an unknown currency is not found", unknown.is_problem(404), unknown)
    wrong = store.get("/exchanges/dollars/BRL", store.ana.token)
    store.check("and what is none is refused", wrong.is_problem(422), wrong)
