"""Rung 2: the gateway, and those who try to get around it."""

from rungs.store import NOWHERE, Store


def matches_whole_segments(store: Store) -> None:
    token = store.ana.token
    for path in ("/ordersx", "/orders-archive", "/productsx", "/auth-x", "/nowhere"):
        answer = store.get(path, token)
        store.check(f"{path} is nobody's", answer.is_problem(404), answer)
    tricks = (
        "/products/../orders",
        "/auth/login/../../orders",
        "/order/health/live/../../../orders",
        "/order/health/ready/..;/..;/..;/orders",
        "/%6frders",
        "/order/health/%2e%2e/%2e%2e/orders",
        "/auth%2f..%2forders",
        "//orders",
        "/orders/",
        "/./orders",
        "/auth/..\\orders",
    )
    for path in tricks:
        answer = store.get(path)
        store.check(f"{path} opens nothing without a token", answer.is_problem(400, 401, 404), answer)
    for path in (f"/orders/../products/{NOWHERE}", f"/%70roducts/{NOWHERE}", f"//products/{NOWHERE}"):
        answer = store.ask("DELETE", path, token)
        store.check(f"DELETE {path} needs the scope all the same", answer.is_problem(400, 403, 404), answer)


def takes_nobodys_word(store: Store) -> None:
    ana, rui = store.ana, store.rui
    for name in ("X-User-Id", "x-user-id", "X_User_Id", "X-Caller-Service"):
        forged = store.get("/orders", headers={name: ana.id})
        store.check(f"{name} from outside makes nobody somebody", forged.is_problem(401), forged)
    own = f"/accounts/{ana.id}"
    for headers in (
        {"X-User-Id": ana.id},
        {"X_User_Id": ana.id},
        {"X-User-Id": ana.id, "Connection": "X-User-Id"},
    ):
        forged = store.get(own, rui.token, headers=headers)
        store.check(f"{headers} makes Rui nobody else", forged.is_problem(404), forged)
    for scope in ("admin", "products:write"):
        forged = store.get(own, rui.token, headers={"X-User-Scopes": scope})
        store.check(f"X-User-Scopes: {scope} gives Rui nothing", forged.is_problem(404), forged)
    coffee = {"name": "Coffee", "price": "12.50", "unit": "kg"}
    forged = store.post("/products", coffee, rui.token, headers={"X-User-Scopes": "products:write"})
    store.check("and lets him sell nothing", forged.is_problem(403), forged)


def numbers_requests(store: Store) -> None:
    first, second = (store.get("/exchanges/USD/BRL", store.ana.token) for _ in range(2))
    ids = {answer.headers.get("x-request-id") for answer in (first, second)}
    store.check("every request has an id of its own", len(ids) == 2 and None not in ids, *ids)
