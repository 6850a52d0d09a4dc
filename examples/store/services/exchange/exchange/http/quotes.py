"""`/exchanges/{from}/{to}`."""

from datetime import UTC, date, datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel

from exchange.domain.currency import Currency, NotACurrency
from exchange.domain.rates import RateTable, UnknownCurrency
from exchange.http.problem import Fault, Problem

router = APIRouter()


class QuoteView(BaseModel):
    """Rates are decimal text, so that no reader is tempted to hold them in a float."""

    sell: str
    buy: str
    date: date


@router.get("/exchanges/{source}/{target}")
async def quote(source: str, target: str, request: Request) -> QuoteView:
    currencies = _currency("from", source), _currency("to", target)
    rates: RateTable = request.app.state.rates
    try:
        found = rates.quote(*currencies)
    except UnknownCurrency as error:
        raise Problem(404, "unknown_currency", str(error)) from error
    return QuoteView(sell=f"{found.sell:f}", buy=f"{found.buy:f}", date=datetime.now(UTC).date())


def _currency(field: str, text: str) -> Currency:
    try:
        return Currency.parse(text)
    except NotACurrency as error:
        raise Problem(422, "invalid", str(error), [Fault(field, str(error))]) from error
