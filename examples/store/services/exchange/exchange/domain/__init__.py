"""Currencies and what they are worth. Knows neither HTTP nor the environment."""
