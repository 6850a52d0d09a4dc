import pytest

from exchange.domain.currency import Currency
from exchange.settings import Settings, SettingsError


def test_the_environment_decides_the_rates():
    settings = Settings.from_environment({"PORT": "9000", "RATES": "USD:1,CHF:2", "SPREAD": "0"})
    assert settings.port == 9000
    assert settings.rates.quote(Currency("USD"), Currency("CHF")).sell == 2


@pytest.mark.parametrize("wrong", [{"PORT": "http"}, {"RATES": "USD=1"}, {"SPREAD": "a lot"}])
def test_a_service_does_not_start_with_settings_it_cannot_read(wrong):
    with pytest.raises(SettingsError):
        Settings.from_environment(wrong)
