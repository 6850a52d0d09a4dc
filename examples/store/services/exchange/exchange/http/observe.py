"""What surrounds every request: its id, its line in the log, and an answer even when code breaks.

Plain ASGI, because the framework's own middleware classes buffer and lose cancellations.
"""

import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.http.problem import Problem
from exchange.log import Log


class Observe:
    def __init__(self, app: ASGIApp, log: Log) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        request_id = Headers(scope=scope).get("x-request-id") or str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        error = None
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as caught:  # the last place that can still answer
            error = repr(caught)
            if status == 0:
                broken = Problem(500, "internal", "something broke on our side").response(request_id)
                await broken(scope, receive, send_with_id)
        self._record(scope, request_id, status, started, error)

    def _record(self, scope: Scope, request_id: str, status: int, started: float, error: str | None) -> None:
        fields = {
            "request_id": request_id,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "duration_ms": round((time.monotonic() - started) * 1000),
        }
        if error:
            self._log.error("request", **fields, error=error)
        else:
            self._log.info("request", **fields)
