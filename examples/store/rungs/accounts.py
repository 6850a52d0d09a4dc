"""Rung 1: accounts, which belong to people."""

from rungs.store import NOWHERE, Store


def belong_to_people(store: Store) -> None:
    ana, rui = store.ana, store.rui
    own = store.get(f"/accounts/{ana.id}", ana.token)
    store.check("one's own account is there", own.status == 200 and own.body["id"] == ana.id, own)
    named = store.ask("PUT", f"/accounts/{ana.id}", ana.token, {"display_name": "Ana Lúcia"})
    store.check("it can be changed", named.status == 200 and named.body["display_name"] == "Ana Lúcia", named)
    kept = store.get(f"/accounts/{ana.id}", ana.token)
    store.check("and is kept as it was changed", kept.body == named.body, kept)
    for name in ("", "x" * 65, 7, None):
        answer = store.ask("PUT", f"/accounts/{ana.id}", ana.token, {"display_name": name})
        store.check(f"{str(name)[:8]!r} is nobody's name", answer.blames("display_name"), answer)

    none = store.get(f"/accounts/{NOWHERE}", rui.token)
    store.check("a missing account is not found, and breaks nothing", none.is_problem(404), none)
    for method in ("GET", "PUT", "DELETE"):
        theirs = store.ask(method, f"/accounts/{ana.id}", rui.token, {"display_name": "Rui"})
        store.check(f"{method} of somebody else's looks the same", theirs.same_as(none), theirs)
    everybody = store.get("/accounts", rui.token)
    store.check("nobody lists everybody", everybody.is_problem(403, 404), everybody)


def are_open_to_administrators(store: Store) -> None:
    ana = store.ana
    seen = store.get(f"/accounts/{ana.id}", store.admin)
    store.check("an administrator sees every account", seen.status == 200 and seen.body["id"] == ana.id, seen)


def end(store: Store) -> None:
    rui = store.rui
    store.get(f"/accounts/{rui.id}", rui.token)
    gone = store.ask("DELETE", f"/accounts/{rui.id}", rui.token)
    store.check("one's own account can be removed", gone.status == 204, gone)
    again = store.ask("DELETE", f"/accounts/{rui.id}", rui.token)
    store.check("once", again.is_problem(404), again)
