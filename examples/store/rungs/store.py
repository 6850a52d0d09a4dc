"""A running store as its clients see it: the gateway, and what it answers."""

import http.client
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

NOWHERE = "01890000-0000-7000-8000-000000000000"
"""A version 7 UUID that nothing has."""

Json = Any
"""Whatever JSON can say."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    cookies: list[str]
    body: Json
    seconds: float

    def is_problem(self, *statuses: int) -> bool:
        """An RFC 9457 document that can be found again in the logs."""
        return (
            self.status in statuses
            and self.headers.get("content-type", "").startswith("application/problem+json")
            and self.body["status"] == self.status
            and self.body["request_id"] == self.headers.get("x-request-id")
            and all(self.body.get(name) for name in ("type", "title", "detail", "code"))
            and isinstance(self.body["retryable"], bool)
        )

    def blames(self, name: str) -> bool:
        """A 422 that names this field."""
        return self.is_problem(422) and name in [fault["field"] for fault in self.body.get("errors", [])]

    def same_as(self, other: "Answer") -> bool:
        """Nobody could tell the two apart."""
        mine, theirs = ({**each.body, "request_id": None} for each in (self, other))
        return self.status == other.status and bool(mine == theirs)

    def __str__(self) -> str:
        return f"{self.status} {json.dumps(self.body)[:300]}"


@dataclass
class Person:
    name: str
    email: str
    password: str
    id: str = ""
    token: str = ""
    refresh_token: str = ""
    cookie: str = ""


def somebody(name: str) -> Person:
    return Person(name, f"{name.lower()}-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(12))


@dataclass
class Store:
    """The gateway of a running store, and what was found out about it so far."""

    gateway: str
    seller: str
    admin: str
    ana: Person = field(default_factory=lambda: somebody("Ana"))
    rui: Person = field(default_factory=lambda: somebody("Rui"))
    rung: int = 0
    passed: int = 0
    failed: int = 0

    def ask(
        self,
        method: str,
        path: str,
        token: str = "",
        body: Json = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends the path exactly as it is written, which ready-made clients would tidy up."""
        address = urlsplit(self.gateway)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=15)
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        started = time.monotonic()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.headers.get_all("Set-Cookie") or [],
            parsed(text),
            time.monotonic() - started,
        )

    def get(self, path: str, token: str = "", **more: Any) -> Answer:
        return self.ask("GET", path, token, **more)

    def post(self, path: str, body: Json, token: str = "", **more: Any) -> Answer:
        return self.ask("POST", path, token, body, **more)

    def check(self, what: str, holds: bool, *seen: object) -> None:
        if holds:
            self.passed += 1
            print(f"ok    {self.rung}  {what}")
        else:
            self.failed += 1
            print(f"FAIL  {self.rung}  {what}", *(f"\n         saw {each}" for each in seen), sep="")


def parsed(text: bytes) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return {}
