"""Around every request: its id, its line in the log, and a limit for its body."""

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import logs
from app.problems import Problem, answer, too_large

# The largest request body that is read, in bytes.
MAX_BODY_BYTES = 64 * 1024

USABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Requests:
    """Wraps the whole application, so that its errors pass through here as well."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = time.monotonic()
        request_id = id_of(Headers(scope=scope))
        token = logs.request_id.set(request_id)
        reply = Reply(send, request_id)
        try:
            await self._handle(scope, receive, reply)
        finally:
            log(scope, reply.status, started)
            logs.request_id.reset(token)

    async def _handle(self, scope: Scope, receive: Receive, reply: "Reply") -> None:
        try:
            await self.app(scope, limited(receive), reply)
        except Problem as problem:
            await answer(problem)(scope, receive, reply)
        except Exception:
            # It has been answered with a 500 by now.
            logging.exception("a request failed")


class Reply:
    """Sends, puts the id on the answer, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.send, self.request_id, self.status = send, request_id, 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["x-request-id"] = self.request_id
        await self.send(message)


def id_of(headers: Headers) -> str:
    """The id that the request came with, or a new one."""
    given = headers.get("x-request-id", "")
    return given if USABLE_ID.fullmatch(given) else str(uuid4())


def limited(receive: Receive) -> Receive:
    """Counts what arrives: a declared length may be missing or wrong."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise too_large(MAX_BODY_BYTES)
        return message

    return receive_limited


def log(scope: Scope, status: int, started: float) -> None:
    path = scope["path"]
    duration = round((time.monotonic() - started) * 1000)
    fields = {"method": scope["method"], "path": path, "status": status, "duration_ms": duration}
    # Probes come all the time and say nothing.
    level = logging.DEBUG if path.startswith("/health/") else logging.INFO
    logging.log(level, "request", extra={"fields": fields})
