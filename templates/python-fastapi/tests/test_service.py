"""The service as its callers see it, without a network in between."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from app.application import create_application
from app.items import COLLECTION
from app.requests import MAX_BODY_BYTES
from app.store import Store

ALICE = {"x-user-id": "alice", "x-request-id": "r-1"}
BOB = {"x-user-id": "bob", "x-request-id": "r-1"}
JSON = {"content-type": "application/json"}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_application(store)) as client:
        yield client


def create(client: TestClient, name: str) -> str:
    """Creates an item for alice and says where it is."""
    reply = client.post(COLLECTION, json={"name": name}, headers=ALICE)
    assert reply.status_code == 201
    return reply.headers["location"]


def check_problem(reply: Response, status: int, code: str) -> None:
    body = reply.json()
    assert (reply.status_code, body["status"], body["code"]) == (status, status, code)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["x-request-id"] == body["request_id"] == "r-1"
    assert body["retryable"] is (status == 503)
    assert all(isinstance(body[text], str) for text in ("type", "title", "detail"))


def test_an_item_is_created_shown_listed_and_removed(client: TestClient) -> None:
    location = create(client, "tea")
    shown = client.get(location, headers=ALICE)
    assert (shown.status_code, shown.json()["name"]) == (200, "tea")
    assert client.get(COLLECTION, headers=ALICE).json() == [shown.json()]

    assert client.delete(location, headers=ALICE).status_code == 204
    check_problem(client.get(location, headers=ALICE), 404, "not_found")
    assert client.get(COLLECTION, headers=ALICE).json() == []


def test_the_newest_item_is_listed_first(client: TestClient) -> None:
    for name in ("first", "second", "third"):
        create(client, name)
    listed = client.get(COLLECTION, headers=ALICE).json()
    assert [item["name"] for item in listed] == ["third", "second", "first"]


def test_what_is_someone_elses_is_not_there(client: TestClient) -> None:
    location = create(client, "tea")
    check_problem(client.get(location, headers=BOB), 404, "not_found")
    check_problem(client.delete(location, headers=BOB), 404, "not_found")
    assert client.get(COLLECTION, headers=BOB).json() == []
    assert client.get(location, headers=ALICE).status_code == 200


def test_a_request_that_names_no_user_is_refused(client: TestClient) -> None:
    reply = client.get(COLLECTION, headers={"x-request-id": "r-1"})
    check_problem(reply, 401, "unauthenticated")


def test_an_invalid_item_names_every_fault(client: TestClient) -> None:
    reply = client.post(COLLECTION, json={"name": " ", "note": "x" * 1001}, headers=ALICE)
    check_problem(reply, 422, "invalid")
    assert [fault["field"] for fault in reply.json()["errors"]] == ["name", "note"]


@pytest.mark.parametrize("body", [{}, {"name": 5}, {"name": None}, {"name": "x" * 101}])
def test_a_name_that_is_none_is_named(client: TestClient, body: dict) -> None:
    reply = client.post(COLLECTION, json=body, headers=ALICE)
    check_problem(reply, 422, "invalid")
    assert [fault["field"] for fault in reply.json()["errors"]] == ["name"]


@pytest.mark.parametrize("body", ["", "{", '{"name": "tea"'])
def test_a_body_that_is_no_json_is_malformed(client: TestClient, body: str) -> None:
    reply = client.post(COLLECTION, content=body, headers=ALICE | JSON)
    check_problem(reply, 400, "malformed_json")


def test_a_body_of_another_type_is_refused(client: TestClient) -> None:
    reply = client.post(COLLECTION, content="x", headers=ALICE | {"content-type": "text/plain"})
    check_problem(reply, 415, "unsupported_media_type")


def test_a_body_that_is_too_large_is_refused(client: TestClient) -> None:
    reply = client.post(COLLECTION, json={"name": "x" * MAX_BODY_BYTES}, headers=ALICE)
    check_problem(reply, 413, "body_too_large")


def test_an_unknown_path_is_a_problem_too(client: TestClient) -> None:
    check_problem(client.get("/nothing/here", headers=ALICE), 404, "unknown_path")


def test_a_method_that_the_path_does_not_know_names_those_it_does(client: TestClient) -> None:
    reply = client.put(COLLECTION, headers=ALICE)
    check_problem(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, POST"


def test_a_request_without_a_usable_id_is_given_one(client: TestClient) -> None:
    for headers in ({}, {"x-request-id": "x" * 129}):
        reply = client.get("/nothing", headers=headers)
        assert len(reply.headers["x-request-id"]) == 36
        assert reply.json()["request_id"] == reply.headers["x-request-id"]


def test_the_service_is_alive_and_ready(client: TestClient) -> None:
    for path in ("/health/live", "/health/ready"):
        assert client.get(path).status_code == 200


def test_a_database_that_is_gone_leaves_it_alive_but_not_ready(
    client: TestClient, store: Store
) -> None:
    store.close()
    assert client.get("/health/live").status_code == 200
    check_problem(client.get("/health/ready", headers=ALICE), 503, "unavailable")
    check_problem(client.get(COLLECTION, headers=ALICE), 503, "unavailable")


def test_a_defect_is_a_problem_that_says_nothing_of_the_inside(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "list", lambda _: 1 / 0)
    reply = client.get(COLLECTION, headers=ALICE)
    check_problem(reply, 500, "internal")
    assert "division" not in reply.text
