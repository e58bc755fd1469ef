"""The link between satellite and ground, and what goes wrong on it."""
