"""The rungs that `contract.py` climbs. Each function makes a few checks about one thing."""
