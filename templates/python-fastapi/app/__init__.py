"""A service: `domain` is what it is about, `store` keeps it, the rest offers it over HTTP."""
