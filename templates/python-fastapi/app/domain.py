"""What the service is about: items, and the rules they obey. Knows nothing of HTTP or SQL."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from pydantic import BaseModel, StringConstraints

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]


class Draft(BaseModel):
    """What somebody would like to keep. Valid once it exists."""

    name: Name
    note: Note = ""


class Item(BaseModel):
    """Something that a user keeps here."""

    id: str
    name: Name
    note: Note
    created_at: datetime

    @staticmethod
    def create(draft: Draft) -> "Item":
        now = datetime.now(UTC)
        return Item(id=str(uuid4()), name=draft.name, note=draft.note, created_at=now)
