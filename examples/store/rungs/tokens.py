"""Rung 3: what opens a door, and what does not."""

import base64
import json
from uuid import uuid4

from rungs.store import NOWHERE, Json, Store


def open_only_their_doors(store: Store) -> None:
    for path in ("/accounts/x", "/products", "/orders", "/exchanges/USD/BRL"):
        answer = store.get(path)
        store.check(f"{path} needs a token", answer.is_problem(401), answer)
    for what, token in bad_tokens(store.ana.token).items():
        answer = store.get("/orders", token)
        store.check(f"a token {what} is refused", answer.is_problem(401), answer)
    coffee = {"name": "Coffee", "price": "12.50", "unit": "kg"}
    unsold = store.post("/products", coffee, store.ana.token)
    store.check("selling needs a scope", unsold.is_problem(403), unsold)
    removed = store.ask("DELETE", f"/products/{NOWHERE}", store.ana.token)
    store.check("and so does removing", removed.is_problem(403), removed)


def bad_tokens(token: str) -> dict[str, str]:
    """Tokens that nobody issued, made from one that somebody did."""
    header, claims, signature = token.split(".")
    other = claims_of(token)
    return {
        "of another issuer": f"{header}.{encoded({**other, 'iss': 'http://evil.example'})}.{signature}",
        "for another audience": f"{header}.{encoded({**other, 'aud': 'evil'})}.{signature}",
        "of somebody else": f"{header}.{encoded({**other, 'sub': str(uuid4())})}.{signature}",
        "that was given a scope": f"{header}.{encoded({**other, 'scope': 'admin'})}.{signature}",
        "that is not signed": f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{claims}.",
        "with half a signature": f"{header}.{claims}.{signature[: len(signature) // 2]}",
        "that is none": "let-me-in",
    }


def claims_of(token: str) -> Json:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def encoded(part: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
