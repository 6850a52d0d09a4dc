"""What the platform tells this service through its environment, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from exchange.domain.rates import RatesError, RateTable

RATES = "USD:1,BRL:5.40,EUR:0.92"


class SettingsError(Exception):
    """The environment makes no sense; the service must not start with it."""


@dataclass(frozen=True)
class Settings:
    service: str
    generation: str
    host: str
    port: int
    log_level: str
    rates: RateTable

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Every variable has a default that suits a developer who starts the program by hand."""
        try:
            port = int(environment.get("PORT", "8080"))
            rates = RateTable.parse(environment.get("RATES", RATES), environment.get("SPREAD", "0.01"))
        except (ValueError, RatesError) as error:
            raise SettingsError(str(error)) from error
        return cls(
            service=environment.get("SERVICE_NAME", "exchange"),
            generation=environment.get("SERVICE_GENERATION", "0"),
            host=environment.get("HOST", "0.0.0.0"),
            port=port,
            log_level=environment.get("LOG_LEVEL", "info").lower(),
            rates=rates,
        )
