"""Everything that goes wrong, as RFC 9457 problem details."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request


@dataclass(frozen=True)
class Fault:
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(Exception):
    """Ends a request with an answer that says what went wrong."""

    def __init__(self, status: int, code: str, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.code = code
        self.detail = detail
        self.faults = faults

    def response(self, request_id: str) -> JSONResponse:
        document = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            "retryable": self.status == HTTPStatus.SERVICE_UNAVAILABLE,
        }
        if self.faults:
            document["errors"] = [asdict(fault) for fault in self.faults]
        return JSONResponse(document, self.status, media_type="application/problem+json")


async def answer(request: Request, problem: Problem) -> JSONResponse:
    return problem.response(request.state.request_id)


async def answer_http(request: Request, error: HTTPException) -> JSONResponse:
    """What the framework itself refuses: an unknown path, a method that is not there."""
    status = HTTPStatus(error.status_code)
    response = Problem(status, status.name.lower(), status.description or status.phrase).response(
        request.state.request_id
    )
    response.headers.update(error.headers or {})
    return response


async def answer_unreadable(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = [Fault(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
    return Problem(422, "invalid", "some fields are missing or wrong", faults).response(
        request.state.request_id
    )
