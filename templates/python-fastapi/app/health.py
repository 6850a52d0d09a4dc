"""Whether the process lives, and whether it can take requests."""

from fastapi import APIRouter, Request

router = APIRouter(prefix="/health")


@router.get("/live")
def live() -> None:
    pass


@router.get("/ready")
def ready(request: Request) -> None:
    request.app.state.store.check()
