"""Starts the service: settings, store, HTTP, until it is asked to stop."""

import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn

from app import logs
from app.application import create_application
from app.settings import Settings
from app.store import Store

# How long requests that are being handled may take after the service was asked to stop.
GRACE_SECONDS = 5


def main() -> None:
    settings = Settings.from_environment()
    logs.configure(settings)
    store = Store(settings.database_url)
    listener = socket.create_server((settings.host, settings.port), backlog=1024)
    logging.info("listening", extra={"fields": {"port": listener.getsockname()[1]}})
    # uvicorn finishes its requests first and hands the signal on afterwards: a success by then.
    for asked_to_stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked_to_stop, exit_successfully)
    config = uvicorn.Config(
        create_application(store),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


def exit_successfully(_signal: int, _frame: FrameType | None) -> None:
    logging.info("stopped")
    sys.exit(0)


if __name__ == "__main__":
    main()
