"""The door to Alpaca: a port that the actors know, and alpaca-py behind it."""
