"""One JSON object a line on standard output, which is where the platform reads logs."""

import json
import sys
from datetime import UTC, datetime

LEVELS = ("debug", "info", "warn", "error")


class Log:
    """Writes what happens in one service, from a level upwards."""

    def __init__(self, service: str = "exchange", least: str = "info") -> None:
        self._service = service
        self._least = LEVELS.index(least) if least in LEVELS else LEVELS.index("info")

    def info(self, message: str, **fields: object) -> None:
        self._write("info", message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._write("error", message, fields)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        if LEVELS.index(level) < self._least:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"timestamp": now, "level": level, "message": message, "service": self._service, **fields}
        print(json.dumps(line), file=sys.stdout, flush=True)
