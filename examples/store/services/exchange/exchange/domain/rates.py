"""What currencies are worth, and at what rates the house trades them.

Rates are `Decimal`, never `float`: a rate multiplies money.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Self

from exchange.domain.currency import Currency, NotACurrency

PLACES = Decimal("0.000001")


class RatesError(Exception):
    """The table is written wrongly."""


class UnknownCurrency(Exception):
    """A currency, but not one of this table."""

    def __init__(self, currency: Currency) -> None:
        super().__init__(f"the house does not trade {currency}")
        self.currency = currency


@dataclass(frozen=True)
class Quote:
    """For one unit of the currency asked about: what the house takes for it, and what it pays."""

    sell: Decimal
    buy: Decimal


@dataclass(frozen=True)
class RateTable:
    """How many of each currency have the same worth, and the part that the house keeps."""

    worth: Mapping[Currency, Decimal]
    spread: Decimal

    @classmethod
    def parse(cls, rates: str, spread: str) -> Self:
        """Reads `USD:1,BRL:5.40` and `0.01`."""
        worth = dict(_entry(text) for text in rates.split(","))
        margin = _decimal(spread)
        if not 0 <= margin < 1:
            raise RatesError(f"the spread {spread!r} is not a part of one, such as 0.01")
        return cls(worth, margin)

    def quote(self, source: Currency, target: Currency) -> Quote:
        """What one `source` costs, in `target`. A currency is always worth itself."""
        middle = self._worth_of(target) / self._worth_of(source)
        margin = Decimal(0) if source == target else self.spread
        return Quote(sell=_rounded(middle * (1 + margin)), buy=_rounded(middle * (1 - margin)))

    def _worth_of(self, currency: Currency) -> Decimal:
        try:
            return self.worth[currency]
        except KeyError:
            raise UnknownCurrency(currency) from None


def _entry(text: str) -> tuple[Currency, Decimal]:
    code, _, amount = text.strip().partition(":")
    try:
        currency = Currency.parse(code)
    except NotACurrency as error:
        raise RatesError(str(error)) from error
    worth = _decimal(amount)
    if worth <= 0:
        raise RatesError(f"the rate {text!r} is not above zero")
    return currency, worth


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise RatesError(f"{text!r} is not a number") from None
    if not number.is_finite():
        raise RatesError(f"{text!r} is not a number")
    return number


def _rounded(rate: Decimal) -> Decimal:
    return rate.quantize(PLACES, ROUND_HALF_EVEN)
