"""Keeps items in SQLite, each for its owner alone: every statement names the owner."""

import sqlite3
from datetime import datetime
from threading import Lock
from typing import Any

from app.domain import Item

# The longest list that is given out at once.
MAX_LISTED = 200

# While one version of the service replaces another, both have the file open.
BUSY_TIMEOUT_SECONDS = 5

SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS items (
        id         TEXT PRIMARY KEY,
        owner      TEXT NOT NULL,
        name       TEXT NOT NULL,
        note       TEXT NOT NULL,
        created_at TEXT NOT NULL -- RFC 3339, UTC
    );
    CREATE INDEX IF NOT EXISTS items_by_owner ON items (owner, created_at);
"""

COLUMNS = "id, name, note, created_at"


class Store:
    """One connection, one statement at a time."""

    def __init__(self, url: str | None = None) -> None:
        """Opens the file that `url` names; without one, everything is kept in memory only."""
        self._lock = Lock()
        self._connection = sqlite3.connect(
            path_of(url) if url else ":memory:",
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        self._connection.executescript(SCHEMA)

    def insert(self, owner: str, item: Item) -> None:
        values = (item.id, owner, item.name, item.note, item.created_at.isoformat())
        self._run("INSERT INTO items VALUES (?, ?, ?, ?, ?)", *values)

    def list(self, owner: str) -> list[Item]:
        """The owner's items, the newest first."""
        order = "ORDER BY created_at DESC, rowid DESC LIMIT ?"
        sql = f"SELECT {COLUMNS} FROM items WHERE owner = ? {order}"
        return [item_of(row) for row in self._query(sql, owner, MAX_LISTED)]

    def find(self, owner: str, id: str) -> Item | None:
        rows = self._query(f"SELECT {COLUMNS} FROM items WHERE owner = ? AND id = ?", owner, id)
        return item_of(rows[0]) if rows else None

    def delete(self, owner: str, id: str) -> bool:
        """Says whether there was such an item."""
        return self._run("DELETE FROM items WHERE owner = ? AND id = ?", owner, id) > 0

    def check(self) -> None:
        """Raises when the database does not answer."""
        self._query("SELECT count(*) FROM items")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _run(self, sql: str, *values: str) -> int:
        """The number of rows that changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def _query(self, sql: str, *values: str | int) -> "list[Any]":
        with self._lock:
            return self._connection.execute(sql, values).fetchall()


def path_of(url: str) -> str:
    """`sqlite:///data/orders.db` is the file `/data/orders.db`."""
    path = url.removeprefix("sqlite://")
    if path == url or not path.startswith("/"):
        raise ValueError(f"DATABASE_URL is {url!r}, which is not like sqlite:///data/orders.db")
    return path


def item_of(row: tuple[str, str, str, str]) -> Item:
    id, name, note, created_at = row
    return Item(id=id, name=name, note=note, created_at=datetime.fromisoformat(created_at))
