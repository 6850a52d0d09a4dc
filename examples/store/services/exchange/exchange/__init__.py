"""The exchange service: what one currency is worth in another.

- `domain` knows money, and neither HTTP nor the environment
- `http` is how the world sees it
- `settings` and `log` are the service's manners
"""
