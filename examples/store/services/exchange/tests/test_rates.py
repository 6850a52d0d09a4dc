from decimal import Decimal

import pytest

from exchange.domain.currency import Currency, NotACurrency
from exchange.domain.rates import RatesError, RateTable, UnknownCurrency

USD, BRL, EUR = Currency("USD"), Currency("BRL"), Currency("EUR")
TABLE = RateTable.parse("USD:1, BRL:5.40, EUR:0.92", "0.01")


def test_the_house_sells_dearer_than_it_buys():
    quote = TABLE.quote(USD, BRL)
    assert (quote.sell, quote.buy) == (Decimal("5.454000"), Decimal("5.346000"))


def test_any_two_currencies_of_the_table_can_be_exchanged():
    middle = Decimal("5.40") / Decimal("0.92")
    assert TABLE.quote(EUR, BRL).sell == (middle * Decimal("1.01")).quantize(Decimal("0.000001"))


def test_a_currency_is_worth_itself():
    quote = TABLE.quote(BRL, BRL)
    assert quote.sell == quote.buy == 1


def test_a_currency_outside_the_table_is_unknown():
    with pytest.raises(UnknownCurrency, match="does not trade JPY"):
        TABLE.quote(USD, Currency("JPY"))


@pytest.mark.parametrize("text", ["", "usd", "US", "USDT", "US1", "USD\n", "ÜSD"])
def test_a_currency_is_three_capital_letters(text):
    with pytest.raises(NotACurrency):
        Currency.parse(text)


@pytest.mark.parametrize(
    ("rates", "spread"),
    [
        ("", "0"),
        ("USD", "0"),
        ("USD:x", "0"),
        ("USD:NaN", "0"),
        ("USD:Infinity", "0"),
        ("USD:0", "0"),
        ("USD:-1", "0"),
        ("usd:1", "0"),
        ("USD:1", "1"),
        ("USD:1", "-0.1"),
        ("USD:1", "much"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(rates, spread):
    with pytest.raises(RatesError):
        RateTable.parse(rates, spread)
