"""Puts the service together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from app import health, items, problems
from app.requests import Requests
from app.store import Store


def create_application(store: Store) -> ASGIApp:
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=close_store)
    app.state.store = store
    app.include_router(items.router)
    app.include_router(health.router)
    problems.install(app)
    return Requests(app)


@asynccontextmanager
async def close_store(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.store.close()
