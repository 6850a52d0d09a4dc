"""The rules of `exchange/__init__.py`, as a test."""

from pathlib import Path

DOMAIN = Path(__file__).parent.parent / "exchange" / "domain"


def test_the_domain_names_neither_the_web_nor_the_environment():
    sources = list(DOMAIN.glob("*.py"))
    assert sources
    for source in sources:
        for foreign in ("fastapi", "starlette", "pydantic", "exchange.http", "exchange.settings", "import os"):
            assert foreign not in source.read_text(), f"{source.name} names {foreign}"
