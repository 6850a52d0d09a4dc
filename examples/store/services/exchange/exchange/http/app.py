"""Puts the parts together."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from exchange.http import health, problem, quotes
from exchange.http.observe import Observe
from exchange.log import Log
from exchange.settings import Settings


def make_app(settings: Settings, log: Log) -> FastAPI:
    app = FastAPI(title="exchange", version="0.1.0", docs_url=None, redoc_url=None)
    app.state.rates = settings.rates
    app.include_router(quotes.router)
    app.include_router(health.router, prefix="/health")
    app.add_exception_handler(problem.Problem, problem.answer)
    app.add_exception_handler(HTTPException, problem.answer_http)
    app.add_exception_handler(RequestValidationError, problem.answer_unreadable)
    app.add_middleware(Observe, log=log)
    return app
