"""Reads the settings and serves until it is asked to stop."""

import signal
import sys

import uvicorn

from exchange.http.app import make_app
from exchange.log import Log
from exchange.settings import Settings, SettingsError


def main() -> int:
    log = Log()
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        log.error("failed to start", error=str(error))
        return 1
    log = Log(settings.service, settings.log_level)
    log.info("starting", port=settings.port, generation=settings.generation)
    # Uvicorn stops at SIGTERM once the requests under way are done, and then raises the signal again
    # for whoever handled it before. That is us, and there is nothing left to do.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.run(
        make_app(settings, log),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
