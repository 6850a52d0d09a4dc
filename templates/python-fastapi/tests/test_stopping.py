"""The real program, from its first line in the log to its last."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.items import COLLECTION


class Service:
    def __init__(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "LOG_LEVEL")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            stdout=subprocess.PIPE,
            env=environment | {"HOST": "127.0.0.1", "PORT": "0", "PYTHONUNBUFFERED": "1"},
        )

    def wait_for(self, message: str) -> dict[str, Any]:
        """Reads the log up to the line with this message; every line is JSON."""
        for text in self.process.stdout or ():
            line = json.loads(text)
            assert line["timestamp"] and line["level"] and line["service"]
            if line["message"] == message:
                return line
        raise AssertionError(f"the log ended without {message!r}")

    def begin_request(self, body: bytes) -> socket.socket:
        """Sends the head of a request and waits until the service asks for the body."""
        connection = socket.create_connection(("127.0.0.1", self.wait_for("listening")["port"]))
        head = (
            f"POST {COLLECTION} HTTP/1.1\r\nhost: test\r\nx-user-id: alice\r\n"
            "x-request-id: r-1\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 100 ")
        return connection


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.process.kill()
    service.process.wait()


def test_a_request_that_has_begun_is_finished_before_the_service_stops(service: Service) -> None:
    body = b'{"name": "tea"}'
    connection = service.begin_request(body)
    service.process.send_signal(signal.SIGTERM)
    service.wait_for("Shutting down")
    connection.sendall(body)
    assert connection.recv(1024).startswith(b"HTTP/1.1 201 ")
    assert service.wait_for("request")["request_id"] == "r-1"
    service.wait_for("stopped")
    assert service.process.wait(timeout=10) == 0


def test_a_request_that_never_ends_does_not_keep_the_service_from_stopping(
    service: Service,
) -> None:
    service.begin_request(b"{}")
    service.process.send_signal(signal.SIGTERM)
    service.wait_for("stopped")
    assert service.process.wait(timeout=10) == 0
