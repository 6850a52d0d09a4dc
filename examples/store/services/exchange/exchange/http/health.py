"""Alive: the process answers. Ready: it can do its work, which for this service is the same,
because it does not start with a table that it cannot read."""

from fastapi import APIRouter

router = APIRouter()


@router.get("/live")
async def live() -> dict[str, str]:
    return {"status": "live"}


@router.get("/ready")
async def ready() -> dict[str, str]:
    return {"status": "ready"}
