"""The names of currencies."""

import re
from dataclasses import dataclass
from typing import Self


class NotACurrency(Exception):
    """The text is no currency code at all."""


@dataclass(frozen=True)
class Currency:
    """A code of three capital letters, as in ISO 4217."""

    code: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not re.fullmatch(r"[A-Z]{3}", text):
            raise NotACurrency(f"{text!r} is not a currency: write three capital letters, such as USD")
        return cls(text)

    def __str__(self) -> str:
        return self.code
