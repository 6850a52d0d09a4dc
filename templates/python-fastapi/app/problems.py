"""Everything that is answered instead of a result (RFC 9457)."""

import logging
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.logs import request_id

Fault = dict[str, str]


class Problem(Exception):
    """Raised wherever a request cannot be answered; `code` is what programs go by."""

    def __init__(self, status: int, code: str, detail: str, errors: list[Fault] | None = None):
        super().__init__(detail)
        self.status, self.code, self.detail, self.errors = status, code, detail, errors


def unauthenticated() -> Problem:
    return Problem(401, "unauthenticated", "the request names no user")


def not_found() -> Problem:
    """There is none, or it is someone else's: the answer is the same, so nobody can find out."""
    return Problem(404, "not_found", "you have nothing with this id")


def not_json() -> Problem:
    return Problem(415, "unsupported_media_type", "send the body as application/json")


def too_large(limit: int) -> Problem:
    return Problem(413, "body_too_large", f"the body is larger than {limit} bytes")


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id.get(),
        "retryable": problem.status == 503,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return JSONResponse(body, problem.status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Makes every error of the framework look like the service's own."""
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_framework_error)
    app.add_exception_handler(sqlite3.Error, on_database_error)
    app.add_exception_handler(Exception, on_defect)


def on_problem(_: Request, problem: Problem) -> JSONResponse:
    return answer(problem)


def on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    """Text that is no JSON is malformed; JSON of another shape breaks a rule of a field."""
    faults = [(fault["type"], fault["loc"], fault["msg"]) for fault in error.errors()]
    for kind, place, message in faults:
        if kind == "json_invalid" or (kind == "missing" and place == ("body",)):
            return answer(Problem(400, "malformed_json", f"the body is not JSON: {message}"))
    errors = [{"field": name_of(place), "message": message} for _, place, message in faults]
    return answer(Problem(422, "invalid", "some fields break a rule", errors))


def name_of(place: tuple[str | int, ...]) -> str:
    """`("body", "name")` is the field `name`."""
    return ".".join(str(part) for part in place[1:]) or str(place[0])


def on_framework_error(request: Request, error: HTTPException) -> JSONResponse:
    path, method = request.url.path, request.method
    match error.status_code:
        case 404:
            return answer(Problem(404, "unknown_path", f"nothing is at {path}"))
        case 405:
            problem = Problem(405, "method_not_allowed", f"{path} does not know {method}")
            return answer(problem, {"allow": ", ".join(methods_at(request))})
        case status:
            return answer(Problem(status, "refused", str(error.detail)), error.headers)


def methods_at(request: Request) -> list[str]:
    routes = [r for r in request.app.routes if r.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in routes for method in route.methods})


def on_database_error(_: Request, error: sqlite3.Error) -> JSONResponse:
    """The caller learns that it was not their fault, the log learns why."""
    logging.error("the database did not answer", exc_info=error)
    detail = "the service cannot reach its data at the moment"
    return answer(Problem(503, "unavailable", detail))


def on_defect(_: Request, __: Exception) -> JSONResponse:
    return answer(Problem(500, "internal", "the service made a mistake"))
