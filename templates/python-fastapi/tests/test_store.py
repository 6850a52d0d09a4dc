"""What is kept, and for whom."""

from pathlib import Path

import pytest

from app.domain import Draft, Item
from app.store import Store


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/items.db"
    tea = Item.create(Draft(name=" tea ", note="green"))
    before = Store(url)
    before.insert("alice", tea)
    before.close()
    assert Store(url).find("alice", tea.id) == tea
    assert tea.name == "tea"


def test_nobody_reaches_what_is_someone_elses() -> None:
    store, tea = Store(), Item.create(Draft(name="tea"))
    store.insert("alice", tea)
    assert store.list("bob") == []
    assert store.find("bob", tea.id) is None
    assert not store.delete("bob", tea.id)
    assert store.list("alice") == [tea]


@pytest.mark.parametrize("url", ["postgres://host/db", "sqlite://relative.db", "/data/items.db"])
def test_an_address_that_is_no_sqlite_file_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL"):
        Store(url)
