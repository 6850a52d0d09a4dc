"""Rungs 4 and 5: services that call each other, and stores that keep."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from decimal import ROUND_HALF_UP, Decimal

from rungs.store import NOWHERE, Answer, Json, Store
from rungs.tokens import claims_of


def are_placed(store: Store, coffee: Json) -> Json:
    token = store.ana.token
    items = [{"product": coffee["id"], "quantity": 3}]
    placed = store.post("/orders", {"items": items, "total": "0.01"}, token)
    store.check("an order is placed", placed.status == 201, placed)
    store.check("with the product's own price", placed.body["total"] == "37.50", placed)
    store.check(
        "and has a place", placed.headers.get("location") == f"/orders/{placed.body['id']}", placed.headers
    )
    missing = store.post("/orders", {"items": [*items, {"product": NOWHERE, "quantity": 1}]}, token)
    named = missing.blames("items[1].product") and NOWHERE in json.dumps(missing.body)
    store.check("a product that is missing is named", named, missing)
    none_of_it = [{"product": coffee["id"], "quantity": 0}]
    wrongs: list[Json] = [{}, {"items": []}, {"items": none_of_it}, {"items": "coffee"}]
    for wrong in wrongs:
        answer = store.post("/orders", wrong, token)
        store.check(f"{json.dumps(wrong)} is no order", answer.is_problem(422), answer)
    return placed.body


def are_placed_once(store: Store, coffee: Json) -> None:
    key = {"Idempotency-Key": secrets.token_hex(8)}

    def place(quantity: int) -> Answer:
        body = {"items": [{"product": coffee["id"], "quantity": quantity}]}
        return store.post("/orders", body, store.ana.token, headers=key)

    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(place, [1] * 4), place(1)]
    created = {answer.status for answer in answers} == {201}
    once = len({answer.body.get("id") for answer in answers}) == 1
    store.check("the same key and body place one order, however fast they come", created and once, *answers)
    other = place(2)
    store.check("the same key with another body is refused", other.is_problem(422), other)


def are_converted(store: Store, order: Json) -> None:
    path = f"/orders/{order['id']}"
    answer = store.get(f"{path}?currency=BRL", store.ana.token)
    converted = answer.body.get("converted", {})
    sell = Decimal(store.get("/exchanges/USD/BRL", store.ana.token).body["sell"])
    total = (Decimal(order["total"]) * sell).quantize(Decimal("0.01"), ROUND_HALF_UP)
    store.check("an order is shown in another currency", converted.get("currency") == "BRL", answer)
    store.check("to the cent", converted.get("total") == str(total), answer)
    for currency in ("XXX", "reais", "../../accounts"):
        answer = store.get(f"{path}?currency={currency}", store.ana.token)
        store.check(f"but not in {currency}", answer.blames("currency"), answer)


def belong_to_people(store: Store, order: Json) -> None:
    ana, rui = store.ana, store.rui
    path = f"/orders/{order['id']}"
    kept = store.get(path, ana.token)
    store.check("an order is kept as it was placed", kept.body == order, kept)
    own = store.get("/orders", ana.token).body["items"]
    store.check("and listed", order in own, own)
    none = store.get(f"/orders/{NOWHERE}", rui.token)
    store.check("a missing order is not found", none.is_problem(404), none)
    theirs = store.get(path, rui.token)
    store.check("somebody else's looks the same", theirs.same_as(none), theirs)
    for caller in (store.seller, store.admin):
        answer = store.get(path, caller)
        store.check(
            f"even to a caller with the scope {claims_of(caller).get('scope')}",
            answer.is_problem(404),
            answer,
        )
    listed = store.get("/orders", rui.token)
    store.check("and is in nobody else's list", listed.body == {"items": []}, listed)


def outlive_their_products(store: Store, coffee: Json, order: Json) -> None:
    gone = store.ask("DELETE", f"/products/{coffee['id']}", store.seller)
    kept = store.get(f"/orders/{order['id']}", store.ana.token)
    outlived = gone.status == 204 and kept.body == order
    store.check("an order stays what it was when its product is gone", outlived, gone, kept)
