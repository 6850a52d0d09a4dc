"""The service as its clients see it."""

import json
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from exchange.http.app import make_app
from exchange.log import Log
from exchange.settings import Settings


@pytest.fixture
def app():
    return make_app(Settings.from_environment({}), Log())


@pytest.fixture
def client(app):
    return TestClient(app, headers={"X-Request-Id": "r-1"})


def test_a_quote_has_two_rates_as_text_and_a_date(client):
    answer = client.get("/exchanges/USD/BRL")
    assert answer.status_code == 200
    assert answer.json() == {
        "sell": "5.454000",
        "buy": "5.346000",
        "date": datetime.now(UTC).date().isoformat(),
    }


def test_an_unknown_currency_is_not_found(client):
    answer = client.get("/exchanges/USD/JPY")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "the house does not trade JPY",
        "code": "unknown_currency",
        "request_id": "r-1",
        "retryable": False,
    }


@pytest.mark.parametrize(("path", "field"), [("/exchanges/usd/BRL", "from"), ("/exchanges/USD/reais", "to")])
def test_what_is_no_currency_is_named(client, path, field):
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/exchangesx/USD/BRL", 404), ("POST", "/exchanges/USD/BRL", 405)],
)
def test_an_unknown_path_or_method_is_a_problem_too(client, method, path, status):
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_answers(client, path):
    assert client.get(path).status_code == 200


def test_every_request_has_an_id_and_a_line_in_the_log(client, capsys):
    assert client.get("/exchanges/USD/BRL").headers["x-request-id"] == "r-1"
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["service"], line["request_id"]) == ("info", "exchange", "r-1")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/exchanges/USD/BRL", 200)


def test_code_that_breaks_is_answered_and_its_cause_stays_in_the_log(app, client, capsys):
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the secret of the house")

    answer = client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "the secret of the house" in capsys.readouterr().out
